"""Conversions for scripts, in a sealed process that is started when the first one is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

from runstead.capabilities.apps.hostcalls import Calls, Session, text
from runstead.kernel.errors import UnprocessableError
from runstead.kernel.limits import KIB
from runstead.platform.execution.script import (
    Invocation,
    Program,
    ScriptError,
    ScriptLimits,
    ScriptPool,
    ScriptThrewError,
)

#: Of a text that is converted, and of the data of a template.
CHARS_MAX: Final = 512 * KIB
SECONDS_MAX: Final = 1.0
_PROGRAM: Final = Program.of("convert", "")


class Converting:
    """Markdown (CommonMark with tables, HTML shown as text) and Handlebars."""

    def __init__(self, pool: ScriptPool) -> None:
        """:param pool: not opened yet."""
        self._pool = pool
        self._stack: AsyncExitStack | None = None
        self._starting = asyncio.Lock()
        self._is_open = False

    def calls(self) -> Calls:
        return {"convert.markdown": self._markdown, "convert.handlebars": self._handlebars}

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Nothing is started before it is needed."""
        async with AsyncExitStack() as stack:
            self._stack = stack
            yield

    async def _markdown(self, _session: Session, source: str) -> str:
        return await self._convert("markdown", {"text": _short(text(source))})

    async def _handlebars(self, _session: Session, template: str, data: str) -> str:
        return await self._convert(
            "handlebars", {"template": _short(text(template)), "data": _short(text(data))}
        )

    async def _convert(self, function: str, argument: dict[str, Any]) -> str:
        async with self._starting:
            if not self._is_open and self._stack is not None:
                await self._stack.enter_async_context(self._pool)
                self._is_open = True
        limits = ScriptLimits(script_seconds=SECONDS_MAX)
        try:
            outcome = await self._pool.run(
                _PROGRAM, Invocation(function=function, argument=argument, limits=limits)
            )
        except ScriptThrewError as error:
            raise UnprocessableError(f"{function}: {error.text}") from error
        except ScriptError as error:
            raise UnprocessableError(f"{function}: {error.message}") from error
        return str(outcome.value)


def _short(value: str) -> str:
    if len(value) > CHARS_MAX:
        raise UnprocessableError(f"a conversion takes {CHARS_MAX} characters")
    return value
