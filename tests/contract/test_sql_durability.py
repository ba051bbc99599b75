"""What was acknowledged is there after a kill."""

from __future__ import annotations

import signal
import subprocess
import sys

import sqlalchemy as sa

from runstead.platform.storage.sql import Database

ACKNOWLEDGED_MIN = 300

WRITER = """
import asyncio, itertools, sys
from runstead.platform.storage.sql import Database

async def write_forever(db, numbers):
    for number in numbers:
        await db.write(lambda c: c.exec_driver_sql(f"INSERT INTO things VALUES ({number})").rowcount)
        print(number, flush=True)

async def main(url):
    async with Database(url) as db:
        await db.change_schema(lambda c: c.exec_driver_sql("CREATE TABLE things (id INTEGER PRIMARY KEY)").rowcount)
        numbers = itertools.count()
        await asyncio.gather(*(write_forever(db, numbers) for _ in range(16)))

asyncio.run(main(sys.argv[1]))
"""


async def test_no_acknowledged_write_is_lost_when_the_process_is_killed(database_url: str) -> None:
    with subprocess.Popen(  # noqa: ASYNC220 - nothing else runs on this loop
        [sys.executable, "-c", WRITER, database_url], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            acknowledged = [int(process.stdout.readline()) for _ in range(ACKNOWLEDGED_MIN)]
        finally:
            process.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in process.stdout if line.endswith("\n")]
    assert process.returncode == -signal.SIGKILL

    async with Database(database_url) as db:
        present = await db.read(lambda c: set(c.execute(sa.text("SELECT id FROM things")).scalars()))
    assert set(acknowledged) <= present
    # At most what each of the 16 had under way when it ended.
    assert len(present - set(acknowledged)) <= 16
