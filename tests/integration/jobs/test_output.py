"""What jobs print: packed when it is whole, found by number and by time, watched over a WebSocket."""

from __future__ import annotations

import asyncio
import json
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from tests.integration.jobs.conftest import Lines, Open
from tests.integration.jobs.test_life import ended, follow, python, start

from runstead.testing.files import content_of
from runstead.testing.server import ServerProcess

pytestmark = pytest.mark.req("JOBS-001")


def logs(folder: Path, job_id: str) -> list[Path]:
    return list(folder.glob(f"data/logs/*/script_{job_id}.*"))


async def packed(folder: Path, job_id: str) -> Path:
    """The packed log, once it is there and the plain one is gone."""
    for _ in range(2000):
        found = logs(folder, job_id)
        if [path.name for path in found] == [f"script_{job_id}.log.zst"]:
            return found[0]
        await asyncio.sleep(0.005)
    raise AssertionError("it was not packed")


async def page(client: httpx.AsyncClient, job_id: str, **params: Any) -> list[dict[str, Any]]:
    answer = await client.get(f"/api/scripts/{job_id}/logs", params=params)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["lines"])


async def test_a_log_is_packed_and_still_read_from_any_line(open_jobs: Open, tmp_path: Path) -> None:
    async with open_jobs(cpu_percent=1000) as client:
        job_id = await start(client, python("for n in range(1, 120_001): print('line', n, 'x' * 40)"))
        assert (await ended(client, job_id))["lines"] == 120_000
        path = await packed(tmp_path, job_id)
        for first in (1, 17, 60_000, 119_999, 120_000):
            lines = await page(client, job_id, **{"from": first, "limit": 2})
            assert [line["seq"] for line in lines] == [n for n in (first, first + 1) if n <= 120_000]
            assert lines[0]["line"].startswith(f"line {first} ")
        assert [line["seq"] for line in await page(client, job_id, tail=3)] == [119_998, 119_999, 120_000]
        assert await page(client, job_id, **{"from": 120_001}) == []
    if shutil.which("zstdcat"):
        plain = subprocess.run(["zstdcat", path], capture_output=True, check=True).stdout  # noqa: ASYNC221
        assert plain.count(b"\n") == 120_000, "any tool reads it as one file"


async def test_lines_are_found_by_time(open_jobs: Open, tmp_path: Path) -> None:
    code = "import time\nfor n in range(5):\n    print(n, flush=True); time.sleep(0.1)"
    async with open_jobs() as client:
        job_id = await start(client, python(code))
        await ended(client, job_id)
        await packed(tmp_path, job_id)
        lines = await page(client, job_id)
        for number, line in enumerate(lines):
            found = await page(client, job_id, since=line["at"])
            assert found == lines[number:]
        later = datetime.fromisoformat(lines[-1]["at"]) + timedelta(seconds=1)
        assert await page(client, job_id, since=later.isoformat()) == []
        long_ago = datetime(2001, 1, 1, tzinfo=UTC).isoformat()
        assert await page(client, job_id, since=long_ago) == lines


async def test_a_line_of_64_mib_is_cut_into_pieces_and_kept_whole(open_jobs: Open, tmp_path: Path) -> None:
    size = 64 * 1024 * 1024
    async with open_jobs(cpu_percent=1000, log_part_mb=100) as client:
        job_id = await start(client, python(f"print('é' * {size // 2})"))
        facts = await ended(client, job_id)
        assert (facts["status"], facts["lines"]) == ("completed", size // 65536)
        await packed(tmp_path, job_id)
        total, first = 0, 1
        while lines := await page(client, job_id, **{"from": first, "limit": 100}):
            total += sum(len(line["line"].encode()) for line in lines)
            first = lines[-1]["seq"] + 1
    assert total == size


async def test_endless_output_without_line_ends_is_cut_and_ended_on_demand(open_jobs: Open) -> None:
    async with open_jobs(cpu_percent=1000) as client:
        job_id = await start(client, "cat /dev/zero")
        while (await client.get(f"/api/scripts/{job_id}")).json()["lines"] < 100:
            pass
        killed = await client.post(f"/api/scripts/{job_id}/kill", json={"grace_seconds": 1})
        assert killed.json()["status"] == "killed"
        assert len((await page(client, job_id, limit=1))[0]["line"]) == 65536


async def test_a_job_has_no_input_to_wait_for(open_jobs: Open) -> None:
    async with open_jobs() as client:
        job_id = await start(client, python("import sys; print(repr(sys.stdin.read()))"))
        assert (await ended(client, job_id))["last_line"] == "''"


async def test_a_log_of_a_server_that_died_is_packed_by_the_next(open_jobs: Open, tmp_path: Path) -> None:
    async with open_jobs() as client:
        job_id = await start(client, python("print('one')"))
        await ended(client, job_id)
        path = await packed(tmp_path, job_id)
    plain = path.with_suffix("")
    plain.write_bytes(content_of(path))
    path.unlink()
    async with open_jobs() as client:
        await packed(tmp_path, job_id)
        assert [line["line"] for line in await page(client, job_id)] == ["one"]


async def test_bytes_that_are_no_text_are_kept_as_they_are(
    open_jobs: Open, sink: Lines, tmp_path: Path
) -> None:
    raw = bytes(range(1, 256)).replace(b"\n", b"") + b"\n"
    (tmp_path / "work/raw").write_bytes(raw)
    async with open_jobs() as client:
        job_id = await start(client, "cat raw")
        await ended(client, job_id)
        path = await packed(tmp_path, job_id)
        assert (await page(client, job_id))[0]["line"] == raw[:-1].decode("utf-8", "replace")
    stored = content_of(path)
    assert stored.split(b" ", 3)[3] == raw


class TestWebSocket:
    """Against a real server: the upgrade is the HTTP server's part."""

    def url(self, server: ServerProcess, job_id: str, query: str = "") -> str:
        return f"{server.url.replace('http', 'ws', 1)}/api/scripts/{job_id}/logs{query}"

    async def start(self, server: ServerProcess, code: str) -> str:
        async with httpx.AsyncClient(base_url=server.url, headers=server.headers) as client:
            return await start(client, f"python3 -c {shlex.quote(code)}")

    @pytest.mark.req("JOBS-004")
    async def test_it_gets_what_was_what_comes_and_the_end(self, tmp_path: Path) -> None:
        code = "import os, time\nprint('first', flush=True)\nwhile not os.path.exists('go'): time.sleep(0.01)\nprint('last')"
        with ServerProcess(tmp_path / "house") as server:
            job_id = await self.start(server, code)
            async with websockets.connect(
                self.url(server, job_id), additional_headers=server.headers
            ) as socket:
                first = json.loads(await socket.recv())
                (server.folder / "go").touch()
                rest = [json.loads(message) async for message in socket]
            assert (first["event"], first["data"]["seq"], first["data"]["line"]) == ("line", 1, "first")
            assert [one["event"] for one in rest] == ["line", "end"]
            assert rest[0]["data"]["line"] == "last"
            assert rest[1]["data"]["status"] == "completed"
            async with websockets.connect(
                self.url(server, job_id, "?tail=1"), additional_headers=server.headers
            ) as socket:
                assert json.loads(await socket.recv())["data"]["line"] == "last"

    async def test_without_a_credential_from_elsewhere_and_for_no_job_it_is_refused(
        self, tmp_path: Path
    ) -> None:
        nobody = "0192f0c1-7b1a-7000-8000-000000000000"
        with ServerProcess(
            tmp_path / "house", environment={"MASTER_PASSWORD": "long-enough-for-all"}
        ) as server:
            job_id = await self.start(server, "print('one')")
            foreign = {**server.headers, "Origin": "https://evil.example"}
            for url, headers in (
                (self.url(server, job_id), {}),
                (self.url(server, nobody), server.headers),
                (self.url(server, job_id), foreign),
            ):
                with pytest.raises(websockets.WebSocketException):
                    async with websockets.connect(url, additional_headers=headers) as socket:
                        await socket.recv()

    async def test_a_server_that_stops_lets_its_watchers_go(self, tmp_path: Path) -> None:
        code = "import time\nprint('first', flush=True)\ntime.sleep(600)"
        config = "[server]\nshutdown_grace_seconds = 1\n"
        with ServerProcess(tmp_path / "house", config=config) as server:
            job_id = await self.start(server, code)
            async with websockets.connect(
                self.url(server, job_id), additional_headers=server.headers
            ) as socket:
                await socket.recv()
                assert await asyncio.to_thread(server.stop) == 0
                with pytest.raises(websockets.ConnectionClosed):
                    await socket.recv()

    async def test_a_watcher_that_goes_is_forgotten_and_the_job_goes_on(self, tmp_path: Path) -> None:
        code = "import os, time\nprint('first', flush=True)\nwhile not os.path.exists('go'): time.sleep(0.01)"
        with ServerProcess(tmp_path / "house") as server:
            job_id = await self.start(server, code)
            async with websockets.connect(
                self.url(server, job_id), additional_headers=server.headers
            ) as socket:
                await socket.recv()
            (server.folder / "go").touch()
            async with httpx.AsyncClient(base_url=server.url, headers=server.headers) as client:
                assert (await follow(client, job_id))[-1][1]["status"] == "completed"
            assert "Traceback" not in server.output


async def test_a_flood_is_in_the_log_of_the_job_and_the_store_hears_of_it(
    open_jobs: Open, sink: Lines
) -> None:
    async with open_jobs(cpu_percent=1000) as client:
        job_id = await start(client, python("for n in range(20_000): print(n)"))
        assert (await ended(client, job_id))["lines"] == 20_000
    told = [line["message"] for line in sink.emitted]
    assert told[:2] == ["0", "1"]
    left_out = [int(text.split()[0]) for text in told if text.endswith("in the log of the job alone")]
    assert len(told) - len(left_out) + sum(left_out) == 20_000
    assert left_out


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB where logs go."""
    folder = tmp_path / "data/logs"
    folder.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("nothing can be mounted here")
    yield folder
    subprocess.run(["umount", folder], check=True)


async def test_a_full_disk_ends_the_job_and_not_the_server(open_jobs: Open, small_disk: Path) -> None:
    async with open_jobs(cpu_percent=1000) as client:
        job_id = await start(client, "yes and on it goes")
        facts = await ended(client, job_id)
        assert facts["status"] == "failed"
        assert facts["reason"] == "its output could not be kept: No space left on device"
        assert (await page(client, job_id, limit=1))[0]["line"] == "and on it goes"
        assert (await client.delete(f"/api/scripts/{job_id}")).status_code == 204
        after = await start(client, "echo room again")
        assert (await ended(client, after))["last_line"] == "room again"
