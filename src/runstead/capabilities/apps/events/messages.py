"""Messages between apps: each listener gets each message of its type, by itself, after the sender has gone on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

import msgspec
import structlog

from runstead.capabilities.apps.events.webhooks import Webhooks
from runstead.capabilities.apps.hostcalls import Caller, Calls, Session, text
from runstead.capabilities.apps.stage import Serving
from runstead.kernel.errors import BadRequestError, RunsteadError, TooLargeError, TooManyRequestsError
from runstead.kernel.limits import KIB

MESSAGE_BYTES_MAX: Final = 256 * KIB
#: Messages that are on their way.
WAITING_MAX: Final = 1000
#: A message that was sent because of a message, and so on: longer chains are loops.
DEPTH_MAX: Final = 8

#: ``await invoke(serving, handler, session, kind=..., args=...)``.
Invoke = Callable[..., Awaitable[Any]]
_log = structlog.get_logger("apps")


class Messages:
    """Delivers. A message is gone with the server; what must not be lost goes by a webhook or a table."""

    def __init__(self, serving: Callable[[], Iterable[Serving]], invoke: Invoke, webhooks: Webhooks) -> None:
        self._serving = serving
        self._invoke = invoke
        self._webhooks = webhooks
        self._tasks: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Wait for what is on its way."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def send(self, sender: Caller, kind: str, data: Any, *, depth: int = 0) -> int:
        """Send to all listeners of all apps; how many there are. Webhooks are written down before this returns.

        :raises TooManyRequestsError: too many messages are on their way, or this one is part of a loop.
        """
        if depth >= DEPTH_MAX:
            raise TooManyRequestsError(f"a message because of a message, {DEPTH_MAX} times: this is a loop")
        if len(self._tasks) >= WAITING_MAX:
            raise TooManyRequestsError(f"{WAITING_MAX} messages are on their way already")
        serving = list(self._serving())
        await self._webhooks.note(serving, sender.app_id, kind, data)
        count = 0
        for one in serving:
            for handler in one.registered.listeners.get(kind, ()):
                args = {"type": kind, "data": data, "sender": sender.app_id}
                task = asyncio.create_task(self._deliver(one, handler, args, depth + 1))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
                count += 1
        return count

    async def _deliver(self, serving: Serving, handler: str, args: dict[str, Any], depth: int) -> None:
        session = Session(Caller(serving.app_id), kept={"depth": depth})
        try:
            await self._invoke(serving, handler, session, kind="message", args=args)
        except RunsteadError as error:
            # The whole story is in the app's log.
            _log.warning(
                "a listener failed",
                app_id=serving.app_id,
                handler=handler,
                type=args["type"],
                error=error.message,
            )


class MessageCalls:
    """Sending, for scripts."""

    def __init__(self) -> None:
        #: Set when the service is there, which needs the host API itself.
        self.messages: Messages | None = None

    def calls(self) -> Calls:
        return {"message.send": self._send}

    async def _send(self, session: Session, kind: str, data: str) -> int:
        if len(data.encode("utf-8", "replace")) > MESSAGE_BYTES_MAX:
            raise TooLargeError(f"a message may have {MESSAGE_BYTES_MAX} bytes")
        assert self.messages is not None  # noqa: S101 - set before anything runs
        return await self.messages.send(
            session.caller, text(kind), _plain(data), depth=session.kept.get("depth", 0)
        )


def _plain(data: str) -> Any:
    """JSON where it is that; else the text."""
    if not isinstance(data, str):
        raise BadRequestError("a text is needed")
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return data
