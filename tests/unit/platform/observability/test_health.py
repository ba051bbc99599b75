from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from runstead.kernel.capability import HealthCheck
from runstead.platform.observability import Health, Phase, Status


class TurnedClock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def now(self) -> datetime:
        return datetime(2026, 1, 31, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


async def fine() -> Mapping[str, Any]:
    return {"rows": 3}


async def broken() -> Mapping[str, Any]:
    raise ConnectionError("password=hunter22 refused")


async def stuck() -> Mapping[str, Any]:
    await asyncio.Event().wait()
    return {}


def check(name: str, probe: Any, critical: bool = True) -> HealthCheck:
    return HealthCheck(name=name, probe=probe, critical=critical)


@pytest.mark.parametrize(
    ("checks", "status"),
    [
        ([], Status.OK),
        ([check("a", fine)], Status.OK),
        ([check("a", fine), check("b", broken, critical=False)], Status.DEGRADED),
        ([check("a", fine), check("b", broken)], Status.DOWN),
        ([check("a", broken), check("b", broken, critical=False)], Status.DOWN),
        ([check("a", stuck)], Status.DOWN),
    ],
)
async def test_the_worst_critical_check_decides(checks: list[HealthCheck], status: Status) -> None:
    report = await Health(checks, timeout_seconds=0.01).report()
    assert report.status is status
    assert [result.name for result in report.checks] == [each.name for each in checks]


async def test_a_failure_is_named_but_its_text_is_not_shown() -> None:
    (result,) = (await Health([check("a", broken)]).report()).checks
    assert result.error == "ConnectionError"


async def test_facts_and_latency_are_shown() -> None:
    (result,) = (await Health([check("a", fine)]).report()).checks
    assert result.facts == {"rows": 3}
    assert result.latency_ms >= 0


async def test_a_report_is_reused_for_a_moment_only() -> None:
    calls = 0

    async def counted() -> Mapping[str, Any]:
        nonlocal calls
        calls += 1
        return {}

    clock = TurnedClock()
    health = Health([check("a", counted)], cache_seconds=1.0, clock=clock)
    await asyncio.gather(*(health.report() for _ in range(50)))
    await health.report()
    assert calls == 1
    clock.seconds += 1.1
    await health.report()
    assert calls == 2


async def test_one_who_hangs_up_does_not_spoil_it_for_the_others() -> None:
    release = asyncio.Event()

    async def waits() -> Mapping[str, Any]:
        await release.wait()
        return {}

    health = Health([check("a", waits)])
    impatient = asyncio.create_task(health.report())
    patient = asyncio.create_task(health.report())
    await asyncio.sleep(0)
    impatient.cancel()
    release.set()
    assert (await patient).status is Status.OK


async def test_checks_run_side_by_side() -> None:
    met = asyncio.Barrier(2)

    async def meets() -> Mapping[str, Any]:
        await met.wait()
        return {}

    assert (await Health([check("a", meets), check("b", meets)]).report()).status is Status.OK


async def test_ready_means_serving_and_not_down() -> None:
    health = Health([check("a", fine), check("b", broken, critical=False)])
    assert await health.is_ready()
    for phase in (Phase.STARTING, Phase.DRAINING):
        health.phase = phase
        assert not await health.is_ready()
    assert not await Health([check("a", broken)]).is_ready()


def test_two_checks_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two health checks"):
        Health([check("a", fine)]).add(check("a", broken))
