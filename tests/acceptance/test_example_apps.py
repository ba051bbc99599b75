"""The shipped examples: each carries its own tests, and each does over HTTP what its README says."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.conformance.apps.town import Town, open_town

from runstead.platform.execution.script import ScriptPool
from runstead.platform.storage.sql import Database
from runstead.testing.scenario import AS_ADMINISTRATOR

EXAMPLES = Path(__file__).parents[2] / "examples" / "apps"
NAMES = sorted(folder.name for folder in EXAMPLES.iterdir() if folder.is_dir())


@pytest.fixture
async def examples(database: Database, database_url: str, tmp_path: Path) -> AsyncIterator[Town]:
    async with (
        ScriptPool(workers=2) as pool,
        open_town(database, database_url, tmp_path, pool, folders=[str(EXAMPLES)]) as town,
    ):
        yield town


@pytest.mark.req("DOC-004", "TEST-006")
async def test_every_example_passes_its_own_tests(examples: Town) -> None:
    health = (await examples.client.get("/health", headers=dict(AS_ADMINISTRATOR))).text
    assert "not serving" not in health
    for name in NAMES:
        answer = await examples.host.api("POST", f"/{name}/test")
        assert answer.status_code == 200, (name, answer.text)
        found = answer.json()
        assert found["ok"], (name, found["results"])
        assert found["passed"] > 0, f"{name} carries no tests"
        assert (EXAMPLES / name / "README.md").is_file()


@pytest.mark.req("DOC-004")
async def test_every_example_does_what_it_says(examples: Town) -> None:
    client = examples.client
    assert (await client.get("/hello/you")).json() == {"hello": "you"}
    assert "Write to us" in (await client.get("/form")).text
    bad = await client.post("/form", data={"name": "<b>", "mail": "x"})
    assert (bad.status_code, "&lt;b&gt;" in bad.text) == (422, True)
    good = {"name": "Ada", "mail": "ada@example.org", "message": "Ten characters"}
    assert "Thank you, Ada!" in (await client.post("/form", data=good)).text

    sent = await client.post("/upload", files={"file": ("../n o.txt", b"text", "text/plain")})
    assert sent.status_code == 201, sent.text
    assert (await client.get("/uploads/n_o.txt")).content == b"text"
    assert "n_o.txt" in (await client.get("/upload")).text
    assert (await client.post("/upload", files={"file": ("x", b"", "text/html")})).status_code == 415

    assert "EventSource" in (await client.get("/chat/garden")).text
    assert (await client.post("/chat/garden", json={"text": "hi"})).json() == {"reached": 0}

    made = (await client.post("/todos", json={"text": "write"})).json()
    assert (await client.patch(f"/todos/{made['id']}", json={"done": True, "version": 1})).json()["done"] == 1
    late = await client.patch(f"/todos/{made['id']}", json={"done": False, "version": 1})
    assert (late.status_code, late.json()["current"]["version"]) == (409, 2)
    assert (await client.put("/todos/order", json=[made["id"], 999])).status_code == 404
    assert len((await client.get("/todos")).json()) == 1

    assert (await client.post("/digest/visit/tea")).json() == {"tea": 1}
    assert "<strong>tea</strong>: 1" in (await client.get("/digest")).text
    assert (await client.get("/stars/..%2F/x")).status_code == 404
    assert "<h2>Grace &lt;Hopper&gt;</h2>" in (await client.get("/people?by=name")).text
    assert (await client.post("/relay", content=json.dumps({"a": 1}))).json() == {"targets": 0}
    assert (await client.put("/relay/targets", json=["https://example.org/"])).status_code == 401
