"""What the whole server writes down of what is done to it, and whether that can be changed unseen."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable

import httpx

from runstead.testing.server import ServerProcess


def run_cli(server: ServerProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "runstead", *arguments],
        env={"PATH": "/usr/bin:/bin", "RUNSTEAD_URL": server.url, "RUNSTEAD_ADMIN_TOKEN": server.admin_token},
        cwd=server.folder,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_acts_are_written_down_and_a_changed_row_is_found(start_server: Callable[..., ServerProcess]) -> None:
    server = start_server()
    with httpx.Client(base_url=server.url, headers=server.headers, timeout=60) as client:
        assert client.put("/api/apps/mine", content=b"function init() {}").status_code == 201
        job = client.post("/api/scripts", json={"command": "sleep 60"}).json()["id"]
        assert client.post(f"/api/scripts/{job}/kill").status_code == 200
        assert client.delete(f"/api/scripts/{job}").status_code == 204
        assert client.post("/admin/projects", json={"slug": "shop"}).status_code == 201
        assert client.delete("/api/apps/mine").status_code == 204
        done = client.get("/api/audit", params={"actor": "machine:administrator"}).json()["entries"]
    assert [one["action"] for one in reversed(done)] == [
        "app.put",
        "job.start",
        "job.kill",
        "job.delete",
        "project.create",
        "app.delete",
    ]
    assert {one["address"] for one in done} == {"127.0.0.1"}
    assert all(one["request_id"] for one in done)

    verified = run_cli(server, "audit", "verify")
    assert (verified.returncode, verified.stdout.partition(":")[0]) == (0, "whole")
    exported = run_cli(server, "audit", "export", "--format", "cef")
    assert exported.stdout.count("CEF:0|Runstead|") >= len(done)

    broken = done[2]["seq"]
    with sqlite3.connect(server.folder / "data" / "runstead.db") as db:
        db.execute("DROP TRIGGER audit_entries_no_update")
        db.execute("UPDATE audit_entries SET actor = 'somebody else' WHERE seq = ?", (broken,))
    db.close()
    verified = run_cli(server, "audit", "verify")
    assert verified.returncode == 1
    assert f"broken at entry {broken}" in verified.stdout
