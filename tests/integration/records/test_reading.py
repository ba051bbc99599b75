"""Finding records again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from tests.integration.records.conftest import RUN, SERVICE, World, open_records

from runstead.platform.storage.objects import Objects
from runstead.testing.clock import FakeClock

START = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.req("REC-010")
async def test_a_run_reads_as_it_is_kept(world: World) -> None:
    location = (await world.put()).json()["location"]
    response = await world.client.get(f"{SERVICE}/runs/run-1")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.content == await world.objects.get(location)


@pytest.mark.parametrize("what", ["runs/run-1", "latest"])
async def test_a_client_that_has_it_is_told_so(world: World, what: str) -> None:
    await world.put()
    first = await world.client.get(f"{SERVICE}/{what}")
    etag = first.headers["etag"]
    for given in (etag, f'"other", W/{etag}', "*"):
        again = await world.client.get(f"{SERVICE}/{what}", headers={"If-None-Match": given})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    other = await world.client.get(f"{SERVICE}/{what}", headers={"If-None-Match": '"other"'})
    assert other.status_code == 200


async def test_head_answers_like_get_without_the_body(world: World) -> None:
    await world.put()
    got = await world.client.get(f"{SERVICE}/latest")
    head = await world.client.head(f"{SERVICE}/latest")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["etag"] == got.headers["etag"]
    assert head.headers["content-length"] == got.headers["content-length"]


@pytest.mark.parametrize("path", ["runs/run-2", f"runs/{RUN}", "latest"])
async def test_what_is_not_there_is_404(world: World, path: str) -> None:
    response = await world.client.get(f"{SERVICE}x/{path}")
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "E_NOT_FOUND"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/artifacts/.hidden/shop/checkout/latest",
        "/v1/artifacts/acme/%2e%2e/checkout",
        "/v1/artifacts/acme/shop/check%00out/latest",
        f"{SERVICE}/runs/{'x' * 129}",
        f"{SERVICE}?commit=..",
        f"{SERVICE}?since=yesterday",
        f"{SERVICE}?until=2026-01-31",
        f"{SERVICE}?limit=0",
        f"{SERVICE}?limit=1001",
        f"{SERVICE}?limit=%D9%A3",
        f"{SERVICE}?cursor=../../latest",
        f"{SERVICE}?" + "&".join(f"a{n}=1" for n in range(60)),
    ],
)
async def test_a_parameter_that_is_none_is_400(world: World, path: str) -> None:
    response = await world.client.get(path)
    assert response.status_code == 400, response.text
    assert response.json()["error"]["details"][0]["field"]


@pytest.mark.parametrize("path", ["/v1/artifacts/acme", f"{SERVICE}/runs", f"{SERVICE}/runs/a/b"])
async def test_other_paths_are_nobodys(world: World, path: str) -> None:
    assert (await world.client.get(path)).status_code == 404


@pytest.mark.req("REC-010")
async def test_latest_is_what_was_received_last_whatever_its_date(world: World) -> None:
    await world.put(run_id="new", generated_at="2026-06-01T00:00:00Z")
    await world.put(run_id="backfilled", generated_at="2020-01-01T00:00:00Z")
    assert (await world.client.get(f"{SERVICE}/latest")).json()["run_id"] == "backfilled"


async def test_a_service_without_records_has_an_empty_list(world: World) -> None:
    response = await world.client.get(SERVICE)
    assert response.json() == {"runs": [], "next_cursor": None}


async def _fill(objects: Objects) -> World:
    """Seven runs, one every twelve hours, of two commits."""
    clock = FakeClock(START)
    service, opening = open_records(objects, clock=clock)
    async with opening as client:
        world = World(client, objects, service)
        for number in range(7):
            await world.put(run_id=f"run-{number}", commit_sha=f"c{number % 2}")
            clock.advance(timedelta(hours=12).total_seconds())
    return world


def _ids(page: dict[str, list[dict[str, str]]]) -> list[str]:
    return [run["run_id"][-1] for run in page["runs"]]


@pytest.mark.req("REC-010")
async def test_runs_are_listed_newest_first_page_by_page(objects: Objects) -> None:
    await _fill(objects)
    _, opening = open_records(objects)
    async with opening as client:
        assert _ids((await client.get(SERVICE)).json()) == list("6543210")
        seen, cursor = [], None
        while True:
            page = (
                await client.get(SERVICE, params={"limit": 3} | ({"cursor": cursor} if cursor else {}))
            ).json()
            seen.append("".join(_ids(page)))
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert seen == ["654", "321", "0"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"commit": "c1"}, "531"),
        ({"commit": "c1", "limit": "2"}, "53"),
        ({"commit": "c1", "until": "2026-02-02T00:00:00Z"}, "1"),
        ({"commit": "unknown"}, ""),
        ({"since": "2026-02-02T12:00:00Z"}, "654"),
        ({"since": "2026-02-02T12:00:00.000001Z"}, "65"),
        ({"until": "2026-02-01T12:00:00Z"}, "10"),
        ({"until": "2026-02-01T12:00:00.000001Z"}, "210"),
        ({"since": "2026-02-01T00:00:00+01:00", "until": "2026-02-02T01:00:00+01:00"}, "21"),
        ({"since": "1000-01-01T00:00:00Z", "until": "9999-12-31T00:00:00Z"}, "6543210"),
        ({"since": "2026-02-02T00:00:00Z", "until": "2026-02-02T00:00:00Z"}, ""),
    ],
)
@pytest.mark.req("REC-010")
async def test_runs_are_found_by_commit_and_time(
    objects: Objects, query: dict[str, str], expected: str
) -> None:
    await _fill(objects)
    _, opening = open_records(objects)
    async with opening as client:
        response = await client.get(SERVICE, params=query)
        assert "".join(_ids(response.json())) == expected
