"""QuickJS-ng through the ``jsbox`` wheel."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path

import jsbox

#: Characters of one console line; the rest is cut.
CONSOLE_CHARS_MAX = 8192

_PRELUDE = (Path(__file__).parent / "prelude.js").read_text()


class EngineError(Exception):
    """What the script threw, or the limit that it passed."""

    def __init__(self, failure: str, name: str, text: str, stack: str = "") -> None:
        super().__init__(f"{name}: {text}")
        self.failure = failure
        self.name = name
        self.text = text
        self.stack = stack


def _translate(error: BaseException) -> EngineError:
    if isinstance(error, jsbox.JsTimeoutError):
        return EngineError("timeout", "TimeoutError", "the script took longer than it may")
    if isinstance(error, jsbox.JavaScriptError):
        name, text, stack = str(error.name or "Error"), str(error.message), str(error.stack or "")
        if (name == "InternalError" and "out of memory" in text) or text == "out of memory":
            return EngineError("memory", name, "the script used more memory than it may")
        return EngineError("syntax" if name == "SyntaxError" else "error", name, text, stack)
    return EngineError("error", type(error).__name__, str(error))


class QuickJsIsolate:
    """A fresh runtime: its own heap, its own globals."""

    def __init__(
        self,
        *,
        heap_bytes: int,
        stack_bytes: int,
        host: Callable[[str, str], str],
        console: Callable[[str, str], None],
    ) -> None:
        self._runtime = jsbox.Runtime(memory_limit=heap_bytes, max_stack_size=stack_bytes)
        self._runtime.bind_function("__host", host)
        self._runtime.bind_function(
            "__console", lambda level, text: console(str(level), str(text)[:CONSOLE_CHARS_MAX])
        )
        self._runtime.eval(_PRELUDE)

    def run(self, source: str, seconds: float) -> None:
        try:
            self._runtime.eval(f"{source}\n;undefined", timeout=seconds)
        except Exception as error:  # noqa: BLE001 - the wheel re-raises whatever came out of the script
            raise _translate(error) from None

    def call(self, function: str, argument: str, seconds: float) -> str:
        # A function that was declared by const is no property of the global object, hence typeof.
        reference = f"typeof {function} === 'function' ? {function} : undefined"
        try:
            result = self._runtime.eval(
                f"__runstead.call({function!r}, {reference}, {argument})", timeout=seconds
            )
        except Exception as error:  # noqa: BLE001 - see run
            raise _translate(error) from None
        return str(result)

    def dispose(self) -> None:
        del self._runtime


class QuickJs:
    """Makes isolates."""

    def check(self, source: str) -> None:
        try:
            jsbox.Runtime().check_syntax(source)
        except jsbox.JavaScriptError as error:
            raise _translate(error) from None

    def create(
        self,
        *,
        heap_bytes: int,
        stack_bytes: int,
        host: Callable[[str, str], str],
        console: Callable[[str, str], None],
    ) -> QuickJsIsolate:
        return QuickJsIsolate(heap_bytes=heap_bytes, stack_bytes=stack_bytes, host=host, console=console)


def freeze_heap() -> None:
    """What is loaded by now stays for ever: keep the collector from walking it after each request."""
    gc.collect()
    gc.freeze()
