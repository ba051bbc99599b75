"""One worker as the server sees it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from runstead.platform.execution.script.errors import ScriptCrashError
from runstead.platform.execution.script.launch import start_worker
from runstead.platform.execution.script.model import Invocation, Program
from runstead.platform.execution.script.sealed import protocol

#: Digests that a worker is believed to hold; fewer than it keeps, so that it never lacks one.
_KNOWN_MAX: Final = 128
#: Console lines of one invocation that are kept.
CONSOLE_LINES_MAX: Final = 1000

OnHostCall = Callable[[str, str], Awaitable[str]]


class WorkerProcess:
    """A process that runs one invocation at a time. Whoever breaks the protocol, by accident or on purpose, is killed."""

    def __init__(self, *, sealed: bool) -> None:
        self._sealed = sealed
        self._known: dict[str, None] = {}
        self._next_id = 0
        self.served = 0

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    async def start(self) -> None:
        """:raises OSError: the system refuses to start it."""
        self._process, connection = await asyncio.to_thread(lambda: start_worker(sealed=self._sealed))
        self._reader, self._writer = await asyncio.open_connection(sock=connection, limit=2**16)

    async def run(
        self,
        program: Program,
        invocation: Invocation,
        on_host_call: OnHostCall,
        console: list[tuple[str, str]],
    ) -> protocol.Done:
        """Do it and wait for the end; the time limit is the caller's.

        :raises ScriptCrashError: the worker ended, or spoke out of turn.
        """
        self._next_id += 1
        self.served += 1
        limits = invocation.limits
        request = protocol.Run(
            id=self._next_id,
            kind=invocation.kind,
            digest=program.digest,
            file=program.file,
            source=None if program.digest in self._known else program.source,
            function=invocation.function,
            argument=msgspec.json.encode(invocation.argument).decode(),
            script_seconds=limits.script_seconds,
            heap_bytes=limits.heap_bytes,
            stack_bytes=limits.stack_bytes,
        )
        self._remember(program.digest)
        try:
            await self._send(request)
            while True:
                message = await self._receive()
                if message.id != self._next_id:
                    raise ValueError("a message of another invocation")
                if isinstance(message, protocol.Done):
                    return message
                if isinstance(message, protocol.Console):
                    if len(console) < CONSOLE_LINES_MAX:
                        console.append((message.level, message.text))
                else:
                    await self._answer(message, on_host_call)
        except (OSError, EOFError, ValueError, msgspec.MsgspecError) as error:
            raise ScriptCrashError from error

    async def _answer(self, call: protocol.HostCall, on_host_call: OnHostCall) -> None:
        try:
            result = protocol.HostResult(ok=True, value=await on_host_call(call.name, call.arguments))
        except Exception as error:  # noqa: BLE001 - the script gets the public text, whatever it is
            result = protocol.HostResult(ok=False, value=getattr(error, "message", "the call failed"))
        await self._send(result)

    def _remember(self, digest: str) -> None:
        self._known.pop(digest, None)
        self._known[digest] = None
        if len(self._known) > _KNOWN_MAX:
            self._known.pop(next(iter(self._known)))

    async def _send(self, message: protocol.ToWorker) -> None:
        self._writer.write(protocol.frame(message))
        await self._writer.drain()

    async def _receive(self) -> protocol.FromWorker:
        header = await self._reader.readexactly(protocol.HEADER_BYTES)
        message: protocol.FromWorker = protocol.decode_from_worker(
            await self._reader.readexactly(protocol.length_of(header))
        )
        return message

    async def end(self) -> str:
        """Kill it, reap it; what it wrote to standard error, cut."""
        self._writer.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        return await asyncio.to_thread(self._reap)

    def _reap(self) -> str:
        self._process.wait()
        if self._process.stderr is None:
            return ""
        with self._process.stderr as stream:
            return stream.read(4096).decode(errors="replace")
