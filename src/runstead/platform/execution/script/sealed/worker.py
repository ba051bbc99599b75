"""The worker's loop: one invocation at a time, each in a context of its own, over one socket.

It imports as little as it can: the memory of an idle worker is mostly this list.
"""

from __future__ import annotations

import time

from .channel import Channel, FrameTooLargeError
from .fuses import blow_fuses, find_holes
from .quickjs import EngineError, QuickJs, freeze_heap

TYPE_CHECKING = False
if TYPE_CHECKING:
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


class Worker:
    """Answers each ``run`` with ``done``; between them come the script's calls."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._engine = QuickJs()
        self._sources: dict[str, str] = {}

    def loop(self) -> None:
        """Serve until the server closes the socket."""
        while (message := self._channel.receive()) is not None:
            if message["type"] == "probe":
                self._channel.send({"type": "probed", "holes": find_holes(message["pid"])})
            else:
                self._run(message)
                # After the answer is on its way.
                self._engine.prepare(heap_bytes=message["heap_bytes"], stack_bytes=message["stack_bytes"])

    def _run(self, run: dict[str, Any]) -> None:
        console = Console()
        started = time.perf_counter()
        done: dict[str, Any] = {"type": "done", "id": run["id"], "ok": False}
        isolate = None
        try:
            source = self._source_of(run)
            if source is None:
                done["failure"] = "source"
            elif run["kind"] == "check":
                self._engine.check(source)
                done["ok"] = True
            else:
                isolate = self._engine.create(
                    heap_bytes=run["heap_bytes"],
                    stack_bytes=run["stack_bytes"],
                    host=lambda name, arguments: self._ask(run["id"], console, name, arguments),
                    console=console.write,
                )
                seconds = run["script_seconds"]
                isolate.load(source, seconds)
                left = max(0.001, started + seconds - time.perf_counter())
                done["value"] = isolate.call(run["function"], run["argument"], left)
                done["ok"] = True
        except EngineError as error:
            done["failure"] = error.failure
            done["error_name"] = error.name[:ERROR_CHARS_MAX]
            done["error_text"] = error.text[:ERROR_CHARS_MAX]
            done["error_frames"] = error.frames[:ERROR_CHARS_MAX]
        done["console"] = console.take()
        done["script_ms"] = (time.perf_counter() - started) * 1000
        self._finish(done)
        if isolate is not None:
            isolate.dispose()

    def _finish(self, done: dict[str, Any]) -> None:
        try:
            self._channel.send(done)
        except (FrameTooLargeError, ValueError) as error:
            text = str(error) or "the result is larger than any response may be"
            failed = {"ok": False, "failure": "error", "error_name": "RangeError", "error_text": text}
            self._channel.send({**done, **failed, "value": None})

    def _source_of(self, run: dict[str, Any]) -> str | None:
        """The program of a digest; None when it has to be sent (again)."""
        digest: str = run["digest"]
        source: str | None = run["source"]
        if source is None:
            source = self._sources.pop(digest, None)
        if source is not None and run["kind"] != "check":
            self._sources[digest] = source
            total = sum(map(len, self._sources.values()))
            while total > SOURCES_BYTES_MAX and len(self._sources) > 1:
                total -= len(self._sources.pop(next(iter(self._sources))))
        return source

    def _ask(self, run_id: int, console: Console, name: str, arguments: str) -> str:
        self._channel.send(
            {"type": "call", "id": run_id, "name": name, "arguments": arguments, "console": console.take()}
        )
        answer = self._channel.receive()
        if answer is None or answer["type"] != "result":
            raise SystemExit("the server broke the protocol")
        # The prelude throws what follows a minus: an exception of ours would reach the script without its text.
        return ("+" if answer["ok"] else "-") + str(answer["value"])


def main() -> None:
    """Serve the socket that is our standard input."""
    worker = Worker(Channel(0))
    freeze_heap()
    blow_fuses()
    worker.loop()
