"""HTTPS only, CORS, headers by configuration."""

from __future__ import annotations

from typing import Any

import pytest
from litestar import get, post

from runstead.platform.config.settings import CorsSettings, ServerSettings
from runstead.platform.identity import guard
from runstead.testing.scenario import running


@get("/thing", guards=[guard("server.public")])
async def thing() -> dict[str, int]:
    return {"one": 1}


@post("/thing", guards=[guard("server.public")])
async def change() -> dict[str, int]:
    return {"one": 2}


@get("/html", media_type="text/html", guards=[guard("server.public")])
async def html() -> str:
    return "<p>"


ROUTES: list[Any] = [thing, change, html]
PAGE = {"Origin": "https://app.example"}
PREFLIGHT = {**PAGE, "Access-Control-Request-Method": "POST"}


def settings(**given: Any) -> ServerSettings:
    return ServerSettings(access_log=False, **given)


@pytest.mark.req("SEC-007")
async def test_readers_are_sent_over_to_https_and_the_rest_is_refused() -> None:
    async with running(routes=ROUTES, settings=settings(https="redirect")) as client:
        answer = await client.get("http://localhost:80//evil.example/x?a=1%2F2")
        assert answer.status_code == 308
        assert answer.headers["location"] == "https://localhost/evil.example/x?a=1%2F2"
        assert (await client.post("/thing")).json()["error"]["code"] == "E_HTTPS"
        carrying = await client.get("/thing", headers={"Authorization": "Bearer x"})
        assert carrying.json()["error"]["code"] == "E_HTTPS", (
            "a redirect would hide that the secret went in clear"
        )
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("https://localhost/thing")).json() == {"one": 1}


async def test_https_may_be_required_without_a_redirect() -> None:
    async with running(routes=ROUTES, settings=settings(https="require")) as client:
        assert (await client.get("/thing")).status_code == 403
        assert (await client.post("https://localhost/thing")).status_code == 201


async def test_a_trusted_proxy_tells_that_it_was_https() -> None:
    behind = settings(https="require", trusted_proxies=("127.0.0.0/8",))
    headers = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
    async with running(routes=ROUTES, settings=behind) as client:
        answer = await client.get("/thing", headers=headers)
        assert answer.status_code == 200
        assert "Strict-Transport-Security" in answer.headers
    async with running(routes=ROUTES, settings=settings(https="require")) as client:
        assert (await client.get("/thing", headers=headers)).status_code == 403


@pytest.mark.req("HTTP-007")
async def test_without_a_policy_no_page_elsewhere_reads_anything() -> None:
    async with running(routes=ROUTES) as client:
        for method, headers in (("GET", PAGE), ("OPTIONS", PREFLIGHT)):
            answer = await client.request(method, "/thing", headers=headers)
            assert not [name for name in answer.headers if name.startswith("access-control-")]
        assert (await client.post("/thing", headers=PAGE)).status_code == 403


@pytest.mark.req("HTTP-007")
@pytest.mark.req("SEC-011")
async def test_an_allowed_origin_may_and_another_may_not() -> None:
    policy = CorsSettings(origins=("https://app.example",), credentials=True)
    async with running(routes=ROUTES, settings=settings(cors=policy)) as client:
        preflight = await client.options("/thing", headers=PREFLIGHT)
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-origin"] == "https://app.example"
        assert preflight.headers["access-control-allow-credentials"] == "true"
        assert "PUT" in preflight.headers["access-control-allow-methods"]
        assert "Authorization" in preflight.headers["access-control-allow-headers"]
        answer = await client.post("/thing", headers=PAGE)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (201, PAGE["Origin"])
        assert "X-Request-ID" in answer.headers["access-control-expose-headers"]
        missing = await client.get("/nothing", headers=PAGE)
        assert missing.headers["access-control-allow-origin"] == PAGE["Origin"], "errors can be read as well"
        for origin in (
            "https://evil.example",
            "https://app.example.evil.example",
            "http://app.example",
            "null",
        ):
            other = {**PREFLIGHT, "Origin": origin}
            assert (
                "access-control-allow-origin" not in (await client.options("/thing", headers=other)).headers
            )
            assert (await client.post("/thing", headers={"Origin": origin})).status_code == 403
        plain = await client.get("/thing")
        assert "Origin" in plain.headers["vary"]


@pytest.mark.req("HTTP-007")
async def test_any_origin_gets_no_credentials() -> None:
    async with running(routes=ROUTES, settings=settings(cors=CorsSettings(origins=("*",)))) as client:
        answer = await client.get("/thing", headers=PAGE)
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.req("SEC-007")
async def test_headers_are_as_the_operator_says() -> None:
    changed = settings(headers={"X-Frame-Options": "SAMEORIGIN", "Permissions-Policy": ""})
    async with running(routes=ROUTES, settings=changed) as client:
        headers = (await client.get("/thing")).headers
    assert headers["x-frame-options"] == "SAMEORIGIN"
    assert "permissions-policy" not in headers
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.req("SEC-002")
async def test_each_answer_has_a_nonce_of_its_own() -> None:
    policy = "script-src 'nonce-{nonce}'"
    async with running(routes=ROUTES, settings=settings(content_security_policy=policy)) as client:
        policies = {(await client.get("/html")).headers["content-security-policy"] for _ in range(10)}
        assert len(policies) == 10
        assert all(len(one) >= len("script-src 'nonce-'") + 22 for one in policies)
        assert "content-security-policy" not in (await client.get("/thing")).headers
        own = (await client.get("/docs")).headers.get_list("content-security-policy")
        assert len(own) == 1
        assert "default-src 'none'" in own[0]
