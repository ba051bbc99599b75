"""Who may write and read records."""

from __future__ import annotations

from typing import Any

import pytest
from tests.integration.records.conftest import SERVICE, document, open_records

from runstead.kernel.secret import Secret
from runstead.testing.objects import MemoryObjects
from runstead.testing.scenario import ADMIN_TOKEN, AS_ADMINISTRATOR, AS_ANYONE, AS_OPERATOR, Scenario

TOKEN = "ingest-token-of-the-test"
WITH_TOKEN = {"Authorization": f"bearer {TOKEN}"}
WRONG: list[dict[str, str]] = [
    {"Authorization": "Bearer wrong"},
    {"Authorization": f"Basic {TOKEN}"},
    {"Authorization": TOKEN},
    {"Authorization": "Bearer "},
    {"X-Admin-Token": TOKEN},
]


def _all_routes(headers: dict[str, str], *, status: int | None = None) -> list[Scenario]:
    routes = [
        ("POST", "/v1/artifacts", 202, document()),
        ("GET", f"{SERVICE}/runs/run-1", 404, None),
        ("GET", f"{SERVICE}/latest", 404, None),
        ("GET", SERVICE, 200, None),
    ]
    return [
        Scenario(name=url, method=method, url=url, status=status or good, headers=headers, json=json)
        for method, url, good, json in routes
    ]


async def _check(scenarios: list[Scenario], **settings: Any) -> None:
    for scenario in scenarios:
        _, opening = open_records(MemoryObjects(), **settings)
        async with opening as client:
            response = await scenario.run(client)
            if scenario.status == 401:
                assert response.headers["www-authenticate"].startswith("Bearer")
                assert response.json()["error"]["code"] == "E_AUTH"


TOKEN_MODE: dict[str, Any] = {"auth_mode": "token", "ingest_token": Secret(TOKEN)}


@pytest.mark.parametrize("headers", [dict(AS_ANYONE), *WRONG])
@pytest.mark.req("REC-009")
async def test_in_mode_token_nobody_else_is_let_in(headers: dict[str, str]) -> None:
    await _check(_all_routes(headers, status=401), **TOKEN_MODE)


@pytest.mark.parametrize("headers", [WITH_TOKEN, dict(AS_OPERATOR), dict(AS_ADMINISTRATOR)])
@pytest.mark.req("REC-009")
async def test_in_mode_token_its_holder_the_operator_and_the_administrator_are_let_in(
    headers: dict[str, str],
) -> None:
    await _check(_all_routes(headers), **TOKEN_MODE)


@pytest.mark.parametrize("headers", [dict(AS_ANYONE), dict(AS_ADMINISTRATOR)])
@pytest.mark.req("REC-009")
async def test_in_mode_none_everyone_on_this_machine_is_let_in(headers: dict[str, str]) -> None:
    await _check(_all_routes(headers))


@pytest.mark.req("REC-009")
async def test_in_mode_none_a_server_that_others_can_reach_lets_only_known_ones_in() -> None:
    await _check(_all_routes({}, status=401), loopback=False)
    await _check(_all_routes(dict(AS_OPERATOR)), loopback=False)


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 401), (WITH_TOKEN, 401), (dict(AS_OPERATOR), 200), (dict(AS_ADMINISTRATOR), 200)],
)
@pytest.mark.parametrize("settings", [{}, TOKEN_MODE], ids=["none", "token"])
async def test_reindex_is_never_open(headers: dict[str, str], status: int, settings: dict[str, Any]) -> None:
    scenario = Scenario(
        name="reindex", method="POST", url="/admin/records/reindex", status=status, headers=headers
    )
    await _check([scenario], **settings)


@pytest.mark.parametrize(
    ("headers", "sender"),
    [
        (WITH_TOKEN, "machine:records-ingest"),
        (dict(AS_OPERATOR), "machine:operator"),
        ({"X-Admin-Token": ADMIN_TOKEN}, "machine:administrator"),
    ],
)
async def test_the_envelope_tells_who_sent_it_and_never_the_credential(
    headers: dict[str, str], sender: str
) -> None:
    _, opening = open_records(MemoryObjects(), **TOKEN_MODE)
    async with opening as client:
        await client.post("/v1/artifacts", json=document(), headers=headers)
        record = await client.get(f"{SERVICE}/latest", headers=headers)
    assert record.json()["sent_by"] == sender
    assert TOKEN not in record.text


async def test_a_refused_sender_leaves_nothing() -> None:
    objects = MemoryObjects()
    _, opening = open_records(objects, **TOKEN_MODE)
    async with opening as client:
        await client.post("/v1/artifacts", json=document())
    assert await objects.list("") == []
