from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstead.capabilities.endpoints.gate import Gate, GateFullError


async def test_slots_are_taken_then_the_queue_then_none() -> None:
    gate = Gate(1, 1)
    await gate.enter()
    waiter = asyncio.ensure_future(gate.enter())
    await asyncio.sleep(0)
    with pytest.raises(GateFullError):
        await gate.enter()
    gate.leave()
    await waiter
    assert (gate.running, gate.waiting) == (1, 0)
    gate.leave()
    assert gate.running == 0


async def test_whoever_came_first_goes_first() -> None:
    gate, order = Gate(1, 10), list[int]()
    await gate.enter()

    async def one(number: int) -> None:
        await gate.enter()
        order.append(number)
        gate.leave()

    waiters = [asyncio.ensure_future(one(number)) for number in range(5)]
    await asyncio.sleep(0)
    gate.leave()
    await asyncio.gather(*waiters)
    assert order == [0, 1, 2, 3, 4]
    assert gate.running == 0


async def test_who_gives_up_while_waiting_leaves_the_queue() -> None:
    gate = Gate(1, 1)
    await gate.enter()
    waiter = asyncio.ensure_future(gate.enter())
    await asyncio.sleep(0)
    waiter.cancel()
    await asyncio.wait([waiter])
    assert gate.waiting == 0
    gate.leave()
    assert gate.running == 0


async def test_a_slot_handed_to_one_who_gives_up_in_the_same_step_is_passed_on() -> None:
    gate = Gate(1, 2)
    await gate.enter()
    first, second = (asyncio.ensure_future(gate.enter()) for _ in range(2))
    await asyncio.sleep(0)
    gate.leave()
    first.cancel()
    await asyncio.wait([first])
    await second
    assert first.cancelled()
    assert (gate.running, gate.waiting) == (1, 0)


@given(
    slots=st.integers(1, 4),
    limit=st.integers(0, 4),
    steps=st.lists(st.sampled_from(["in", "out", "give up"]), max_size=40),
)
def test_never_more_run_than_slots_or_wait_than_the_limit(slots: int, limit: int, steps: list[str]) -> None:
    async def play() -> None:
        gate = Gate(slots, limit)
        inside: list[asyncio.Future[None]] = []
        for step in steps:
            if step == "in":
                inside.append(asyncio.ensure_future(gate.enter()))
            elif step == "out" and any(f.done() and not f.exception() for f in inside):
                inside.remove(next(f for f in inside if f.done() and not f.exception()))
                gate.leave()
            elif step == "give up" and any(not f.done() for f in inside):
                victim = next(f for f in inside if not f.done())
                victim.cancel()
                inside.remove(victim)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            inside = [f for f in inside if not (f.done() and f.exception())]
            entered = sum(f.done() for f in inside)
            assert gate.running == entered <= slots
            assert gate.waiting == len(inside) - entered <= limit
        for future in inside:
            future.cancel()
        await asyncio.gather(*inside, return_exceptions=True)

    asyncio.run(play())
