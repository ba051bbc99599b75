"""What somebody without any role may do on single things: nothing but what was granted, on those, and nothing on others."""

from __future__ import annotations

import httpx
import pytest
from tests.acceptance.house import PASSWORD, ROOT, House
from tests.acceptance.test_privacy import send_logs


async def newcomer(world: House, *grants: tuple[str, str]) -> httpx.AsyncClient:
    """Somebody with no role at all, and these grants: permission and resource."""
    root = world.clients[ROOT]
    user = (await root.post("/api/users", json={"name": "newcomer"})).json()["id"]
    link = (await root.post(f"/api/users/{user}/reset")).json()["url"].partition("=")[2]
    browser = await world.client(**{"User-Agent": "Firefox/140"})
    assert (await browser.post("/auth/reset", json={"link": link, "password": PASSWORD})).status_code == 204
    for permission, resource in grants:
        body = {"subject": f"user:{user}", "permission": permission, "resource": resource}
        assert (await root.post("/api/grants", json=body)).status_code == 201
    answer = await browser.post("/auth/login", json={"name": "newcomer", "password": PASSWORD})
    browser.headers["X-CSRF-Token"] = answer.cookies["runstead-csrf"]
    return browser


@pytest.mark.req("AUTH-005")
async def test_one_endpoint(world: House) -> None:
    call = {"params": {"text": "a b"}}
    nobody = await newcomer(world, ("endpoints.read", "endpoint:other"))
    assert (await nobody.post("/wordcount", json=call)).status_code == 403
    assert (await nobody.get("/api/endpoints")).json() == {"endpoints": []}
    assert (await nobody.get("/api/endpoints/wordcount/runs")).status_code == 403


@pytest.mark.req("AUTH-005")
async def test_an_endpoint_that_was_granted(world: House) -> None:
    call = {"params": {"text": "a b"}}
    somebody = await newcomer(world, ("endpoints.*", "endpoint:wordcount"))
    assert (await somebody.post("/wordcount", json=call)).status_code == 200
    assert (await somebody.post("/api/endpoints/wordcount/try", json=call)).status_code == 200
    assert [one["name"] for one in (await somebody.get("/api/endpoints")).json()["endpoints"]] == [
        "wordcount"
    ]
    runs = (await somebody.get("/api/endpoints/wordcount/runs")).json()["runs"]
    assert len(runs) == 2
    assert (await somebody.get("/api/scripts")).status_code == 403


@pytest.mark.req("AUTH-005")
async def test_a_log_project_that_was_granted(world: House) -> None:
    root = world.clients[ROOT]
    await send_logs(root, ["ada"])
    assert (await root.post("/admin/projects", json={"slug": "hidden"})).status_code == 201
    # So that there is something of another project.
    await root.post("/wordcount", json={"params": {"text": "a"}})
    somebody = await newcomer(world, ("logs.read", "log:shop"))
    for params in ({}, {"project": "shop"}, {"q": "basket"}):
        found = (await somebody.get("/api/log", params=params)).json()["logs"]
        assert {one["project"] for one in found} == {"shop"}, params
    for slug in ("hidden", "runstead"):
        assert (await somebody.get("/api/log", params={"project": slug})).status_code == 403, slug
    assert (await somebody.get("/admin/projects")).status_code == 403


@pytest.mark.req("AUTH-005")
@pytest.mark.parametrize("resource", ["record:acme/web/build", "record:acme/web", "record:acme"])
async def test_records_by_organization_project_or_service(world: House, resource: str) -> None:
    somebody = await newcomer(world, ("records.read", resource))
    assert (await somebody.get("/v1/artifacts/acme/web/build")).status_code in (200, 404)
    for other in (
        "/v1/artifacts/acme2/web/build",
        "/v1/artifacts/other/web/build",
        "/v1/artifacts/acme/web/build/latest",
    ):
        answer = await somebody.get(other)
        assert (answer.status_code == 403) == ("acme/web/build" not in other), other
    assert (await somebody.post("/v1/artifacts", json={})).status_code == 403
