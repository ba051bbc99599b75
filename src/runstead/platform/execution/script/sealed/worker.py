"""The worker's loop: one turn of one invocation at a time, each invocation in a context of its own, over one socket.

An invocation that waits for the server by promises is parked between its turns, and others have theirs.

It imports as little as it can: the memory of an idle worker is mostly this list.
"""

from __future__ import annotations

import gc
import time

from .channel import Channel, FrameTooLargeError
from .engines import PENDING, EngineError
from .fuses import blow_fuses, find_holes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: Bytes of sources that are kept; the server sends again what was dropped.
SOURCES_BYTES_MAX = 4 * 1024 * 1024
#: Console of one invocation: lines, characters of a line and of all; what is more is dropped.
CONSOLE_LINES_MAX = 1000
CONSOLE_LINE_CHARS_MAX = 8192
CONSOLE_CHARS_MAX = 256 * 1024
#: Characters of an error and of its stack.
ERROR_CHARS_MAX = 4096


class Console:
    """The lines of one invocation. They travel with its end, or before the next call to the server."""

    def __init__(self) -> None:
        self._lines: list[list[str]] = []
        self._lines_left = CONSOLE_LINES_MAX
        self._chars_left = CONSOLE_CHARS_MAX

    def write(self, level: str, text: str) -> None:
        if self._lines_left == 0:
            return
        text = text[:CONSOLE_LINE_CHARS_MAX]
        self._lines_left -= 1
        self._chars_left -= len(text)
        if self._lines_left > 0 and self._chars_left >= 0:
            self._lines.append([level, text])
        else:
            self._lines_left = 0
            self._lines.append(["warn", "the console is full: what follows of this invocation is dropped"])

    def take(self) -> list[list[str]]:
        lines, self._lines = self._lines, []
        return lines


class Open:
    """An invocation that has begun and not ended."""

    def __init__(self, run: dict[str, Any]) -> None:
        self.run = run
        self.console = Console()
        self.isolate: Any = None
        #: Seconds of its turns.
        self.used = 0.0


class Worker:
    """Answers each ``run`` and each ``settle`` with ``done`` or ``parked``; between them come the script's calls."""

    def __init__(self, channel: Channel, engine: Any) -> None:
        self._channel = channel
        self._engine = engine
        self._sources: dict[str, tuple[str, Any]] = {}
        self._open: dict[int, Open] = {}

    def loop(self) -> None:
        """Serve until the server closes the socket."""
        while (message := self._channel.receive()) is not None:
            kind = message["type"]
            if kind == "run":
                self._run(message)
                # After the answer is on its way.
                self._engine.prepare(heap_bytes=message["heap_bytes"], stack_bytes=message["stack_bytes"])
            elif kind == "settle":
                self._turn(
                    self._open[message["id"]], lambda one, left: one.isolate.settle(message["results"], left)
                )
            elif kind == "drop":
                self._dispose(self._open.pop(message["id"], None))
            else:
                self._channel.send({"type": "probed", "holes": find_holes(message["pid"])})

    def _run(self, run: dict[str, Any]) -> None:
        source = self._source_of(run)
        one = self._open[run["id"]] = Open(run)
        if source is None:
            self._end(one, {"failure": "source"})
        elif run["kind"] == "check":
            self._turn(one, lambda _one, _left: self._engine.check(*source))
        else:
            self._turn(one, lambda one, left: self._begin(one, source, left))

    def _begin(self, one: Open, source: tuple[str, Any], seconds: float) -> Any:
        run, started = one.run, time.perf_counter()
        one.isolate = self._engine.create(
            heap_bytes=run["heap_bytes"],
            stack_bytes=run["stack_bytes"],
            host=lambda name, arguments: self._ask(one, name, arguments),
            later=lambda number, name, arguments: self._ask_later(one, number, name, arguments),
            console=one.console.write,
        )
        one.isolate.load(*source, seconds)
        left = max(0.001, started + seconds - time.perf_counter())
        return one.isolate.call(run["function"], run["argument"], left)

    def _turn(self, one: Open, step: Callable[[Open, float], Any]) -> None:
        """Let the script run until it ends or waits."""
        started = time.perf_counter()
        try:
            value = step(one, max(0.001, one.run["script_seconds"] - one.used))
        except EngineError as error:
            one.used += time.perf_counter() - started
            self._end(one, _failed(error))
            return
        one.used += time.perf_counter() - started
        if value is PENDING:
            self._channel.send({"type": "parked", "id": one.run["id"], "console": one.console.take()})
        else:
            self._end(one, {"ok": True, "value": value})

    def _end(self, one: Open, outcome: dict[str, Any]) -> None:
        done = {
            "type": "done",
            "id": one.run["id"],
            "ok": False,
            **outcome,
            "console": one.console.take(),
            "script_ms": one.used * 1000,
        }
        del self._open[one.run["id"]]
        try:
            self._channel.send(done)
        except (FrameTooLargeError, ValueError) as error:
            text = str(error) or "the result is larger than any response may be"
            failed = {"ok": False, "failure": "error", "error_name": "RangeError", "error_text": text}
            self._channel.send({**done, **failed, "value": None})
        self._dispose(one)

    def _dispose(self, one: Open | None) -> None:
        if one is not None and one.isolate is not None:
            one.isolate.dispose()

    def _source_of(self, run: dict[str, Any]) -> tuple[str, Any] | None:
        """The program of a digest; None when it has to be sent (again)."""
        digest: str = run["digest"]
        source = (run["source"], run["modules"])
        if run["source"] is None:
            if digest not in self._sources:
                return None
            source = self._sources.pop(digest)
        if run["kind"] != "check":
            self._sources[digest] = source
            total = sum(map(_size, self._sources.values()))
            while total > SOURCES_BYTES_MAX and len(self._sources) > 1:
                total -= _size(self._sources.pop(next(iter(self._sources))))
        return source

    def _ask(self, one: Open, name: str, arguments: str) -> str:
        """The script waits, and with it the worker: the server gives turns one at a time, so the answer is what comes next."""
        self._call(one, name, arguments, number=0)
        answer = self._channel.receive()
        while answer is not None and answer["type"] == "drop":
            # Another one, that is parked, is waited for no more.
            self._dispose(self._open.pop(answer["id"], None))
            answer = self._channel.receive()
        if answer is None or answer["type"] != "result":
            raise SystemExit("the server broke the protocol")
        # The prelude throws what follows a minus: an exception of ours would reach the script without its text.
        return ("+" if answer["ok"] else "-") + str(answer["value"])

    def _ask_later(self, one: Open, number: int, name: str, arguments: str) -> None:
        """The script goes on; the answer comes with a ``settle``."""
        self._call(one, name, arguments, number=number)

    def _call(self, one: Open, name: str, arguments: str, *, number: int) -> None:
        self._channel.send(
            {
                "type": "call",
                "id": one.run["id"],
                "number": number,
                "name": name,
                "arguments": arguments,
                "console": one.console.take(),
            }
        )


def _size(source: tuple[str, Any]) -> int:
    return len(source[0]) + sum(len(text) for _, text in source[1])


def _failed(error: EngineError) -> dict[str, Any]:
    return {
        "failure": error.failure,
        "error_name": error.name[:ERROR_CHARS_MAX],
        "error_text": error.text[:ERROR_CHARS_MAX],
        "error_frames": error.frames[:ERROR_CHARS_MAX],
    }


def main(engine: str) -> None:
    """Serve the socket that is our standard input.

    :param engine: the name of a module of this package.
    """
    worker = Worker(Channel(0), __import__(f"sealed.{engine}", fromlist=["ENGINE"]).ENGINE())
    freeze_heap()
    blow_fuses()
    worker.loop()


def freeze_heap() -> None:
    """What is loaded by now stays for ever: keep the collector from walking it after each request."""
    gc.collect()
    gc.freeze()
