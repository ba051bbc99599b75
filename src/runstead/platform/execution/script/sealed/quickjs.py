"""QuickJS-ng through the extension module of the ``jsbox`` wheel."""

from __future__ import annotations

# The interpreter's own: OpenSSL's would cost 2 MB in each worker.
import _sha1  # type: ignore[import-not-found]
import os

try:
    from _sha2 import sha256, sha384, sha512  # type: ignore[import-not-found]
except ImportError:
    from _sha256 import sha256  # type: ignore[import-not-found]
    from _sha512 import sha384, sha512  # type: ignore[import-not-found]

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
#: Compiled when a script first uses a name of theirs, or another piece does: reading all of them costs more than a context costs.
_PIECES = {
    "abort": "AbortController AbortSignal",
    "assets": "assetStorage",
    "builder": "ResponseBuilder",
    "auth": "auth",
    "clients": "McpClient",
    "clone": "structuredClone",
    "console": "console writeLog",
    "convert": "convert",
    "crypto": "crypto",
    "database": "database db",
    "fetch": "fetch engine",
    "headers": "Headers",
    "jsx": "h Fragment",
    "register": "register registerHandler registerWebStream sendStreamMessageToPath registerGraphQLQuery registerGraphQLMutation "
    "registerGraphQLSubscription sendSubscriptionMessage registerMCPTool registerMCPResource registerMCPPrompt registerWebhook "
    "routeRegistry graphQLRegistry mcpRegistry dispatcher schedulerService",
    "request": "Request",
    "secrets": "secretStorage",
    "storage": "sharedStorage personalStorage",
    "text": "escapeHtml escapeJs encodeUrl html",
    "timers": "setTimeout clearTimeout",
    "url": "URL URLSearchParams",
    "web": "Response",
    "tests": "test it describe beforeEach afterEach expect assert runTests",
}
#: Pieces without names.
_INNER = ("answer", "body", "flow", "form", "hex", "later", "read", "refusal", "show", "told", "upload")
_PIECE_OF = {name: piece for piece, names in _PIECES.items() for name in names.split()}
#: Sources whose names are known: looking for them takes longer than a small script runs.
_KNOWN_MAX = 64
_DIGESTS = {"SHA-1": _sha1.sha1, "SHA-256": sha256, "SHA-384": sha384, "SHA-512": sha512}

#: Frames of the script itself; the engine calls every script so.
_SCRIPT_FILE = "eval_script"
STACK_FRAMES_MAX = 32
#: Names that the engine gives itself: a source without modules has none.
_OURS = (_SCRIPT_FILE, "check")
#: What the engine says when it has no job left and the promise that it was asked for is still open.
_UNSETTLED = "promise never settled (no pending jobs)"


def _read(name: str) -> str:
    with open(f"{_HERE}/prelude/{name}.js", encoding="utf-8") as file:  # noqa: PTH123
        # Read anew in each context, so without what is for people: comments have lines of their own, and no text has several.
        lines = (line.strip() for line in file)
        return "\n".join(line for line in lines if line and not line.startswith("//"))


_SOURCES = {name: _read(name) for name in (_CORE, *_PIECES, *_INNER)}


class QuickJsIsolate:
    """A fresh runtime: its own heap, its own globals."""

    def __init__(self, *, heap_bytes: int, stack_bytes: int) -> None:
        self.limits = (heap_bytes, stack_bytes)
        #: What stack traces call its sources.
        self.files: tuple[str, ...] = (_SCRIPT_FILE,)
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
        runtime.bind_function("__digest", _digest)
        # A module, so that its frames have a name of their own in stack traces.
        runtime.add_static_module("runstead", _SOURCES[_CORE])
        # Not by eval_module: after it, no module of the script could be imported any more (jsbox 0.1.3).
        runtime.eval("import('runstead').then(() => 1)")

    def connect(self, *, host: Host, later: Later, console: Console) -> None:
        """Say where its calls and its console go."""
        self._host, self._later, self._console = host, later, console

    def load(self, source: str, modules: list[list[str]], seconds: float) -> None:
        self._eval(_provision(source, modules), seconds, own_frames=())
        if modules:
            for name, text in modules:
                self._runtime.add_static_module(name, text)
            self.files = tuple(name for name, _ in modules)
            self._eval(f"import({modules[-1][0]!r}).then(() => undefined)", seconds, own_frames=())
            return
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
        return self._guarded(lambda: self._runtime.eval(code, timeout=seconds), own_frames)

    def _guarded(self, act: Callable[[], Any], own_frames: tuple[str, ...]) -> Any:
        try:
            return act()
        except (jsbox.JavaScriptError, jsbox.JsTimeoutError) as error:
            raise _translate(error, self.files, own_frames) from None
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            # What the script returned, or handed to us, is nothing that can leave it.
            raise EngineError("error", "TypeError", str(error)) from None

    def dispose(self) -> None:
        del self._runtime


_known: dict[tuple[str, ...], str] = {}


def _provision(source: str, modules: list[list[str]]) -> str:
    """What makes the names of pieces that a program mentions global."""
    texts = (source, *(text for _, text in modules))
    if (found := _known.get(texts)) is not None:
        return found
    # As parts of other words too: one accessor too many costs less than looking closer, and `re` is 1 MB of a worker.
    names = [name for name in _PIECE_OF if any(name in text for text in texts)]
    calls = "".join(f"__runstead.provide('{_PIECE_OF[name]}', '{name}');" for name in names)
    if len(_known) >= _KNOWN_MAX:
        _known.pop(next(iter(_known)))
    _known[texts] = f"{calls}undefined"
    return _known[texts]


def _digest(name: str, data: bytes) -> bytes:
    return bytes(_DIGESTS[name](bytes(data)).digest())


def _nobody(*_arguments: Any) -> Any:
    raise RuntimeError("nobody is there")


def _nowhere(_level: str, _text: str) -> None:
    return None


class QuickJs:
    """Makes isolates, one of them in advance: a request does not wait for what is the same for each of them."""

    def __init__(self) -> None:
        self._spare: QuickJsIsolate | None = None

    def check(self, source: str, modules: list[list[str]]) -> None:
        try:
            if not modules:
                jsbox.Runtime().check_syntax(source)
            for name, text in modules:
                _check_module(name, text)
        except jsbox.JavaScriptError as error:
            files = ("check", *(name for name, _ in modules))
            raise EngineError("syntax", str(error.name), str(error.message), _frames(error, files)) from None

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


def _translate(error: Any, files: tuple[str, ...], own_frames: tuple[str, ...]) -> EngineError:
    if isinstance(error, jsbox.JsTimeoutError):
        return EngineError("timeout", "TimeoutError", "the script took longer than it may")
    name, text = str(error.name or "Error"), str(error.message)
    # An engine without memory for an error throws null.
    if text == "out of memory" or (error.name is None and text == "null"):
        return EngineError("memory", "InternalError", "out of memory")
    return EngineError("error", name, text, _frames(error, files, own_frames))


def _check_module(name: str, text: str) -> None:
    """A module is parsed by who imports it; what it imports itself cannot be found, which comes after that."""
    runtime = jsbox.Runtime()
    runtime.add_static_module(name, text)
    try:
        runtime.eval_module(name, timeout=0.001)
    except jsbox.JavaScriptError as error:
        if str(error.name) == "SyntaxError" and f"{name}:" in str(error.stack or ""):
            raise
    except (jsbox.JsTimeoutError, TypeError, ValueError):
        return


def _frames(error: Any, files: tuple[str, ...], own: tuple[str, ...] = ()) -> str:
    """The lines of a stack that lie in the script: neither the prelude's, nor those of our own call."""
    frames = []
    for line in str(error.stack or "").splitlines():
        frame = line.strip().removeprefix("at ")
        file = next((one for one in files if f"({one}:" in frame or frame.startswith(f"{one}:")), None)
        if file is not None and not frame.startswith(own):
            frames.append(frame if file not in _OURS else frame.replace(f"{file}:", "", 1))
    return "\n".join(frames[:STACK_FRAMES_MAX])


ENGINE = QuickJs
