"""Durable writes to SQLite: 64 writers through the grouped writer, and one commit for each write.

Both insert the same rows with WAL and synchronous=FULL. Each is measured three times in turn; the medians count. Run it
where the data will
live: on a file system without a real fsync (tmpfs) the ratio says little.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from runstead.platform.storage.sql import Database

WRITERS = 64
GROUPED_ROWS = 16_000
SINGLE_ROWS = 1_000
ROUNDS = 3

things = sa.Table(
    "things",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("writer", sa.Integer, nullable=False),
    sa.Column("payload", sa.Text, nullable=False),
)
STATEMENT = things.insert()


def insert(writer: int) -> Any:
    def work(connection: sa.Connection) -> None:
        connection.execute(STATEMENT, {"writer": writer, "payload": "x" * 200})

    return work


async def write(db: Database, writer: int, rows: int) -> None:
    for _ in range(rows):
        await db.write(insert(writer))


async def rate(db: Database, writers: int, rows: int) -> tuple[float, float]:
    """Rows a second, and rows in one commit. A single writer waits for each commit before its next write."""
    before, started = db.stats(), time.perf_counter()
    await asyncio.gather(*(write(db, writer, rows // writers) for writer in range(writers)))
    seconds, after = time.perf_counter() - started, db.stats()
    return rows / seconds, rows / (after.groups - before.groups)


def fsync_milliseconds(folder: Path) -> float:
    """The median of an fsync after appending a page, for judging the disk."""
    times = []
    with (folder / "probe").open("wb", buffering=0) as file:
        for _ in range(50):
            file.write(b"x" * 4096)
            started = time.perf_counter()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - started)
    return statistics.median(times) * 1000


async def main(folder: Path) -> None:
    single, grouped = [], []
    async with Database(f"sqlite:///{folder}/benchmark.db") as db:
        await db.change_schema(things.metadata.create_all)
        await rate(db, WRITERS, 640)  # warm up
        for _ in range(ROUNDS):
            single.append(await rate(db, 1, SINGLE_ROWS))
            grouped.append(await rate(db, WRITERS, GROUPED_ROWS))
    one = statistics.median(rows for rows, _ in single)
    many = statistics.median(rows for rows, _ in grouped)
    in_one = statistics.median(size for _, size in grouped)
    print(f"fsync of a page: {fsync_milliseconds(folder):.2f} ms")
    print(f"one commit for each write: {one:8.0f} rows/s")
    print(f"{WRITERS} writers, grouped:      {many:8.0f} rows/s, {in_one:.0f} rows in one commit")
    print(f"ratio: {many / one:.1f}")


if __name__ == "__main__":
    where = Path(sys.argv[1]) if len(sys.argv) > 1 else Path.cwd()
    with tempfile.TemporaryDirectory(prefix=".benchmark-", dir=where) as temporary:
        asyncio.run(main(Path(temporary)))
