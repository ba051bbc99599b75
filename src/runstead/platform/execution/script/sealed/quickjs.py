"""QuickJS-ng through the extension module of the ``jsbox`` wheel."""

from __future__ import annotations

import os

# The wheel's extension alone, whose folder is on the path: its package imports asyncio for an asynchronous half that we do not
# use, 4 MB a worker.
import _jsbox as jsbox  # type: ignore[import-not-found]

from .engines import PENDING, EngineError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Host = Callable[[str, str], str]
    Later = Callable[[int, str, str], None]
    Console = Callable[[str, str], None]

_HERE = os.path.dirname(__file__)  # noqa: PTH120 - pathlib alone is 1 MB of a worker
#: Runs in each context before the script.
_CORE = "core"
#: Compiled when a script first uses a name of theirs: reading all of them costs twice what a context costs.
_PIECES = (
    "answer", "auth", "body", "console", "crypto", "fetch", "form", "headers", "read", "register", "request", "secrets",
    "storage", "text", "timers", "url", "web",
)  # fmt: skip

#: Frames of the script itself; the engine calls every script so.
_SCRIPT_FILE = "eval_script"
STACK_FRAMES_MAX = 32
#: What the engine says when it has no job left and the promise that it was asked for is still open.
_UNSETTLED = "promise never settled (no pending jobs)"


def _read(name: str) -> str:
    with open(f"{_HERE}/prelude/{name}.js", encoding="utf-8") as file:  # noqa: PTH123
        return file.read()


_SOURCES = {name: _read(name) for name in (_CORE, *_PIECES)}


class QuickJsIsolate:
    """A fresh runtime: its own heap, its own globals."""

    def __init__(self, *, heap_bytes: int, stack_bytes: int) -> None:
        self.limits = (heap_bytes, stack_bytes)
        self._host: Host = _nobody
        self._later: Later = _nobody
        self._console: Console = _nowhere
        self._runtime = runtime = jsbox.Runtime(memory_limit=heap_bytes, max_stack_size=stack_bytes)
        runtime.bind_function("__host", lambda name, arguments: self._host(str(name), str(arguments)))
        runtime.bind_function(
            "__later", lambda number, name, text: self._later(int(number), str(name), str(text))
        )
        runtime.bind_function("__console", lambda level, text: self._console(str(level), str(text)))
        runtime.bind_function("__piece", lambda name: _SOURCES[name])
        runtime.bind_function("__random", lambda count: os.urandom(min(int(count), 65_536)))
        # A module, so that its frames have a name of their own in stack traces.
        runtime.add_static_module("runstead", _SOURCES[_CORE])
        runtime.eval_module("runstead")

    def connect(self, *, host: Host, later: Later, console: Console) -> None:
        """Say where its calls and its console go."""
        self._host, self._later, self._console = host, later, console

    def load(self, source: str, seconds: float) -> None:
        # The line break ends a comment in the last line; undefined, since what a script's last line is worth may be anything.
        self._eval(f"{source}\n;undefined", seconds, own_frames=())

    def call(self, function: str, argument: Any, seconds: float) -> Any:
        self._runtime.bind_object("__argument", argument)
        # A function that was declared by const is no property of the global object, hence typeof. The name is an identifier:
        # the server has seen to that.
        known = f"typeof {function} === 'undefined' ? undefined : {function}"
        return self._turn(f"__runstead({function!r}, {known})", seconds)

    def settle(self, results: list[list[Any]], seconds: float) -> Any:
        self._runtime.bind_object("__results", results)
        return self._turn("__runstead.settle()", seconds)

    def _turn(self, code: str, seconds: float) -> Any:
        """What the promise of the whole comes to, or PENDING when it waits for the server."""
        try:
            return self._eval(code, seconds, own_frames=("<eval> ",))
        except EngineError as error:
            if error.failure == "error" and error.text == _UNSETTLED and not error.frames:
                return self._still(error)
            raise

    def _still(self, error: EngineError) -> Any:
        """The engine is out of jobs. Nobody to wait for: it would never end."""
        if self._eval("__runstead.waits()", 1.0, own_frames=()):
            return PENDING
        raise EngineError(
            "error", "Error", "the handler waits for a promise that nothing can settle"
        ) from error

    def _eval(self, code: str, seconds: float, *, own_frames: tuple[str, ...]) -> Any:
        try:
            return self._runtime.eval(code, timeout=seconds)
        except (jsbox.JavaScriptError, jsbox.JsTimeoutError) as error:
            raise _translate(error, own_frames) from None
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            # What the script returned, or handed to us, is nothing that can leave it.
            raise EngineError("error", "TypeError", str(error)) from None

    def dispose(self) -> None:
        del self._runtime


def _nobody(*_arguments: Any) -> Any:
    raise RuntimeError("nobody is there")


def _nowhere(_level: str, _text: str) -> None:
    return None


class QuickJs:
    """Makes isolates, one of them in advance: a request does not wait for what is the same for each of them."""

    def __init__(self) -> None:
        self._spare: QuickJsIsolate | None = None

    def check(self, source: str) -> None:
        try:
            jsbox.Runtime().check_syntax(source)
        except jsbox.JavaScriptError as error:
            raise EngineError(
                "syntax", str(error.name), str(error.message), _frames(error, "check")
            ) from None

    def create(
        self, *, heap_bytes: int, stack_bytes: int, host: Host, later: Later, console: Console
    ) -> QuickJsIsolate:
        isolate, self._spare = self._spare, None
        if isolate is None or isolate.limits != (heap_bytes, stack_bytes):
            isolate = QuickJsIsolate(heap_bytes=heap_bytes, stack_bytes=stack_bytes)
        isolate.connect(host=host, later=later, console=console)
        return isolate

    def prepare(self, *, heap_bytes: int, stack_bytes: int) -> None:
        self._spare = QuickJsIsolate(heap_bytes=heap_bytes, stack_bytes=stack_bytes)


def _translate(error: Any, own_frames: tuple[str, ...]) -> EngineError:
    if isinstance(error, jsbox.JsTimeoutError):
        return EngineError("timeout", "TimeoutError", "the script took longer than it may")
    name, text = str(error.name or "Error"), str(error.message)
    # An engine without memory for an error throws null.
    if text == "out of memory" or (error.name is None and text == "null"):
        return EngineError("memory", "InternalError", "out of memory")
    return EngineError("error", name, text, _frames(error, _SCRIPT_FILE, own_frames))


def _frames(error: Any, file: str, own: tuple[str, ...] = ()) -> str:
    """The lines of a stack that lie in the script: neither the prelude's, nor those of our own call."""
    frames = []
    for line in str(error.stack or "").splitlines():
        frame = line.strip().removeprefix("at ")
        if f"{file}:" in frame and not frame.startswith(own):
            frames.append(frame.replace(f"{file}:", "", 1))
    return "\n".join(frames[:STACK_FRAMES_MAX])


ENGINE = QuickJs
