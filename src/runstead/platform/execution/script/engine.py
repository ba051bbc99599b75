"""The seam between the worker and the engines: what a JavaScript (or any other) engine must be able to do.

``sealed.quickjs`` is the one that there is. Values cross the seam as MessagePack knows them: None, bool, int, float, str, bytes,
list, dict. An engine has no other way out of an isolate than the two functions that it is given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

#: ``host(name, JSON array of the arguments)``: the script asks the server. ``+`` and JSON, or ``-`` and why not.
HostFunction = Callable[[str, str], str]
#: ``later(number, name, JSON array of the arguments)``: without waiting; the answer comes by :meth:`Isolate.settle`.
LaterFunction = Callable[[int, str, str], None]
#: ``console(level, text)``.
ConsoleFunction = Callable[[str, str], None]


class Isolate(Protocol):
    """One sealed context with a heap and globals of its own. Nothing of it outlives :meth:`dispose`."""

    def load(self, source: str, modules: list[list[str]], seconds: float) -> None:
        """Run a program's top level: of the source, or of the last of the modules, ``[name, source]`` each. It is
        interrupted after ``seconds``.

        :raises EngineError: it threw, or passed a limit.
        """
        ...

    def call(self, function: str, argument: Any, seconds: float) -> Any:
        """Invoke a global function. It is interrupted after ``seconds``.

        What comes back is its value, settled, or ``sealed.engines.PENDING``: it waits for calls that it made by ``later``.

        :raises EngineError: it threw, or passed a limit, or there is no such function.
        """
        ...

    def settle(self, results: list[list[Any]], seconds: float) -> Any:
        """Give it answers, as ``[number, whether it succeeded, JSON or why not]``, and let it go on; else as :meth:`call`."""
        ...

    def dispose(self) -> None:
        """Let go of everything."""
        ...


class Engine(Protocol):
    """Makes isolates."""

    def check(self, source: str, modules: list[list[str]]) -> None:
        """Parse only.

        :raises EngineError: with the failure ``syntax`` and the place.
        """
        ...

    def create(
        self,
        *,
        heap_bytes: int,
        stack_bytes: int,
        host: HostFunction,
        later: LaterFunction,
        console: ConsoleFunction,
    ) -> Isolate:
        """A fresh isolate that ends with an error instead of using more."""
        ...

    def prepare(self, *, heap_bytes: int, stack_bytes: int) -> None:
        """Make ready what the next :meth:`create` will be asked for. There is nothing to do meanwhile."""
        ...
