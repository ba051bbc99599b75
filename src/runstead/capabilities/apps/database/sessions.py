"""Connections of invocations: lent, held through a transaction, given back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from runstead.capabilities.apps.database.connections import Connection, Databases
from runstead.capabilities.apps.database.limits import DatabaseSettings
from runstead.capabilities.apps.database.statements import Result, SqlBusyError, SqlError, checked
from runstead.kernel.errors import RunsteadError

T = TypeVar("T")

#: Connections that are kept open though nobody uses them: of one app, and of all.
IDLE_OF_ONE: Final = 2
IDLE_OF_ALL: Final = 32
#: Seconds after which a connection is not lent again.
AGE_SECONDS_MAX: Final = 60.0
#: Statements that run at the same time, of all apps.
THREADS: Final = 8
SAVEPOINTS_MAX: Final = 50


@dataclass(slots=True, eq=False)
class _Lent:
    connection: Connection
    opened: float = field(default_factory=time.monotonic)


class AppDatabases:
    """The databases of all apps."""

    def __init__(self, databases: Databases, settings: DatabaseSettings) -> None:
        self._databases = databases
        self.settings = settings
        self._idle: dict[str, list[_Lent]] = {}
        self._writing: dict[str, asyncio.Lock] = {}
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="runstead-app-db")

    async def close(self) -> None:
        """Close what is idle. Sessions are over by then."""
        idle = [one for many in self._idle.values() for one in many]
        self._idle.clear()
        for one in idle:
            await self.thread(one.connection.close)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def thread(self, work: Callable[[], T]) -> T:
        """Run what blocks. Who is cancelled meanwhile waits for its end: until then nobody else may have the connection."""
        running = asyncio.get_running_loop().run_in_executor(self._threads, work)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            await asyncio.wait({running})
            raise

    async def lend(self, app_id: str) -> _Lent:
        """A connection."""
        idle = self._idle.get(app_id, [])
        while idle:
            one = idle.pop()
            if time.monotonic() - one.opened < AGE_SECONDS_MAX:
                return one
            await self.thread(one.connection.close)
        await self._databases.prepare(app_id)
        return _Lent(await self.thread(lambda: self._databases.connect(app_id)))

    async def give_back(self, app_id: str, one: _Lent) -> None:
        idle = self._idle.setdefault(app_id, [])
        total = sum(len(many) for many in self._idle.values())
        if one.connection.is_usable and len(idle) < IDLE_OF_ONE and total < IDLE_OF_ALL:
            idle.append(one)
        else:
            await self.thread(one.connection.close)

    async def remove(self, app_id: str) -> None:
        """Remove the database of an app with all that is in it."""
        for one in self._idle.pop(app_id, []):
            await self.thread(one.connection.close)
        self._writing.pop(app_id, None)
        await self.thread(lambda: self._databases.remove(app_id))

    async def begin_writing(self, app_id: str) -> asyncio.Lock | None:
        """Wait for the turn to change something, where only one may; the caller releases it.

        :raises SqlBusyError: it did not come in time.
        """
        if not self._databases.has_one_writer:
            return None
        lock = self._writing.setdefault(app_id, asyncio.Lock())
        try:
            async with asyncio.timeout(self.settings.wait_ms / 1000):
                await lock.acquire()
        except TimeoutError:
            raise SqlBusyError(
                f"others changed the database for more than {self.settings.wait_ms} ms"
            ) from None
        return lock


class DatabaseSession:
    """What one invocation does with the database of its app. Its calls come one after the other, or wait for each other here."""

    def __init__(self, databases: AppDatabases, app_id: str, *, dry: bool) -> None:
        """:param dry: everything happens in a transaction that is undone."""
        self._databases = databases
        self._app_id = app_id
        self._dry = dry
        self._lent: _Lent | None = None
        self._writing: asyncio.Lock | None = None
        self._order = asyncio.Lock()
        self._until: float | None = None
        self._savepoints: list[str] = []
        self.number = 0
        self.is_open = False

    @property
    def dialect(self) -> str:
        """Of the connection, once there is one."""
        return "sqlite" if self._lent is None else self._lent.connection.dialect

    async def run(self, sql: str, parameters: Sequence[Any] = (), *, is_reading: bool = False) -> Result:
        """One statement of a script, in the transaction when there is one."""
        return await self.ours(checked(sql, parameters), parameters, is_reading=is_reading)

    async def ours(self, sql: str, parameters: Sequence[Any] = (), *, is_reading: bool = False) -> Result:
        """One statement that is known to be harmless."""
        async with self._order:
            if self._dry and not self.is_open:
                await self._begin(None)
            return await self._run(sql, parameters, is_reading=is_reading)

    async def together(self, work: Callable[[Connection], T]) -> T:
        """Several statements that nothing comes between, in a transaction of their own when there is none."""
        async with self._order:
            if self.is_open or self._dry:
                if not self.is_open:
                    await self._begin(None)
                self._check_time()
                connection = (await self._connection()).connection
                return await self._databases.thread(lambda: work(connection))
            await self._begin(None)
            try:
                connection = (await self._connection()).connection
                result = await self._databases.thread(lambda: work(connection))
            except BaseException:
                await self._end("ROLLBACK")
                raise
            await self._end("COMMIT")
            return result

    async def begin(self, timeout_ms: float | None = None) -> int:
        """Open a transaction; its number.

        :raises SqlError: one is open.
        """
        async with self._order:
            if self._dry and self.is_open and not self._savepoints:
                # All of a dry run is one transaction; what looks like one is a savepoint in it.
                await self._control('SAVEPOINT "dry"')
                self._savepoints.append("dry")
                return self.number
            await self._begin(timeout_ms)
            return self.number

    async def commit(self) -> None:
        async with self._order:
            self._insist()
            if self._dry:
                self._savepoints.clear()
                await self._control('RELEASE SAVEPOINT "dry"')
                return
            self._check_time()
            await self._end("COMMIT")

    async def rollback(self) -> None:
        async with self._order:
            self._insist()
            if self._dry:
                self._savepoints.clear()
                await self._control('ROLLBACK TO SAVEPOINT "dry"')
                return
            await self._end("ROLLBACK")

    async def savepoint(self, name: str) -> None:
        async with self._order:
            self._insist()
            if len(self._savepoints) >= SAVEPOINTS_MAX:
                raise SqlError(f"{SAVEPOINTS_MAX} savepoints are open")
            await self._control(f'SAVEPOINT "{name}"')
            self._savepoints.append(name)

    async def to_savepoint(self, name: str, *, release: bool) -> None:
        async with self._order:
            self._insist()
            if name not in self._savepoints:
                raise SqlError(f"there is no savepoint {name}")
            await self._control(f'{"RELEASE" if release else "ROLLBACK TO"} SAVEPOINT "{name}"')
            at = len(self._savepoints) - 1 - self._savepoints[::-1].index(name)
            del self._savepoints[at if release else at + 1 :]

    async def end(self, succeeded: bool) -> None:
        """The invocation is over: an open transaction is committed if it succeeded and undone if not."""
        async with self._order:
            try:
                if self.is_open:
                    is_late = self._until is not None and asyncio.get_running_loop().time() > self._until
                    await self._end("COMMIT" if succeeded and not self._dry and not is_late else "ROLLBACK")
            finally:
                self._release()
                lent, self._lent = self._lent, None
                if lent is not None:
                    await self._databases.give_back(self._app_id, lent)

    async def _connection(self) -> _Lent:
        if self._lent is None:
            self._lent = await self._databases.lend(self._app_id)
        return self._lent

    async def _run(self, sql: str, parameters: Sequence[Any], *, is_reading: bool) -> Result:
        self._check_time()
        connection = (await self._connection()).connection
        alone = not self.is_open and not is_reading
        lock = await self._databases.begin_writing(self._app_id) if alone else None
        try:
            return await self._databases.thread(
                lambda: connection.run(sql, parameters, is_reading=is_reading and not self.is_open)
            )
        finally:
            if lock is not None:
                lock.release()

    async def _begin(self, timeout_ms: float | None) -> None:
        if self.is_open:
            raise SqlError("a transaction is open already")
        connection = (await self._connection()).connection
        self._writing = await self._databases.begin_writing(self._app_id)
        begin = (
            "BEGIN IMMEDIATE" if connection.dialect == "sqlite" else "BEGIN ISOLATION LEVEL REPEATABLE READ"
        )
        try:
            await self._databases.thread(lambda: connection.control(begin))
        except BaseException:
            self._release()
            raise
        self.is_open = True
        self.number += 1
        if timeout_ms is not None:
            self._until = asyncio.get_running_loop().time() + max(0.0, timeout_ms) / 1000

    async def _end(self, how: str) -> None:
        self.is_open, self._until = False, None
        self._savepoints.clear()
        try:
            await self._control(how)
        finally:
            self._release()

    async def _control(self, statement: str) -> None:
        connection = (await self._connection()).connection
        await self._databases.thread(lambda: connection.control(statement))

    def _release(self) -> None:
        lock, self._writing = self._writing, None
        if lock is not None:
            lock.release()

    def _insist(self) -> None:
        if not self.is_open:
            raise SqlError("no transaction is open")

    def _check_time(self) -> None:
        if self._until is not None and asyncio.get_running_loop().time() > self._until:
            raise SqlBusyError("the transaction took longer than it said it would")


def told(error: RunsteadError) -> dict[str, str]:
    """As the calls by name answer."""
    return {"error": error.message}
