"""QuickJS-ng through the ``jsbox`` wheel."""

from __future__ import annotations

import gc
import importlib.machinery
import importlib.util
import os
from collections.abc import Callable
from typing import Any

#: Characters of one console line; the rest is cut.
CONSOLE_CHARS_MAX = 8192


def _load_engine() -> Any:
    """The wheel's extension alone: its package imports asyncio for an asynchronous half that we do not use, 4 MB a worker."""
    package = importlib.util.find_spec("jsbox")
    if package is None or not package.submodule_search_locations:
        raise ImportError("the package jsbox is not installed")
    finder = importlib.machinery.FileFinder(
        package.submodule_search_locations[0],
        (importlib.machinery.ExtensionFileLoader, importlib.machinery.EXTENSION_SUFFIXES),
    )
    spec = finder.find_spec("_jsbox")
    if spec is None or spec.loader is None:
        raise ImportError("the package jsbox has no extension for this Python")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


jsbox = _load_engine()

# Not by pathlib, which alone is 1 MB of a worker.
with open(os.path.join(os.path.dirname(__file__), "prelude.js"), encoding="utf-8") as _file:  # noqa: PTH118, PTH120, PTH123
    _PRELUDE = _file.read()


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
