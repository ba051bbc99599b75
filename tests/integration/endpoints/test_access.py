"""Who may call, and what becomes of guessing."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from tests.integration.endpoints.conftest import declare, shell, world

from runstead.capabilities.endpoints import RunsSettings
from runstead.kernel.clock import SystemClock
from runstead.testing.scenario import AS_ADMINISTRATOR, AS_OPERATOR, OPERATOR_PASSWORD

WRONG = {"Authorization": "Bearer wrong"}


class SteppedClock(SystemClock):
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.mark.req("EP-002")
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        (WRONG, 401),
        ({"X-Master-Password": "wrong"}, 401),
        ({"Authorization": f"Basic {OPERATOR_PASSWORD}"}, 401),
        ({"X-Master-Password": OPERATOR_PASSWORD}, 200),
        ({"Authorization": f"Bearer {OPERATOR_PASSWORD}"}, 200),
        (dict(AS_ADMINISTRATOR), 200),
    ],
    ids=str,
)
async def test_with_a_password_only_who_has_it_may_call(
    tmp_path: Path, headers: dict[str, str], status: int
) -> None:
    async with world(tmp_path, [declare(shell(tmp_path, "echo '{}'"))], open_door=False) as served:
        response = await served.client.post("/a", headers=headers)
        assert len(served.runs()) == (1 if status == 200 else 0)
    assert response.status_code == status
    if status == 401:
        assert response.json()["error"]["code"] == "E_AUTH"
        assert "WWW-Authenticate" in response.headers


async def test_without_a_password_everyone_on_loopback_may_call(tmp_path: Path) -> None:
    async with world(tmp_path, [declare(shell(tmp_path, "echo '{}'"))]) as served:
        for headers in ({}, WRONG):
            assert (await served.client.post("/a", headers=headers)).status_code == 200


@pytest.mark.req("EP-002")
async def test_the_right_password_is_refused_too_while_locked_and_admitted_after(tmp_path: Path) -> None:
    clock = SteppedClock()
    script = shell(tmp_path, "echo '{}'")
    async with world(tmp_path, [declare(script)], open_door=False, clock=clock) as served:
        for _ in range(5):
            assert (await served.client.post("/a", headers=WRONG)).status_code == 401
        for headers in (WRONG, dict(AS_OPERATOR)):
            locked = await served.client.post("/a", headers=headers)
            assert (locked.status_code, locked.json()["error"]["code"]) == (429, "E_LOCKED")
            assert locked.headers["Retry-After"] == "1"
        clock.seconds += 1.001
        assert (await served.client.post("/a", headers=WRONG)).status_code == 401
        locked = await served.client.post("/a", headers=dict(AS_OPERATOR))
        assert (locked.status_code, locked.headers["Retry-After"]) == (429, "2")
        clock.seconds += 2.001
        assert (await served.client.post("/a", headers=dict(AS_OPERATOR))).status_code == 200
        for _ in range(4):
            assert (await served.client.post("/a", headers=WRONG)).status_code == 401
        assert (await served.client.post("/a", headers=dict(AS_OPERATOR))).status_code == 200


@pytest.mark.req("EP-002")
async def test_of_fifty_parallel_guesses_no_more_than_the_attempts_are_tried(tmp_path: Path) -> None:
    runs = RunsSettings(lockout_attempts=3)
    script = shell(tmp_path, "echo '{}'")
    async with world(tmp_path, [declare(script)], open_door=False, runs=runs, clock=SteppedClock()) as served:
        guesses = [served.client.post("/a", headers={"X-Master-Password": f"guess-{i}"}) for i in range(50)]
        statuses = Counter(response.status_code for response in await asyncio.gather(*guesses))
    assert statuses == {401: 3, 429: 47}
