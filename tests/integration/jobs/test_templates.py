"""Templates: what may be given, what becomes of it, and who may run them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.integration.jobs.conftest import Lines, Open
from tests.integration.jobs.test_life import ended

pytestmark = pytest.mark.req("JOBS-001")

#: Prints its words and some variables as JSON.
ECHO = """
import json, os, sys
names = [name for name in os.environ if name.isupper() and name.startswith(("T_", "TOKEN"))]
print(json.dumps({"words": sys.argv[1:], "env": {name: os.environ[name] for name in sorted(names)}}))
for word in sys.argv[1:]:
    if os.path.isfile(word):
        print(open(word).read())
"""


@pytest.fixture
def echo(tmp_path: Path) -> str:
    (tmp_path / "work/echo.py").write_text(ECHO)
    return "python3 echo.py"


def files_below(folder: Path, pattern: str = "*") -> list[Path]:
    return [path for path in folder.rglob(pattern) if path.is_file()]


async def make(client: httpx.AsyncClient, definition: dict[str, Any], name: str = "one") -> httpx.Response:
    return await client.post("/api/templates", json={"name": name, "definition": definition})


async def run(
    client: httpx.AsyncClient, name: str = "one", **params: Any
) -> tuple[dict[str, Any], list[str]]:
    answer = await client.post(f"/api/templates/{name}/run", json={"params": params})
    assert answer.status_code == 201, answer.text
    job = await ended(client, answer.json()["id"])
    page = await client.get(f"/api/scripts/{job['id']}/logs")
    return job, [line["line"] for line in page.json()["lines"]]


PARAMETERS = [
    {"name": "db", "pattern": "[a-z]+"},
    {"name": "note", "optional": True},
    {"name": "level", "type": "integer", "minimum": 1, "maximum": 9, "default": 3},
    {"name": "share", "type": "number", "optional": True, "env": "T_SHARE"},
    {"name": "dry", "type": "boolean", "default": False, "flag": "--dry-run"},
    {"name": "mode", "type": "enum", "values": ["full", "-i"], "default": "full"},
]
COMMAND = " 'fixed word' {db} --note={note} --level {level} {dry} {mode}"


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"db": "shop"}, ["fixed word", "shop", "--level", "3", "full"]),
        (
            {"db": "shop", "dry": True, "level": 9},
            ["fixed word", "shop", "--level", "9", "--dry-run", "full"],
        ),
        ({"db": "shop", "mode": "-i"}, ["fixed word", "shop", "--level", "3", "-i"]),
        (
            {"db": "shop", "note": 'a b; $(rm -rf /) `x` "y" {db}'},
            ["fixed word", "shop", '--note=a b; $(rm -rf /) `x` "y" {db}', "--level", "3", "full"],
        ),
    ],
    ids=["defaults", "a flag and a number", "a value of an enum", "what a shell would run"],
)
async def test_values_become_words_and_nothing_more(
    open_jobs: Open, echo: str, params: dict[str, Any], words: list[str]
) -> None:
    async with open_jobs() as client:
        assert (await make(client, {"command": echo + COMMAND, "parameters": PARAMETERS})).status_code == 201
        job, lines = await run(client, **params)
    assert (job["status"], job["template"], job["labels"]) == ("completed", "one", {"template": "one"})
    assert json.loads(lines[0])["words"] == words


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({}, "params"),
        ({"db": "shop", "other": 1}, "params"),
        ({"db": "SHOP"}, "params.db"),
        ({"db": "shop\n"}, "params.db"),
        ({"db": 7}, "params.db"),
        ({"db": "shop", "level": 10}, "params.level"),
        ({"db": "shop", "level": "3"}, "params.level"),
        ({"db": "shop", "level": 3.5}, "params.level"),
        ({"db": "shop", "dry": "yes"}, "params.dry"),
        ({"db": "shop", "mode": "other"}, "params.mode"),
        ({"db": "shop", "note": "x" * 4097}, "params.note"),
        ({"db": "shop", "note": "a\0b"}, "params.note"),
    ],
)
async def test_what_does_not_fit_is_refused_and_runs_nothing(
    open_jobs: Open, echo: str, params: dict[str, Any], field: str
) -> None:
    async with open_jobs() as client:
        await make(client, {"command": echo + COMMAND, "parameters": PARAMETERS})
        answer = await client.post("/api/templates/one/run", json={"params": params})
        assert answer.status_code == 409
        assert answer.json()["error"]["code"] == "E_TEMPLATE"
        assert answer.json()["error"]["details"]["field"] == field
        assert (await client.get("/api/scripts")).json()["jobs"] == []


async def test_a_text_alone_in_its_word_is_never_an_option(open_jobs: Open, echo: str) -> None:
    async with open_jobs() as client:
        await make(client, {"command": f"{echo} {{path}}", "parameters": [{"name": "path"}]})
        answer = await client.post(
            "/api/templates/one/run", json={"params": {"path": "--checkpoint-action=exec"}}
        )
        assert answer.status_code == 409
        assert "option" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("definition", "said"),
    [
        ({"command": "echo {x}", "parameters": []}, None),
        ({"command": "{x}", "parameters": [{"name": "x"}]}, "the program itself"),
        ({"command": "echo | sh"}, "pipe"),
        ({"command": "echo", "parameters": [{"name": "x"}]}, "neither the command"),
        ({"command": "echo {x} {x}", "parameters": [{"name": "x"}, {"name": "x"}]}, "same name"),
        ({"command": "echo {x}", "parameters": [{"name": "x", "type": "enum"}]}, "has values"),
        ({"command": "echo {x}", "parameters": [{"name": "x", "type": "secret", "env": "X"}]}, "variable"),
        (
            {"command": "echo {x}", "parameters": [{"name": "x", "type": "integer", "default": "z"}]},
            "default.x",
        ),
        ({"command": "echo {x}", "parameters": [{"name": "x", "pattern": "("}]}, "regex"),
        ({"command": "echo", "parameters": [{"name": "x", "env": "LD_PRELOAD"}]}, "LD_PRELOAD"),
        ({"command": "echo", "env": {"X": "1"}, "parameters": [{"name": "x", "env": "X"}]}, "has a value"),
    ],
)
async def test_a_template_that_makes_no_sense_is_refused(
    open_jobs: Open, definition: dict[str, Any], said: str | None
) -> None:
    async with open_jobs() as client:
        answer = await make(client, definition)
        assert answer.status_code == (
            201 if said is None else 422 if said in ("pipe", "LD_PRELOAD") else 409
        ), answer.text
        if said is not None:
            assert said in answer.text


async def test_a_secret_is_in_no_word_no_table_and_no_output(
    open_jobs: Open, echo: str, tmp_path: Path
) -> None:
    secret = "a-secret-that-nobody-keeps"
    async with open_jobs() as client:
        parameters = [{"name": "token", "type": "secret", "env": "TOKEN"}]
        await make(client, {"command": echo, "parameters": parameters})
        job, lines = await run(client, token=secret)
        assert json.loads(lines[0])["env"]["TOKEN"] != secret, "it was there, and is masked"
        assert secret not in json.dumps(job)
        again = await client.post(f"/api/scripts/{job['id']}/restart")
        assert again.status_code == 422
        assert "run the template again" in again.json()["error"]["message"]
        rerun = await client.post(f"/api/scripts/{job['id']}/rerun")
        assert rerun.status_code == 422
    assert [path for path in files_below(tmp_path) if secret.encode() in path.read_bytes()] == []


async def test_a_file_is_handed_over_and_goes_with_its_job(
    open_jobs: Open, echo: str, tmp_path: Path
) -> None:
    async with open_jobs() as client:
        parameters = [{"name": "list", "type": "file", "max_bytes": 100}]
        await make(client, {"command": f"{echo} {{list}}", "parameters": parameters})
        content = base64.b64encode(b"its content").decode()
        job, lines = await run(client, list={"filename": "../../-etc/pass wd?.txt", "content": content})
        assert Path(json.loads(lines[0])["words"][0]).name == "pass wd_.txt"
        assert lines[1] == "its content"
        assert len(files_below(tmp_path / "data/job-files")) == 1
        assert (await client.delete(f"/api/scripts/{job['id']}")).status_code == 204
        assert not files_below(tmp_path / "data/job-files")
        for wrong in ("no base64!", base64.b64encode(b"x" * 101).decode()):
            body = {"params": {"list": {"filename": "x", "content": wrong}}}
            answer = await client.post("/api/templates/one/run", json=body)
            assert answer.status_code == 409
            assert answer.json()["error"]["details"]["field"] == "params.list.content"
        assert not files_below(tmp_path / "data/job-files")


async def test_templates_are_listed_changed_and_removed(open_jobs: Open, echo: str, sink: Lines) -> None:
    async with open_jobs() as client:
        assert (await make(client, {"command": echo}, "b")).status_code == 201
        assert (await make(client, {"command": echo}, "a")).status_code == 201
        assert (await make(client, {"command": echo}, "a")).status_code == 409
        listed = (await client.get("/api/templates")).json()["templates"]
        assert [one["name"] for one in listed] == ["a", "b"]
        changed = await client.put(
            "/api/templates/a", json={"command": f"{echo} {{x}}", "parameters": [{"name": "x"}]}
        )
        assert changed.json()["schema"]["required"] == ["x"]
        assert (await client.delete("/api/templates/a")).status_code == 204
        for method, path in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/run")):
            body = {"command": "true"} if method == "PUT" else None
            assert (await client.request(method, f"/api/templates/a{path}", json=body)).status_code == 404
