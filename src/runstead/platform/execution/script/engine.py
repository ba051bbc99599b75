"""The seam between the worker and the engines: what a JavaScript (or any other) engine must be able to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

#: ``host(name, JSON of the arguments) -> JSON of the result``: the script's only way out.
HostFunction = Callable[[str, str], str]
#: ``console(level, text)``.
ConsoleFunction = Callable[[str, str], None]


class Isolate(Protocol):
    """One sealed context. Nothing of it outlives :meth:`dispose`."""

    def run(self, source: str, seconds: float) -> None:
        """Run a program's top level.

        :raises EngineError: it threw, or passed a limit.
        """
        ...

    def call(self, function: str, argument: str, seconds: float) -> str:
        """Call a global function with JSON, settle what it returns, give back JSON.

        :raises EngineError: it threw, or passed a limit.
        """
        ...

    def dispose(self) -> None:
        """Let go of everything."""
        ...


class Engine(Protocol):
    """Makes isolates. The running worker interrupts itself at ``seconds``; the pool ends a worker that does not."""

    def check(self, source: str) -> None:
        """Parse only.

        :raises EngineError: with ``SyntaxError`` and its place.
        """
        ...

    def create(
        self, *, heap_bytes: int, stack_bytes: int, host: HostFunction, console: ConsoleFunction
    ) -> Isolate:
        """A fresh context."""
        ...
