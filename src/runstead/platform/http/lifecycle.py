"""Which requests are under way, so that a stop can wait for them and, when it may wait no longer, end them."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from runstead.kernel.capability import ASGIApp, Receive, Scope, Send
from runstead.platform.http.scope import state_of

_KEY: Final = "lifecycle"


class Lifecycle:
    """Wraps the application for the time that one server serves it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._tasks: set[asyncio.Task[Any]] = set()
        #: Set when the server stops. Answers without an end (SSE) end themselves then.
        self.draining = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state_of(scope)[_KEY] = self
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
        try:
            await self._app(scope, receive, send)
        finally:
            if task is not None:
                self._tasks.discard(task)

    @property
    def in_flight(self) -> int:
        """Requests under way."""
        return len(self._tasks)

    def cut(self) -> int:
        """Cancel what is still under way; how many there were."""
        for task in list(self._tasks):
            task.cancel("the server stops")
        return len(self._tasks)


def draining_event(scope: Scope) -> asyncio.Event | None:
    """What a long answer waits for beside its own work; None when no server of ours serves it, as in tests."""
    lifecycle: Lifecycle | None = state_of(scope).get(_KEY)
    return lifecycle.draining if lifecycle is not None else None


def is_draining(scope: Scope) -> bool:
    """Whether the server takes nothing new."""
    event = draining_event(scope)
    return event is not None and event.is_set()
