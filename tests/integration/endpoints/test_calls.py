"""What a caller gets, for good and for bad programs."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path
from typing import Any

import pytest
from tests.integration.endpoints.conftest import declare, processes, python, shell, until, world

from runstead.kernel.ids import is_uuid

ECHO = """
import json, sys
request = json.load(sys.stdin)
json.dump({"results": [request]}, sys.stdout)
"""


@pytest.mark.req("EP-005")
@pytest.mark.req("EP-008")
async def test_a_program_gets_the_call_on_stdin_and_its_stdout_is_the_answer(tmp_path: Path) -> None:
    script = python(tmp_path, ECHO)
    async with world(tmp_path, [declare(script, path="/users/{user}/mail", name="mail")]) as served:
        response = await served.client.post(
            "/users/ada%20l/mail?tag=a&tag=b&user=query&limit=5",
            json={"entry_ids": ["e1"], "params": {"limit": 7, "nested": {"ü": [1, None]}}},
            headers={"X-Request-ID": "the-request"},
        )
    assert response.status_code == 200
    answer = response.json()
    assert is_uuid(answer["run_id"])
    assert answer["results"] == [
        {
            "entry_ids": ["e1"],
            "params": {"tag": ["a", "b"], "user": "ada l", "limit": 7, "nested": {"ü": [1, None]}},
            "request_id": "the-request",
            "endpoint": "mail",
            "run_id": answer["run_id"],
        }
    ]
    assert answer.keys() == {"results", "run_id"}


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST", "PUT", "PATCH"])
async def test_a_call_needs_no_body(tmp_path: Path, method: str) -> None:
    script = python(tmp_path, ECHO)
    async with world(tmp_path, [declare(script, method=method)]) as served:
        response = await served.client.request(method, "/a?x=1")
    assert response.json()["results"][0]["params"] == {"x": "1"}
    assert response.json()["results"][0]["entry_ids"] == []


@pytest.mark.req("EP-004")
@pytest.mark.parametrize(
    ("name", "body", "fields", "status", "code", "details"),
    [
        (
            "exit code",
            "echo trace >&2; exit 3",
            {},
            502,
            "E_SCRIPT_EXIT",
            {"exit_code": 3, "stderr": "trace\n"},
        ),
        ("signal", "kill -SEGV $$", {}, 502, "E_SCRIPT_EXIT", {"signal": "SIGSEGV", "stderr": ""}),
        ("no output", "echo why >&2", {}, 502, "E_SCRIPT_OUTPUT", {"stderr": "why\n"}),
        ("not JSON", "echo hello", {}, 502, "E_SCRIPT_OUTPUT", {}),
        ("two answers", "echo '{}'; echo '{}'", {}, 502, "E_SCRIPT_OUTPUT", {}),
        ("an array", "echo '[]'", {}, 502, "E_SCRIPT_OUTPUT", {}),
        ("unknown key", "echo '{\"result\": 1}'", {}, 502, "E_SCRIPT_OUTPUT", {}),
        ("bad entry", 'echo \'{"new_entries": [{"id": "x"}]}\'', {}, 502, "E_SCRIPT_OUTPUT", {}),
        ("invalid UTF-8", 'printf \'{"results": ["\\377"]}\'', {}, 502, "E_SCRIPT_OUTPUT", {}),
        (
            "timeout",
            "sleep 1000",
            {"timeout_ms": 200},
            504,
            "E_SCRIPT_TIMEOUT",
            {"timeout_ms": 200, "stderr": ""},
        ),
        (
            "timeout of one who ignores TERM",
            "trap '' TERM; while :; do sleep 1000; done",
            {"timeout_ms": 200},
            504,
            "E_SCRIPT_TIMEOUT",
            {},
        ),
        (
            "giant output",
            "exec yes",
            {"max_output_bytes": 100_000},
            502,
            "E_SCRIPT_LIMIT",
            {"limit": "output", "allowed": 100_000},
        ),
        (
            "giant stderr",
            "exec yes >&2",
            {"max_output_bytes": 100_000},
            502,
            "E_SCRIPT_LIMIT",
            {"limit": "output"},
        ),
        (
            "a processor hog",
            "while :; do :; done",
            {"max_cpu_seconds": 1},
            502,
            "E_SCRIPT_LIMIT",
            {"limit": "cpu", "allowed": 1},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 40 else "",
)
async def test_every_bad_end_of_a_program_has_its_code_and_leaves_a_folder(
    tmp_path: Path,
    name: str,
    body: str,
    fields: dict[str, Any],
    status: int,
    code: str,
    details: dict[str, Any],
) -> None:
    async with world(tmp_path, [declare(shell(tmp_path, body), **fields)]) as served:
        response = await served.client.post("/a")
    assert (response.status_code, response.json()["error"]["code"]) == (status, code), response.text
    error = response.json()["error"]
    assert error["request_id"] == response.headers["X-Request-ID"]
    assert error["details"].items() >= details.items()
    assert "stderr" in error["details"]
    assert len(error["details"]["stderr"].encode()) <= 4096
    if code == "E_SCRIPT_OUTPUT":
        assert error["details"]["reason"]
    result = served.result()
    assert result["code"] == code
    assert result["status"] == ("failed" if code in ("E_SCRIPT_EXIT", "E_SCRIPT_OUTPUT") else "limited")


@pytest.mark.req("EP-009")
async def test_a_memory_hog_is_stopped_by_the_kernel(tmp_path: Path) -> None:
    script = python(tmp_path, "x = b'x' * (1 << 30)\nprint('{}')")
    async with world(tmp_path, [declare(script, max_memory_mb=64)]) as served:
        response = await served.client.post("/a")
    assert response.status_code == 502
    # A failed allocation is the program's to handle: it may end by itself with a MemoryError.
    assert response.json()["error"]["code"] in ("E_SCRIPT_LIMIT", "E_SCRIPT_EXIT")


@pytest.mark.parametrize("body", ["echo '{}'", "exec <&-; echo '{}'", "head -c 10 >/dev/null; echo '{}'"])
async def test_a_program_need_not_read_its_stdin(tmp_path: Path, body: str) -> None:
    big = {"params": {"text": "x" * 1_000_000}}
    async with world(tmp_path, [declare(shell(tmp_path, body))]) as served:
        response = await served.client.post("/a", json=big)
    assert response.status_code == 200, response.text


async def test_what_a_program_leaves_running_is_ended_and_holds_up_nobody(tmp_path: Path) -> None:
    mark = f"{uuid.uuid4().int}"
    body = f"sleep {mark} & setsid sleep {mark} & (sleep {mark} &) ; echo '{{}}'"
    async with world(tmp_path, [declare(shell(tmp_path, body))]) as served:
        async with asyncio.timeout(20):
            response = await served.client.post("/a")
        assert response.status_code == 200, response.text
        await until(lambda: processes(mark) == [])


@pytest.mark.req("EP-003")
async def test_a_timeout_ends_the_whole_tree(tmp_path: Path) -> None:
    mark = f"{uuid.uuid4().int}"
    body = f"sleep {mark} & (trap '' TERM; sleep {mark}) & wait"
    async with world(tmp_path, [declare(shell(tmp_path, body), timeout_ms=300)]) as served:
        response = await served.client.post("/a")
        assert response.status_code == 504
        assert response.json()["error"]["code"] == "E_SCRIPT_TIMEOUT"
        await until(lambda: processes(mark) == [])


async def test_a_long_single_line_comes_through_whole(tmp_path: Path) -> None:
    script = python(tmp_path, "import json; print(json.dumps({'results': ['x' * 5_000_000]}))")
    async with world(tmp_path, [declare(script)]) as served:
        response = await served.client.post("/a")
    assert response.json()["results"] == ["x" * 5_000_000]


@pytest.mark.parametrize(
    ("kwargs", "field"),
    [
        ({"content": b"[]", "headers": {"Content-Type": "application/json"}}, "body"),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, "body"),
        ({"json": {"params": 1}}, "params"),
        ({"json": {"entry_ids": ["a", 1]}}, "entry_ids[1]"),
        ({"json": {"text": "a"}}, "text"),
        ({"data": {"text": "a"}}, "Content-Type"),
        ({"url": "/a?x=%ff"}, "query"),
    ],
    ids=str,
)
async def test_a_bad_request_names_its_field_and_runs_nothing(
    tmp_path: Path, kwargs: dict[str, Any], field: str
) -> None:
    async with world(tmp_path, [declare(shell(tmp_path, "echo '{}'"))]) as served:
        response = await served.client.request("POST", **{"url": "/a", **kwargs})
        assert served.runs() == []
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "E_BAD_REQUEST"
    assert response.json()["error"]["details"] == {"field": field}


async def test_a_body_over_one_mebibyte_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path, [declare(shell(tmp_path, "echo '{}'"))]) as served:
        response = await served.client.post("/a", json={"params": {"x": "x" * 1_048_576}})
    assert (response.status_code, response.json()["error"]["code"]) == (413, "E_TOO_LARGE")


async def test_another_method_is_405_with_allow_and_a_disabled_endpoint_is_404(tmp_path: Path) -> None:
    script = shell(tmp_path, "echo '{}'")
    declared = [
        declare(script),
        declare(script, name="b", path="/a", method="PUT"),
        declare(script, name="off", enabled=False),
    ]
    async with world(tmp_path, declared) as served:
        for method in ("GET", "HEAD", "DELETE"):
            response = await served.client.request(method, "/a")
            assert (response.status_code, response.headers["Allow"]) == (405, "POST, PUT")
        off = await served.client.post("/off")
        unknown = await served.client.post("/unknown")
    for response in (off, unknown):
        assert (response.status_code, response.json()["error"]["code"]) == (404, "E_NOT_FOUND")


async def test_a_script_that_vanished_is_our_fault_and_says_no_more(tmp_path: Path) -> None:
    script = shell(tmp_path, "echo '{}'")
    async with world(tmp_path, [declare(script)]) as served:
        (tmp_path / script).unlink()
        response = await served.client.post("/a")
    assert response.status_code == 500
    error = response.json()["error"]
    assert error.keys() == {"code", "message", "request_id"}
    assert error["code"] == "E_INTERNAL"
    assert str(tmp_path) not in response.text
    assert served.result()["code"] == "E_INTERNAL"


async def test_the_example_counts_words(tmp_path: Path) -> None:
    example = Path(__file__).parents[3] / "examples/endpoints/wordcount.py"
    async with world(tmp_path, [declare(str(example), name="wordcount")]) as served:
        response = await served.client.post("/wordcount", json={"params": {"text": "to be or not to be"}})
        many = await served.client.post("/wordcount", json={"params": {"texts": ["a b", ""]}})
        bad = await served.client.post("/wordcount", json={"params": {"text": 7}})
        line = await served.logs.until("counted 6 words in 1 texts")
    answer = response.json()
    assert answer["results"][0]["words"] == 6
    assert answer["results"][0]["top"][0] == {"word": "to", "count": 2}
    assert answer["new_entries"][0]["payload"] == {"texts": 1, "words": 6}
    assert [each["words"] for each in many.json()["results"]] == [2, 0]
    assert bad.status_code == 502
    assert (line.source, line.level, line.context) == (
        "endpoint:wordcount",
        "info",
        {"run_id": answer["run_id"]},
    )
    assert (served.runs()[0] / "artifacts/counts.json").exists()
