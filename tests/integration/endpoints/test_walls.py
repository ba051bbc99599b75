"""Programs that want too much, or more than they were given, called over HTTP."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from tests.integration.endpoints.conftest import declare, python, world
from tests.integration.process.test_trees import DAEMON, alive

from runstead.platform.execution.process import group_status, sandbox_status

GROUPS = pytest.mark.skipif(not group_status().available, reason=group_status().reason)
SEALED = pytest.mark.skipif(not sandbox_status().available, reason=sandbox_status().reason)

FORKS = "import os, time\nfor _ in range(200):\n    if os.fork() == 0:\n        time.sleep(60); os._exit(0)\nprint('{}')"
HUNGRY_FAMILY = """
import os, time
children = []
for _ in range(8):
    pid = os.fork()
    if pid == 0:
        block = bytearray(b'x' * 20_000_000)
        time.sleep(60)
        os._exit(0)
os.wait()
raise SystemExit(1)
"""
SPINNERS = """
import os
for _ in range(3):
    if os.fork() == 0:
        break
while True:
    pass
"""


@pytest.mark.req("EP-009")
@GROUPS
@pytest.mark.parametrize(
    ("body", "fields", "limit"),
    [
        (FORKS, {"max_processes": 20}, "processes"),
        (HUNGRY_FAMILY, {"max_memory_mb": 64}, "memory"),
        (SPINNERS, {"max_cpu_seconds": 1}, "cpu"),
        ("import sys\nwhile True: sys.stdout.write('x' * 65536)", {"max_output_bytes": 1_000_000}, "output"),
        ("import sys\nwhile True: sys.stderr.write('x' * 65536)", {"max_output_bytes": 1_000_000}, "output"),
    ],
    ids=["forks", "memory of many", "time of many", "endless output", "endless errors"],
)
async def test_a_limit_holds_for_the_whole_tree_and_is_named(
    tmp_path: Path, body: str, fields: dict[str, Any], limit: str
) -> None:
    async with world(tmp_path, [declare(python(tmp_path, body), timeout_ms=20_000, **fields)]) as served:
        answer = await served.client.post("/a")
        after = await served.client.post("/a", json={"params": {}})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["details"]["limit"]) == (502, "E_SCRIPT_LIMIT", limit)
    assert after.status_code == 502, "the next call has its own limits"


async def test_a_daemon_that_hides_ends_with_the_answer(tmp_path: Path) -> None:
    marker = f"hidden-{time.monotonic_ns()}"
    told = f"/tmp/told-{marker}"
    body = f"import sys\nsys.argv = ['x', {told!r}, {marker!r}, 'goes']\n{DAEMON}\nos.remove({told!r})\nprint('{{}}')"
    async with world(tmp_path, [declare(python(tmp_path, body))]) as served:
        answer = await served.client.post("/a")
    assert answer.status_code == 200, answer.text
    assert not alive(marker)


async def test_one_line_of_64_mib_is_an_answer_where_it_is_allowed(tmp_path: Path) -> None:
    size = 64 << 20
    body = f"import sys\nsys.stdout.write('{{\"results\":[\"' + 'x' * {size} + '\"]}}')"
    script = python(tmp_path, body)
    declared = declare(script, max_output_bytes=size + 1000, max_memory_mb=1024)
    async with world(tmp_path, [declared]) as served:
        served.client.timeout = 60
        answer = await served.client.post("/a")
    assert answer.status_code == 200
    assert len(answer.json()["results"][0]) == size


@pytest.mark.req("EP-009")
@SEALED
async def test_from_inside_there_is_nothing_to_see(tmp_path: Path) -> None:
    secret = tmp_path / "beside"
    secret.write_text("not for programs")
    body = f"""
import json, os, socket
def refused(work):
    try:
        work()
    except OSError:
        return True
    return False
found = {{
    "network": refused(lambda: socket.create_connection(("127.0.0.1", 22), 1)),
    "files": refused(lambda: open({str(secret)!r})),
    "etc": refused(lambda: open("/etc/passwd")),
    "home": refused(lambda: os.listdir("/root")),
    "writing": refused(lambda: open("/usr/new", "w")),
    "processes": len([name for name in os.listdir("/proc") if name.isdigit()]),
    "environment": sorted(os.environ),
}}
print(json.dumps({{"results": [found]}}))
"""
    (tmp_path / "scripts").mkdir()
    python(tmp_path / "scripts", body)
    async with world(tmp_path, [declare("scripts/script.py")]) as served:
        found = (await served.client.post("/a")).json()["results"][0]
    assert [found[name] for name in ("network", "files", "etc", "home", "writing")] == [True] * 5, found
    assert found["processes"] <= 3
    allowed = {
        "HOME",
        "LANG",
        "LC_ALL",
        "LC_CTYPE",
        "PATH",
        "PWD",
        "RUNSTEAD_ARTIFACTS",
        "RUNSTEAD_RUN_ID",
        "TZ",
    }
    assert set(found["environment"]) <= allowed | {"PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}, json.dumps(
        found
    )


@pytest.mark.parametrize(
    "body",
    [
        "open(folder + '/big', 'wb').write(b'x' * 3_000_000)",
        "for n in range(30): open(f'{folder}/{n}', 'wb').write(b'x' * 100_000)",
        "for n in range(30): open(f'{folder}/{n}', 'wb').write(b'x' * 100_000)\nimport time; time.sleep(60)",
    ],
    ids=["one file", "many files", "many files of one that goes on"],
)
async def test_what_a_run_leaves_has_a_limit(tmp_path: Path, body: str) -> None:
    script = python(tmp_path, f"import os\nfolder = os.environ['RUNSTEAD_ARTIFACTS']\n{body}\nprint('{{}}')")
    async with world(tmp_path, [declare(script, max_artifact_bytes=1_000_000)]) as served:
        answer = await served.client.post("/a")
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (502, "E_SCRIPT_LIMIT"), answer.text
        assert (error["details"]["limit"], error["details"]["allowed"]) == ("file_size", 1_000_000)
    kept = list(served.runs()[-1].rglob("artifacts/*"))
    assert sum(path.stat().st_size for path in kept) <= 1_000_000
