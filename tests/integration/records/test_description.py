"""The API description of records, as the server gives it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.integration.records.conftest import World


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def _follow(document: dict[str, Any], reference: str) -> Any:
    found: Any = document
    for step in reference.removeprefix("#/").split("/"):
        found = found.get(step.replace("~1", "/"))
        assert found is not None, reference
    return found


async def test_every_route_is_described_and_every_reference_leads_somewhere(world: World) -> None:
    document = (await world.client.get("/openapi.json")).json()
    mine = {path for path in document["paths"] if path.startswith(("/v1/", "/admin/records"))}
    assert len(mine) == 5
    for reference in set(_references(document)):
        assert _follow(document, reference)


async def test_the_examples_of_the_description_are_taken(world: World) -> None:
    document = (await world.client.get("/openapi.json")).json()
    moment = document["components"]["schemas"]["RecordDocument"]["properties"]["generated_at"]["examples"][0]
    assert (await world.put(generated_at=moment)).status_code == 202
