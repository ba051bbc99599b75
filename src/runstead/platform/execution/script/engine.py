"""The seam between the worker and the engines: what a JavaScript (or any other) engine must be able to do.

``sealed.quickjs`` is the one that there is. Values cross the seam as MessagePack knows them: None, bool, int, float, str, bytes,
list, dict. An engine has no other way out of an isolate than the two functions that it is given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

#: ``host(name, JSON array of the arguments)``: the script asks the server. ``+`` and JSON, or ``-`` and why not.
HostFunction = Callable[[str, str], str]
#: ``console(level, text)``.
ConsoleFunction = Callable[[str, str], None]


class Isolate(Protocol):
    """One sealed context with a heap and globals of its own. Nothing of it outlives :meth:`dispose`."""

    def load(self, source: str, seconds: float) -> None:
        """Run a program's top level. It is interrupted after ``seconds``.

        :raises EngineError: it threw, or passed a limit.
        """
        ...

    def call(self, function: str, argument: Any, seconds: float) -> Any:
        """Invoke a global function and settle what it returns. It is interrupted after ``seconds``.

        :raises EngineError: it threw, or passed a limit, or there is no such function.
        """
        ...

    def dispose(self) -> None:
        """Let go of everything."""
        ...


class Engine(Protocol):
    """Makes isolates."""

    def check(self, source: str) -> None:
        """Parse only.

        :raises EngineError: with the failure ``syntax`` and the place.
        """
        ...

    def create(
        self, *, heap_bytes: int, stack_bytes: int, host: HostFunction, console: ConsoleFunction
    ) -> Isolate:
        """A fresh isolate that ends with an error instead of using more."""
        ...

    def prepare(self, *, heap_bytes: int, stack_bytes: int) -> None:
        """Make ready what the next :meth:`create` will be asked for. There is nothing to do meanwhile."""
        ...
