"""The worker's loop: one invocation at a time, each in a context of its own, over one socket.

It imports as little as it can: the memory of an idle worker is mostly this list.
"""

from __future__ import annotations

import socket
import time

from . import protocol
from .quickjs import EngineError, QuickJs, freeze_heap

#: Sources that are kept; the server sends one again that was dropped.
SOURCES_MAX = 256


class Worker:
    """Answers ``Run`` with ``Done``; between them come the script's console and its calls."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._engine = QuickJs()
        self._sources: dict[str, str] = {}

    def loop(self) -> None:
        """Serve until the server closes the socket."""
        while (message := self._receive()) is not None:
            if isinstance(message, protocol.Run):
                self._send(self._run(message))

    def _run(self, run: protocol.Run) -> protocol.Done:
        started = time.perf_counter()
        try:
            value = self._invoke(run)
        except EngineError as error:
            return protocol.Done(
                id=run.id,
                ok=False,
                failure=error.failure,
                error_name=error.name,
                error_text=error.text[:4096],
                error_stack=error.stack.replace("eval_script", run.file).replace(
                    "at check:", f"at {run.file}:"
                )[:8192],
                script_ms=(time.perf_counter() - started) * 1000,
            )
        return protocol.Done(
            id=run.id, ok=True, value=value, script_ms=(time.perf_counter() - started) * 1000
        )

    def _invoke(self, run: protocol.Run) -> str:
        source = self._source_of(run)
        if run.kind == "check":
            self._engine.check(source)
            return "null"
        isolate = self._engine.create(
            heap_bytes=run.heap_bytes,
            stack_bytes=run.stack_bytes,
            host=lambda name, arguments: self._ask(run.id, name, arguments),
            console=lambda level, text: self._send(protocol.Console(id=run.id, level=level, text=text)),
        )
        try:
            deadline = time.perf_counter() + run.script_seconds
            isolate.run(source, run.script_seconds)
            function = "init" if run.kind == "init" else run.function
            left = max(0.001, deadline - time.perf_counter())
            return isolate.call(function, run.argument, left)
        finally:
            isolate.dispose()

    def _source_of(self, run: protocol.Run) -> str:
        if run.source is not None:
            if len(self._sources) >= SOURCES_MAX:
                self._sources.pop(next(iter(self._sources)))
            self._sources[run.digest] = run.source
        return self._sources[run.digest]

    def _ask(self, run_id: int, name: str, arguments: str) -> str:
        self._send(protocol.HostCall(id=run_id, name=str(name), arguments=str(arguments)))
        answer = self._receive()
        if not isinstance(answer, protocol.HostResult):
            raise SystemExit("the server broke the protocol")
        if not answer.ok:
            raise RuntimeError(answer.value)
        return answer.value

    def _send(self, message: protocol.FromWorker) -> None:
        self._socket.sendall(protocol.frame(message))

    def _receive(self) -> protocol.ToWorker | None:
        header = self._read(protocol.HEADER_BYTES)
        if not header:
            return None
        message: protocol.ToWorker = protocol.decode_to_worker(self._read(protocol.length_of(header)))
        return message

    def _read(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            piece = self._socket.recv(count - len(data))
            if not piece:
                return b""
            data += piece
        return bytes(data)


def main() -> None:
    """Serve the socket that is our standard input."""
    connection = socket.socket(fileno=0)
    freeze_heap()
    Worker(connection).loop()
