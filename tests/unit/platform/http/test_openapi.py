from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from litestar import delete, get, put
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

import runstead.platform.http
from runstead.kernel.capability import Capability
from runstead.platform.http import ByteStream, EventStream, SseEvent, guard, sse, stream
from runstead.testing.scenario import running


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    """What is inside."""

    words: list[Annotated[str, msgspec.Meta(min_length=1)]] = []


class Outer(msgspec.Struct):
    """What is outside."""

    inner: Inner
    size: Annotated[int, msgspec.Meta(ge=0, le=10, description="In bytes.")]


@put("/outer/{name:str}", guards=[guard("jobs.start")])
async def outer(name: FromPath[str], data: JSONBody[Outer]) -> Outer:
    """Puts it.

    And says why.
    """
    return data


@delete("/outer", guards=[guard("apps.write")])
async def only_administrators() -> None:
    """Removes it."""


@get("/events")
async def events() -> EventStream:
    async def nothing() -> AsyncIterator[SseEvent]:
        return
        yield

    return sse(nothing())


@get("/bytes")
async def some_bytes() -> ByteStream:
    async def nothing() -> AsyncIterator[bytes]:
        return
        yield

    return stream(nothing(), "application/octet-stream")


class Changing:
    """A dispatcher whose routes come and go."""

    def __init__(self) -> None:
        self.paths: dict[str, Any] = {}

    def match(self, _scope: Any) -> None:
        return None

    def openapi_paths(self) -> dict[str, Any]:
        return self.paths


async def described(changing: Changing | None = None) -> dict[str, Any]:
    capability = Capability(
        name="x",
        routes=[outer, only_administrators, events, some_bytes],
        dispatchers=[changing or Changing()],
    )
    async with running(capability) as client:
        document: dict[str, Any] = (await client.get("/openapi.json")).json()
        return document


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(references(item) for item in value.values()))
    if isinstance(value, list):
        return set().union(*(references(item) for item in value))
    return set()


async def test_the_document_is_whole() -> None:
    document = await described()
    assert document["openapi"].startswith("3.1")
    for reference in references(document):
        found: Any = document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
        assert found
    identifiers = [
        operation["operationId"]
        for item in document["paths"].values()
        for operation in item.values()
        if "operationId" in operation
    ]
    assert len(set(identifiers)) == len(identifiers)


async def test_every_operation_names_its_errors_in_our_shape() -> None:
    document = await described()
    for item in document["paths"].values():
        for operation in item.values():
            assert operation["responses"]["default"] == {"$ref": "#/components/responses/Error"}
    assert "status_code" not in str(document)
    put_outer = document["paths"]["/outer/{name}"]["put"]
    assert {"200", "400", "401", "403", "404", "413", "default"} == set(put_outer["responses"])
    assert put_outer["description"].startswith("Puts it.")


async def test_a_guard_says_which_credentials_open_it() -> None:
    document = await described()
    put_outer = document["paths"]["/outer/{name}"]["put"]
    assert put_outer["security"] == [
        {"bearer": []},
        {"session": []},
        {"adminToken": []},
        {"masterPassword": []},
    ]
    assert put_outer["x-runstead-actions"] == ["jobs.start"]
    assert document["paths"]["/outer"]["delete"]["security"] == [
        {"bearer": []},
        {"session": []},
        {"adminToken": []},
    ]
    assert "security" not in document["paths"]["/events"]["get"]
    assert set(document["components"]["securitySchemes"]) == {
        "bearer",
        "session",
        "adminToken",
        "masterPassword",
    }


async def test_schemas_say_all_that_the_validation_checks() -> None:
    schemas = (await described())["components"]["schemas"]
    assert schemas["Inner"]["additionalProperties"] is False
    assert schemas["Inner"]["properties"]["words"]["items"] == {"type": "string", "minLength": 1}
    assert schemas["Outer"]["properties"]["size"]["maximum"] == 10
    assert schemas["Outer"]["description"] == "What is outside."


@get("/many")
async def many(
    tail: Annotated[int | None, QueryParameter(ge=0, le=9)] = None,
    word: FromQuery[Annotated[str, msgspec.Meta(pattern="^a")] | None] = None,
    since: Annotated[int | None, QueryParameter(name="from", gt=2)] = None,
    plain: FromQuery[bool] = False,
) -> None:
    """Has parameters of all kinds."""


async def test_parameters_say_all_that_the_validation_checks() -> None:
    async with running(routes=[many]) as client:
        document = (await client.get("/openapi.json")).json()
    parameters = {each["name"]: each["schema"] for each in document["paths"]["/many"]["get"]["parameters"]}
    assert parameters == {
        "tail": {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 9}, {"type": "null"}]},
        "word": {"anyOf": [{"type": "string", "pattern": "^a"}, {"type": "null"}]},
        "from": {"anyOf": [{"type": "integer", "exclusiveMinimum": 2}, {"type": "null"}]},
        "plain": {"type": "boolean", "default": False},
    }


async def test_streams_have_their_media_type() -> None:
    paths = (await described())["paths"]
    assert "text/event-stream" in paths["/events"]["get"]["responses"]["200"]["content"]
    assert "application/octet-stream" in paths["/bytes"]["get"]["responses"]["200"]["content"]


async def test_routes_of_dispatchers_come_and_go() -> None:
    changing = Changing()
    async with running(Capability(name="x", dispatchers=[changing])) as client:
        assert "/hello/{name}" not in (await client.get("/openapi.json")).json()["paths"]
        changing.paths = {
            "/hello/{name}": {"get": {"responses": {"200": {"description": "hello"}}}},
            "/healthz": {"post": {"responses": {"default": {"description": "mine"}}}},
        }
        paths = (await client.get("/openapi.json")).json()["paths"]
        assert paths["/hello/{name}"]["get"]["responses"]["default"]
        assert set(paths["/healthz"]) == {"get", "post"}
        assert paths["/healthz"]["post"]["responses"]["default"] == {"description": "mine"}


async def test_the_page_needs_nobody_else_and_runs_nothing_inline() -> None:
    async with running() as client:
        page = await client.get("/docs")
        policy = page.headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert not re.search(r"https?://|<style|style=|\son\w+=", page.text)
        for asset in re.findall(r'(?:src|href)="(/[^"]+)"', page.text):
            assert (await client.get(asset)).status_code == 200
        script = await client.get("/docs/docs.js")
        assert script.headers["Content-Type"] == "text/javascript; charset=utf-8"
        assert "innerHTML" not in script.text
        assert (await client.get("/docs/../../app.py")).status_code == 404


async def test_the_page_is_not_sent_twice() -> None:
    async with running() as client:
        first = await client.get("/docs/docs.js")
        again = await client.get("/docs/docs.js", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"].removeprefix("W/") == first.headers["ETag"].removeprefix("W/")


@pytest.mark.parametrize("name", ["docs.html", "docs.css", "docs.js"])
def test_the_files_are_part_of_the_package(name: str) -> None:
    assert (Path(runstead.platform.http.__file__).parent / "pages" / name).is_file()
