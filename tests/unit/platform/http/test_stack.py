"""The whole stack, through the door."""

from __future__ import annotations

import asyncio
import io
import json
import re
from collections.abc import Iterator
from typing import Annotated, Any

import httpx
import msgspec
import pytest
import structlog
from litestar import Request, delete, get, post
from litestar.params import FromPath, JSONBody, QueryParameter
from tests.unit.platform.http.driver import Conversation

from runstead.kernel.capability import Capability, HealthCheck
from runstead.kernel.errors import ConflictError, TooManyRequestsError
from runstead.kernel.ids import is_uuid
from runstead.kernel.secret import Secret
from runstead.platform.config.settings import ObservabilitySettings, ServerSettings
from runstead.platform.http import (
    actor_of,
    body_limit,
    build_app,
    guard,
    json_response,
    read_body,
    request_id_of,
    set_route,
)
from runstead.platform.identity import Identity
from runstead.platform.observability import Health, Metrics, Phase, Redactor, configure_logging
from runstead.testing.scenario import AS_ADMINISTRATOR, AS_OPERATOR, Scenario, running


class Order(msgspec.Struct, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(max_length=10)]
    count: int = 1


@post("/orders")
async def order(data: JSONBody[Order]) -> Order:
    return data


@post("/small", opt={"body_max_bytes": 10})
async def small(request: Request[Any, Any, Any]) -> dict[str, int]:
    return {"bytes": len(await request.body())}


@post("/large/{name:str}", opt={"body_max_bytes": 3_000_000})
async def large(name: FromPath[str], request: Request[Any, Any, Any]) -> dict[str, int]:
    return {"bytes": len(await request.body())}


@get("/conflict")
async def conflict() -> None:
    raise ConflictError("taken", details={"by": "someone"})


@get("/busy")
async def busy() -> None:
    raise TooManyRequestsError(headers={"Retry-After": "3"})


@get("/broken")
async def broken() -> None:
    raise ValueError("the cause, which nobody may see")


@get("/numbers/{number:int}")
async def numbers(number: FromPath[int], page: Annotated[int, QueryParameter(ge=1)] = 1) -> dict[str, int]:
    return {"number": number, "page": page}


@get("/who")
async def who(request: Request[Any, Any, Any]) -> dict[str, str]:
    return {"actor": str(actor_of(request.scope)), "request_id": request_id_of(request.scope)}


@delete("/apps/one", guards=[guard("apps.write")])
async def remove() -> None:
    """Only an administrator may."""


@get("/framed")
async def framed() -> Any:
    from litestar import Response

    return Response("<p>", media_type="text/html", headers={"X-Frame-Options": "SAMEORIGIN"})


ROUTES = [order, small, large, conflict, busy, broken, numbers, who, remove, framed]


NOT_UTF8 = b'{"name":"\xff"}'


class Door:
    """A dispatcher that takes everything below /door."""

    def match(self, scope: Any) -> Any:
        return self.serve if scope["path"].startswith("/door") else None

    async def serve(self, scope: Any, receive: Any, send: Any) -> None:
        set_route(scope, "/door/{rest}")
        if scope["path"] == "/door/broken":
            raise ValueError("the cause")
        body = await read_body(receive, 50)
        await json_response(200, {"method": scope["method"], "bytes": len(body)}, {"X-Door": "open"})(
            scope, receive, send
        )

    def openapi_paths(self) -> dict[str, Any]:
        return {"/door/{rest}": {"get": {"responses": {"200": {"description": "served"}}}}}


DOOR = Capability(name="door", dispatchers=[Door()])


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario(name="alive", url="/healthz", status=200, contains=['{"status":"ok"}']),
        Scenario(name="nothing there", url="/nothing", status=404, contains=['"code":"E_NOT_FOUND"']),
        Scenario(
            name="our error", url="/conflict", status=409, contains=["E_CONFLICT", "taken", '"by":"someone"']
        ),
        Scenario(
            name="unknown error", url="/broken", status=500, contains=["E_INTERNAL"], lacks=["cause", "Value"]
        ),
        Scenario(
            name="error in a dispatcher",
            url="/door/broken",
            status=500,
            contains=["E_INTERNAL"],
            lacks=["cause"],
        ),
        Scenario(name="path that is no number", url="/numbers/x", status=404, contains=["E_NOT_FOUND"]),
        Scenario(
            name="query that is no number",
            url="/numbers/1?page=x",
            status=400,
            contains=['"field":"page"', '"in":"query"'],
        ),
        Scenario(
            name="query below its minimum",
            url="/numbers/1?page=0",
            status=400,
            contains=["E_BAD_REQUEST", "page"],
        ),
        Scenario(name="valid body", method="POST", url="/orders", json={"name": "a"}, status=201),
        Scenario(
            name="unknown field",
            method="POST",
            url="/orders",
            json={"name": "a", "x": 1},
            status=400,
            contains=["unknown field `x`"],
        ),
        Scenario(
            name="missing field",
            method="POST",
            url="/orders",
            json={},
            status=400,
            contains=["E_BAD_REQUEST", "name"],
        ),
        Scenario(
            name="wrong type",
            method="POST",
            url="/orders",
            json={"name": "a", "count": "b"},
            status=400,
            contains=["count"],
        ),
        Scenario(
            name="too long",
            method="POST",
            url="/orders",
            json={"name": "a" * 11},
            status=400,
            contains=["name"],
        ),
        Scenario(
            name="malformed",
            method="POST",
            url="/orders",
            content=b'{"name":,}',
            status=400,
            contains=["E_BAD_REQUEST", "byte 8"],
        ),
        Scenario(
            name="empty", method="POST", url="/orders", content=b"", status=400, contains=["E_BAD_REQUEST"]
        ),
        Scenario(
            name="not UTF-8",
            method="POST",
            url="/orders",
            content=NOT_UTF8,
            status=400,
            contains=["E_BAD_REQUEST"],
        ),
        Scenario(
            name="deeply nested",
            method="POST",
            url="/orders",
            content=b"[" * 100_000,
            status=400,
            contains=["E_BAD_REQUEST"],
        ),
        Scenario(name="nobody", method="DELETE", url="/apps/one", status=401, contains=["E_AUTH"]),
        Scenario(
            name="wrong credential",
            method="DELETE",
            url="/apps/one",
            headers={"X-Admin-Token": "x"},
            status=401,
        ),
        Scenario(
            name="wrong role",
            method="DELETE",
            url="/apps/one",
            headers=AS_OPERATOR,
            status=403,
            contains=["E_FORBIDDEN"],
        ),
        Scenario(name="right role", method="DELETE", url="/apps/one", headers=AS_ADMINISTRATOR, status=204),
        Scenario(name="anonymous", url="/who", status=200, contains=['"actor":"anonymous"']),
        Scenario(
            name="administrator",
            url="/who",
            headers=AS_ADMINISTRATOR,
            status=200,
            contains=["machine:administrator"],
        ),
        Scenario(name="dispatched", url="/door/1", status=200, contains=['"method":"GET"']),
        Scenario(
            name="dispatcher's own limit",
            method="POST",
            url="/door/1",
            content=b"x" * 51,
            status=413,
            contains=['"bytes_max":50'],
        ),
        Scenario(name="metrics", url="/metrics", status=200, contains=["runstead_http_requests_in_flight 1"]),
    ],
    ids=str,
)
async def test_a_request_gets_its_answer(scenario: Scenario) -> None:
    async with running(DOOR, routes=ROUTES) as client:
        response = await scenario.run(client)
    if response.status_code >= 400:
        error = response.json()["error"]
        assert list(error) in (
            ["code", "message", "request_id"],
            ["code", "message", "details", "request_id"],
        )
        assert error["request_id"] == response.headers["X-Request-ID"]
        assert response.headers["Content-Type"] == "application/json"


@pytest.mark.req("HTTP-001")
async def test_a_wrong_method_is_told_the_right_ones() -> None:
    async with running(routes=ROUTES) as client:
        for method in ("DELETE", "PUT", "PATCH", "TRACE", "NONSENSE"):
            response = await client.request(method, "/orders")
            assert response.status_code == 405
            assert response.json()["error"]["code"] == "E_METHOD_NOT_ALLOWED"
            assert {"OPTIONS", "POST"} == set(response.headers["Allow"].split(", "))


@pytest.mark.req("HTTP-001")
async def test_head_is_get_without_a_body() -> None:
    async with running(routes=ROUTES) as client:
        whole = await client.get("/who", headers={"X-Request-ID": "same"})
        head = await client.head("/who", headers={"X-Request-ID": "same"})
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["Content-Length"] == whole.headers["Content-Length"]
        assert (await client.head("/orders")).status_code == 405


async def test_options_tells_what_is_allowed() -> None:
    async with running(routes=ROUTES) as client:
        response = await client.options("/numbers/1")
        assert response.status_code == 204
        assert set(response.headers["Allow"].split(", ")) == {"GET", "OPTIONS"}


async def test_options_knows_the_methods_of_all_handlers_of_a_path() -> None:
    @get("/one/{name:str}")
    async def read(name: FromPath[str]) -> None:
        """One method."""

    @delete("/one/{name:str}")
    async def forget(name: FromPath[str]) -> None:
        """Another one, registered apart from the first."""

    async with running(routes=[read, forget]) as client:
        response = await client.options("/one/x")
    assert response.headers.get_list("Allow") == ["DELETE, GET, OPTIONS"]


@pytest.mark.parametrize("sent", ["a", "A-z_0.9", "x" * 128])
async def test_a_sane_request_id_is_kept(sent: str) -> None:
    async with running(routes=ROUTES) as client:
        for path in ("/who", "/nothing", "/broken"):
            response = await client.get(path, headers={"X-Request-ID": sent})
            assert response.headers["X-Request-ID"] == sent
            assert sent in response.text


@pytest.mark.parametrize("sent", [None, "", "x" * 129, "a b", "a/b", "ä", "a;b", "${jndi}"])
async def test_any_other_request_id_is_replaced(sent: str | None) -> None:
    headers = {} if sent is None else {b"X-Request-ID": sent.encode()}
    async with running(routes=ROUTES) as client:
        response = await client.get("/who", headers=headers)
    assert is_uuid(response.headers["X-Request-ID"])
    assert response.json()["request_id"] == response.headers["X-Request-ID"]


@pytest.mark.req("HTTP-005")
async def test_each_route_has_its_body_limit() -> None:
    settings = ServerSettings(body_max_bytes=2048, access_log=False)
    async with running(DOOR, routes=ROUTES, settings=settings) as client:

        async def status(path: str, size: int) -> int:
            whole = await client.post(path, content=b"x" * size)
            chunked = await client.post(path, content=chunks(size))
            assert whole.status_code == chunked.status_code
            return whole.status_code

        async def chunks(size: int) -> Any:
            for start in range(0, size, 500):
                yield b"x" * min(500, size - start)

        assert await status("/small", 10) == 201
        assert await status("/small", 11) == 413
        assert await status("/small//", 11) == 413
        assert await status("/large/a", 3_000_000) == 201
        assert await status("/large/a", 3_000_001) == 413
        assert await status("/orders", 2048) == 400
        assert await status("/orders", 2049) == 413


@pytest.mark.req("HTTP-005")
async def test_a_prefix_may_have_a_limit_of_its_own() -> None:
    app = build_app(
        capabilities=[DOOR],
        settings=ServerSettings(body_max_bytes=2048, access_log=False),
        identity=Identity(),
        health=Health(),
        metrics=Metrics(),
        body_limits=[body_limit("/door", 20), body_limit("/door/wide", 40)],
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        for path, size, status in (
            ("/door/1", 20, 200),
            ("/door/1", 21, 413),
            ("/door/wide", 40, 200),
            ("/door/wide/deep", 41, 413),
            ("/doors", 21, 200),
        ):
            assert (await client.post(path, content=b"x" * size)).status_code == status


@pytest.mark.req("HTTP-005")
async def test_a_body_too_large_is_refused_before_it_is_read() -> None:
    async with running() as client:
        sent = 0

        async def body() -> Any:
            nonlocal sent
            while sent < 100_000_000:
                sent += 1_000_000
                yield b"x" * 1_000_000

        response = await client.post("/healthz", content=body(), headers={"Content-Length": "100000000"})
    assert response.status_code == 413
    assert sent <= 1_000_000


@pytest.mark.parametrize("length", ["x", "-1", "1e3", "٣"])
async def test_a_length_that_is_no_number_is_refused(length: str) -> None:
    async with running() as client:
        response = await client.post("/healthz", content=b"", headers={b"Content-Length": length.encode()})
    assert response.status_code == 400


async def test_two_lengths_are_refused() -> None:
    async with running(routes=ROUTES) as client:
        response = await client.post(
            "/orders", content=b"x", headers={"Content-Length": "1", "Transfer-Encoding": "chunked"}
        )
    assert response.status_code == 400
    assert response.headers["Connection"] == "close"


@pytest.mark.req("SEC-007")
@pytest.mark.parametrize("path", ["/healthz", "/nothing", "/broken", "/door/1", "/metrics"])
async def test_every_answer_has_the_security_headers(path: str) -> None:
    async with running(DOOR, routes=ROUTES) as client:
        headers = (await client.get(path)).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "strict-origin-when-cross-origin"
    assert "camera=()" in headers["Permissions-Policy"]
    assert "Strict-Transport-Security" not in headers


@pytest.mark.req("SEC-007")
async def test_an_answer_may_choose_for_itself_and_tls_adds_hsts() -> None:
    async with running(routes=ROUTES) as client:
        headers = (await client.get("https://127.0.0.1/framed")).headers
    assert headers.get_list("X-Frame-Options") == ["SAMEORIGIN"]
    assert headers["Strict-Transport-Security"].startswith("max-age=")


HOSTS = {
    "127.0.0.1": 200,
    "127.0.0.1:8080": 200,
    "localhost:9": 200,
    "LOCALHOST.": 200,
    "[::1]:80": 200,
    "runstead.example": 200,
    "evil.example": 421,
    "localhost.evil.example": 421,
    "127.0.0.1.evil.example": 421,
    "127.0.0.1@evil.example": 421,
    "[::1].evil.example": 421,
    "": 400,
}


@pytest.mark.parametrize(("host", "status"), HOSTS.items(), ids=HOSTS.keys())
async def test_on_loopback_only_known_host_names_are_answered(host: str, status: int) -> None:
    settings = ServerSettings(allowed_hosts=("runstead.example",), access_log=False)
    async with running(settings=settings) as client:
        assert (await client.get("/healthz", headers={"Host": host})).status_code == status


async def test_two_host_names_are_one_too_many() -> None:
    async with running() as client:
        response = await client.get("/healthz", headers=[("Host", "localhost"), ("Host", "evil.example")])
    assert response.status_code == 400


async def test_elsewhere_any_host_is_answered_unless_names_are_set() -> None:
    for allowed, status in (((), 200), (("runstead.example",), 421)):
        settings = ServerSettings(host="0.0.0.0", allowed_hosts=allowed, access_log=False)
        async with running(settings=settings) as client:
            assert (await client.get("/healthz", headers={"Host": "other.example"})).status_code == status


@pytest.mark.req("SEC-011")
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 201),
        ({"Origin": "http://127.0.0.1:8080"}, 201),
        ({"Origin": "http://localhost:5173", "Sec-Fetch-Site": "same-site"}, 201),
        ({"Sec-Fetch-Site": "same-origin"}, 201),
        ({"Sec-Fetch-Site": "none"}, 201),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://localhost.evil.example"}, 403),
        ({"Origin": "http://localhost@evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
    ],
)
async def test_a_page_of_another_site_cannot_drive_a_local_server(
    headers: dict[str, str], status: int
) -> None:
    async with running(routes=ROUTES) as client:
        assert (await client.post("/orders", json={"name": "a"}, headers=headers)).status_code == status
        assert (await client.get("/healthz", headers=headers)).status_code == 200


async def test_a_page_of_another_site_cannot_open_a_websocket() -> None:
    app = build_app(
        capabilities=[DOOR],
        settings=ServerSettings(),
        identity=Identity(),
        health=Health(),
        metrics=Metrics(),
    )
    headers = {"host": "localhost", "origin": "https://evil.example"}
    conversation = Conversation(app, "/door/ws", headers=headers, scope={"type": "websocket"})
    await conversation.task
    assert conversation.sent == [{"type": "websocket.close", "code": 4403, "reason": "E_FORBIDDEN"}]


async def test_an_error_after_the_answer_began_is_passed_on_to_cut_it_off() -> None:
    class Late:
        def match(self, _scope: Any) -> Any:
            async def serve(_scope: Any, _receive: Any, send: Any) -> None:
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": b"part", "more_body": True})
                raise ValueError("late")

            return serve

        def openapi_paths(self) -> dict[str, Any]:
            return {}

    app = build_app(
        capabilities=[Capability(name="late", dispatchers=[Late()])],
        settings=ServerSettings(access_log=False),
        identity=Identity(),
        health=Health(),
        metrics=Metrics(),
    )
    conversation = Conversation(app, headers={"host": "localhost"})
    with pytest.raises(ValueError, match="late"):
        await conversation.task
    assert conversation.body == b"part"
    assert not conversation.complete


async def test_a_body_that_stops_coming_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from runstead.platform.http.middleware.body_limit import BodyLimiter

    async def reads(_scope: Any, receive: Any, _send: Any) -> None:
        await read_body(receive, 1000)

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(_message: Any) -> None:
        """Nothing is expected."""

    limiter = BodyLimiter(reads, default=1000, idle_seconds=0.01)
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": "/",
        "headers": [(b"content-length", b"5")],
        "state": {"headers": {b"content-length": b"5"}},
    }
    from runstead.kernel.errors import RequestTimeoutError

    with pytest.raises(RequestTimeoutError):
        await limiter(scope, receive, send)


async def test_a_client_that_goes_away_in_its_body_is_no_server_error() -> None:
    async with running(routes=ROUTES):
        app = build_app(
            capabilities=[DOOR],
            routes=ROUTES,
            settings=ServerSettings(access_log=False),
            identity=Identity(),
            health=Health(),
            metrics=Metrics(),
        )
    for path in ("/door/1", "/orders"):
        conversation = Conversation(
            app,
            path,
            method="POST",
            headers={"host": "localhost", "transfer-encoding": "chunked"},
            body=[b"{", b""],
        )
        conversation._inbox._queue.pop()  # type: ignore[attr-defined]
        conversation.hang_up()
        await conversation.task
        assert conversation.status == 400


@pytest.mark.req("DEPLOY-005")
async def test_health_shows_each_dependency() -> None:
    async def fine() -> dict[str, int]:
        return {"rows": 3}

    async def bad() -> dict[str, int]:
        raise ConnectionError("secret address")

    ok = Capability(name="a", checks=[HealthCheck(name="database", probe=fine)])
    degraded = Capability(name="b", checks=[HealthCheck(name="mirror", probe=bad, critical=False)])
    down = Capability(name="c", checks=[HealthCheck(name="objects", probe=bad)])
    for capabilities, status, word, ready in (
        ([ok], 200, "ok", 200),
        ([ok, degraded], 200, "degraded", 200),
        ([ok, degraded, down], 503, "down", 503),
    ):
        async with running(*capabilities) as client:
            response = await client.get("/health")
            assert (response.status_code, response.json()["status"]) == (status, word)
            assert response.json()["versions"]["runstead"]
            database = response.json()["checks"][0]
            assert (database["name"], database["facts"], database["status"]) == (
                "database",
                {"rows": 3},
                "ok",
            )
            assert database["latency_ms"] >= 0
            assert "secret address" not in response.text
            assert (await client.get("/ready")).status_code == ready


@pytest.mark.req("DEPLOY-005")
async def test_ready_follows_the_life_of_the_server() -> None:
    health = Health()
    async with running(health=health) as client:
        for phase, status in ((Phase.STARTING, 503), (Phase.READY, 200), (Phase.DRAINING, 503)):
            health.phase = phase
            response = await client.get("/ready")
            assert (response.status_code, response.json()["status"]) == (status, phase.value)
        assert (await client.get("/healthz")).status_code == 200


async def test_metrics_name_templates_never_paths() -> None:
    async with running(DOOR, routes=ROUTES) as client:
        for path in ("/numbers/1", "/numbers/2", "/door/a", "/door/b", "/nothing/1", "/nothing/2"):
            await client.get(path)
        text = (await client.get("/metrics")).text
    routes = set(re.findall(r'http_requests_total\{[^}]*route="([^"]*)"', text))
    assert routes == {"/numbers/{number}", "/door/{rest}", "unmatched"}


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    redactor = Redactor("hunter22")
    output = configure_logging(ObservabilitySettings(log_format="json"), redactor, stream=stream)
    yield stream
    output.close()
    structlog.reset_defaults()


@pytest.mark.req("LOG-004")
async def test_the_access_log_says_what_happened(log: io.StringIO) -> None:
    async with running(DOOR, routes=ROUTES, settings=ServerSettings()) as client:
        await client.post("/orders", json={"name": "a"}, headers={**AS_OPERATOR, "X-Request-ID": "r1"})
        await client.get("/door/broken", headers={"X-Request-ID": "r2"})
        await client.get("/healthz")
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    first, cause, second = lines
    assert first["message"] == "request"
    assert (first["method"], first["path"], first["status"], first["request_id"]) == (
        "POST",
        "/orders",
        201,
        "r1",
    )
    assert (first["bytes_in"], first["bytes_out"], first["actor"]) == (12, 22, "machine:operator")
    assert first["duration_ms"] > 0
    assert (cause["message"], cause["request_id"], cause["level"]) == ("request failed", "r2", "error")
    assert "ValueError: the cause" in cause["exception"]
    assert (second["status"], second["request_id"]) == (500, "r2")


async def test_a_secret_in_a_path_is_not_written(log: io.StringIO) -> None:
    async with running(settings=ServerSettings()) as client:
        await client.get("/nothing/hunter22")
    assert "hunter22" not in log.getvalue()
    assert "/nothing/***" in log.getvalue()


async def test_the_lifespan_protocol_is_spoken() -> None:
    from contextlib import asynccontextmanager

    story: list[str] = []

    @asynccontextmanager
    async def lifespan() -> Any:
        story.append("opened")
        yield
        story.append("closed")

    def application(**options: Any) -> Any:
        return build_app(
            capabilities=[],
            settings=ServerSettings(),
            identity=Identity(),
            health=Health(),
            metrics=Metrics(),
            **options,
        )

    async def live(app: Any) -> list[str]:
        inbox: asyncio.Queue[Any] = asyncio.Queue()
        for kind in ("lifespan.startup", "lifespan.shutdown"):
            inbox.put_nowait({"type": kind})
        sent: list[str] = []

        async def send(message: Any) -> None:
            sent.append(message["type"])

        await app({"type": "lifespan"}, inbox.get, send)
        return sent

    complete = ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert await live(application()) == complete
    assert await live(application(lifespan=lifespan)) == complete
    assert story == ["opened", "closed"]


def test_a_header_cannot_be_injected() -> None:
    with pytest.raises(ValueError, match="line break"):
        json_response(200, {}, {"Location": "/\r\nSet-Cookie: a=b"})


async def test_the_capability_is_open_while_its_client_is_used() -> None:
    from contextlib import asynccontextmanager

    story: list[str] = []

    @asynccontextmanager
    async def lifespan() -> Any:
        story.append("opened")
        yield
        story.append("closed")

    async with running(Capability(name="x", lifespan=lifespan), admin_token=Secret("abc").reveal()) as client:
        await client.get("/healthz")
        assert story == ["opened"]
    assert story == ["opened", "closed"]


async def test_ready_says_so_while_the_server_drains() -> None:
    from runstead.platform.http.lifecycle import Lifecycle

    app = build_app(
        capabilities=[], settings=ServerSettings(), identity=Identity(), health=Health(), metrics=Metrics()
    )
    lifecycle = Lifecycle(app)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(lifecycle), base_url="http://localhost"
    ) as client:
        assert (await client.get("/ready")).status_code == 200
        lifecycle.draining.set()
        response = await client.get("/ready")
        assert (response.status_code, response.json()) == (503, {"status": "draining"})
        assert (await client.get("/healthz")).status_code == 200
