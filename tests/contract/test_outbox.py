"""The outbox, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from runstead.kernel.errors import UnavailableError
from runstead.kernel.events import Event
from runstead.platform.storage.sql import MIGRATIONS, Database, Outbox, migrate, outbox

Handler = Callable[[Event], Awaitable[None]]


class HurriedClock:
    """Sleeping takes no time on this clock: it jumps to when the sleeper wakes."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self._now = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._now.timestamp()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)
        self.slept.append(seconds)
        self._now += timedelta(seconds=seconds)


class Receiver:
    """A handler that keeps what it got, and fails when told to."""

    def __init__(self, expected: int, *, error: Exception | None = None, failures: int = 10**9) -> None:
        self.got: list[Event] = []
        self.calls = 0
        self.done = asyncio.Event()
        self._expected = expected
        self._error = error
        self._failures = failures

    async def __call__(self, event: Event) -> None:
        self.calls += 1
        if self._error is not None and self.calls <= self._failures and event.payload.get("bad", True):
            raise self._error
        self.got.append(event)
        if len(self.got) >= self._expected:
            self.done.set()

    async def wait(self) -> list[object]:
        await asyncio.wait_for(self.done.wait(), 10)
        return [event.payload["n"] for event in self.got]


@pytest.fixture
async def db(database: Database) -> Database:
    await migrate(database, {"platform": MIGRATIONS})
    return database


def add(number: int, topic: str = "things.made", *, bad: bool = False) -> Callable[[sa.Connection], str]:
    return lambda connection: Outbox.add(connection, topic, {"n": number, "bad": bad})


async def test_an_event_arrives_after_its_commit_without_waiting_for_a_poll(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "POLL_SECONDS", 3600.0)
    receiver = Receiver(1)
    async with Outbox(db, {"things.made": receiver}) as box:
        await box.waiting()
        event_id = await db.write(add(1))
        assert await receiver.wait() == [1]
    assert receiver.got[0] == Event(id=event_id, topic="things.made", payload={"n": 1, "bad": False})
    assert await box.waiting() == {}


async def test_an_event_of_a_failed_transaction_never_arrives(db: Database) -> None:
    def work(connection: sa.Connection) -> None:
        add(1)(connection)
        raise ZeroDivisionError

    receiver = Receiver(1)
    async with Outbox(db, {"things.made": receiver}):
        with pytest.raises(ZeroDivisionError):
            await db.write(work)
        await db.write(add(2))
        assert await receiver.wait() == [2]


async def test_events_of_one_topic_arrive_in_the_order_of_writing_past_several_batches(db: Database) -> None:
    count = 3 * outbox.BATCH_EVENTS_MAX + 7
    receiver = Receiver(count)

    def add_ten(first: int) -> Callable[[sa.Connection], None]:
        return lambda c: [add(n)(c) for n in range(first, min(first + 10, count))].clear()

    for first in range(0, count, 10):
        await db.write(add_ten(first))
    async with Outbox(db, {"things.made": receiver}) as box:
        assert await receiver.wait() == list(range(count))
    assert await box.waiting() == {}


async def test_what_was_committed_before_a_restart_is_delivered_after_it(database_url: str) -> None:
    async with Database(database_url) as db:
        await migrate(db, {"platform": MIGRATIONS})
        await db.write(add(1))
    receiver = Receiver(1)
    async with Database(database_url) as db, Outbox(db, {"things.made": receiver}):
        assert await receiver.wait() == [1]


async def test_an_event_whose_process_was_killed_during_delivery_is_delivered_again(
    database_url: str,
) -> None:
    script = """
import asyncio, sys
from runstead.platform.storage.sql import MIGRATIONS, Database, Outbox, migrate

async def handler(event):
    print(event.id, flush=True)
    await asyncio.sleep(3600)

async def main(url):
    async with Database(url) as db:
        await migrate(db, {"platform": MIGRATIONS})
        async with Outbox(db, {"things.made": handler}):
            await db.write(lambda connection: Outbox.add(connection, "things.made", {"n": 7}))
            await asyncio.sleep(3600)

asyncio.run(main(sys.argv[1]))
"""
    with subprocess.Popen(  # noqa: ASYNC220 - nothing else runs on this loop
        [sys.executable, "-c", script, database_url], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        event_id = process.stdout.readline().strip()
        process.send_signal(signal.SIGKILL)
    receiver = Receiver(1)
    async with Database(database_url) as db, Outbox(db, {"things.made": receiver}):
        assert await receiver.wait() == [7]
    assert receiver.got[0].id == event_id


async def test_a_handler_that_fails_for_a_while_gets_the_event_again_with_growing_pauses(
    db: Database,
) -> None:
    clock = HurriedClock()
    receiver = Receiver(2, error=ValueError("not now"), failures=4)
    await db.write(add(1, bad=True))
    await db.write(add(2))
    async with Outbox(db, {"things.made": receiver}, clock=clock):
        assert await receiver.wait() == [1, 2]
    assert receiver.calls == 6
    assert 0.25 <= clock.slept[0] <= 0.5
    assert 0.5 <= clock.slept[1] <= 1
    assert 2 <= sum(clock.slept[2:4]) <= 6


async def test_a_poisoned_event_is_parked_and_those_behind_it_arrive(db: Database) -> None:
    receiver = Receiver(2, error=ValueError("cannot read this"))
    for number in (1, 2, 3):
        await db.write(add(number, bad=number == 2))
    async with Outbox(db, {"things.made": receiver}, clock=HurriedClock()) as box:
        assert await receiver.wait() == [1, 3]
        parked = await box.parked()
    assert receiver.calls == 2 + outbox.ATTEMPTS_MAX
    assert [(one.event.payload["n"], one.attempts) for one in parked] == [(2, outbox.ATTEMPTS_MAX)]
    assert parked[0].error == "ValueError: cannot read this"
    assert await box.waiting() == {}


async def test_a_topic_that_fails_does_not_hold_up_another(db: Database) -> None:
    blocked = asyncio.Event()

    async def hang(_: Event) -> None:
        blocked.set()
        await asyncio.Event().wait()

    receiver = Receiver(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outbox, "STOP_SECONDS_MAX", 0.05)
        async with Outbox(db, {"things.hang": hang, "things.made": receiver}) as box:
            await db.write(add(1, "things.hang"))
            await blocked.wait()
            await db.write(add(2))
            assert await receiver.wait() == [2]
    assert await box.waiting() == {"things.hang": 1}


@pytest.mark.parametrize("error", [UnavailableError("away"), ConnectionRefusedError()])
async def test_an_event_is_not_parked_because_its_receiver_is_away(db: Database, error: Exception) -> None:
    failures = 3 * outbox.ATTEMPTS_MAX
    clock = HurriedClock()
    receiver = Receiver(1, error=error, failures=failures)
    await db.write(add(1, bad=True))
    async with Outbox(db, {"things.made": receiver}, clock=clock) as box:
        assert await receiver.wait() == [1]
        assert await box.parked() == []
    assert receiver.calls == failures + 1
    assert max(clock.slept) <= outbox.BACK_OFF_SECONDS_MAX


async def test_a_receiver_that_was_away_for_long_does_not_make_the_first_real_failure_final(
    db: Database,
) -> None:
    calls = 0
    done = asyncio.Event()

    async def handler(_: Event) -> None:
        nonlocal calls
        calls += 1
        if calls <= 20:
            raise UnavailableError
        if calls <= 22:
            raise ValueError("once or twice")
        done.set()

    await db.write(add(1))
    async with Outbox(db, {"things.made": handler}, clock=HurriedClock()):
        await asyncio.wait_for(done.wait(), 10)
    assert calls == 23


async def test_a_parked_event_can_be_taken_up_again(db: Database) -> None:
    receiver = Receiver(1, error=ValueError("mended later"), failures=outbox.ATTEMPTS_MAX)
    event_id = await db.write(add(1, bad=True))
    await db.write(add(2))
    async with Outbox(db, {"things.made": receiver}, clock=HurriedClock()) as box:
        assert await receiver.wait() == [2]
        receiver.done.clear()
        assert await box.retry(event_id)
        assert await receiver.wait() == [2, 1]
        assert not await box.retry(event_id)
        assert not await box.retry("no such event")


async def test_events_without_a_handler_stay_until_there_is_one(db: Database) -> None:
    receiver, later = Receiver(1), Receiver(1)
    async with Outbox(db, {"things.made": receiver}) as box:
        await db.write(add(1, "things.other"))
        await db.write(add(2))
        await receiver.wait()
    assert await box.waiting() == {"things.other": 1}
    async with Outbox(db, {"things.other": later}):
        assert await later.wait() == [1]


async def test_closing_lets_the_handler_that_runs_finish(db: Database) -> None:
    began, go_on = asyncio.Event(), asyncio.Event()
    got: list[object] = []

    async def slow(event: Event) -> None:
        began.set()
        await go_on.wait()
        got.append(event.payload["n"])

    box = Outbox(db, {"things.made": slow})
    async with asyncio.TaskGroup() as group:
        await box.__aenter__()
        await db.write(lambda c: [add(1)(c), add(2)(c)])
        await began.wait()
        closing = group.create_task(box.__aexit__(None, None, None))
        await asyncio.sleep(0)
        go_on.set()
        await closing
    assert got == [1]
    assert await box.waiting() == {"things.made": 1}


async def test_an_event_that_another_process_wrote_is_found_by_polling(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "POLL_SECONDS", 0.02)
    receiver = Receiver(1)
    async with Database(database_url) as here, Database(database_url) as elsewhere:
        await migrate(here, {"platform": MIGRATIONS})
        async with Outbox(here, {"things.made": receiver}):
            await elsewhere.write(add(1))
            assert await receiver.wait() == [1]


async def test_a_payload_that_is_too_large_or_no_json_is_refused(db: Database) -> None:
    with pytest.raises(ValueError, match="larger than"):
        await db.write(lambda c: Outbox.add(c, "things.made", {"x": "y" * outbox.PAYLOAD_BYTES_MAX}))
    with pytest.raises(ValueError, match="JSON"):
        await db.write(lambda c: Outbox.add(c, "things.made", {"x": float("nan")}))
    with pytest.raises(TypeError):
        await db.write(lambda c: Outbox.add(c, "things.made", {"x": object()}))
