"""What was acknowledged is there after the process was killed."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Callable

import httpx
import pytest

from runstead.testing.server import ServerProcess

BATCHES = 1_000
RECORDS = 100


async def _send_until_killed(server: ServerProcess, project: dict[str, str]) -> tuple[set[str], set[str]]:
    """Send more than will be acknowledged; kill the server with SIGKILL when enough are, while others are under way."""
    logged: set[str] = set()
    recorded: set[str] = set()
    enough = asyncio.Event()

    def count() -> None:
        if len(logged) >= BATCHES and len(recorded) >= RECORDS:
            enough.set()

    async def send_batches(http: httpx.AsyncClient, sender: int) -> None:
        for number in range(BATCHES):
            word = f"m{sender}x{number}"
            body = json.dumps({"events": [{"level": "info", "message": word}]}).encode()
            signature = hmac.new(project["hmac_secret"].encode(), body, hashlib.sha256).hexdigest()
            headers = {
                "X-Project-Key": project["project_key"],
                "X-Signature": signature,
                "Content-Type": "application/json",
            }
            answer = await http.post("/api/log", content=body, headers=headers)
            assert answer.status_code == 200, answer.text
            logged.add(word)
            count()

    async def send_records(http: httpx.AsyncClient, sender: int) -> None:
        for number in range(RECORDS):
            run_id = f"run-{sender}-{number}"
            document = {
                "organization": "o",
                "project": "p",
                "service": "s",
                "run_id": run_id,
                "artifact": {"n": number},
            }
            answer = await http.post("/v1/artifacts", json=document)
            assert answer.status_code == 202, answer.text
            recorded.add(run_id)
            count()

    async with httpx.AsyncClient(base_url=server.url, headers=server.headers, timeout=30) as http:
        senders = [asyncio.create_task(send_batches(http, sender)) for sender in range(8)]
        senders += [asyncio.create_task(send_records(http, sender)) for sender in range(4)]
        everything = asyncio.gather(*senders, return_exceptions=True)
        waiting = asyncio.create_task(enough.wait())
        everything.add_done_callback(lambda _: waiting.cancel())
        await asyncio.wait({waiting})
        assert enough.is_set(), "the senders ended before enough was acknowledged"
        server.kill()
        outcomes = await everything
    # After the kill each sender fails to connect or to read; anything else is a defect of the server.
    assert all(outcome is None or isinstance(outcome, httpx.TransportError) for outcome in outcomes), outcomes
    return logged, recorded


def _all_messages(http: httpx.Client) -> set[str]:
    messages: set[str] = set()
    cursor: str | None = None
    while True:
        parameters = {"project": "durable", "limit": "1000"} | ({"cursor": cursor} if cursor else {})
        page = http.get("/api/log", params=parameters).json()
        messages |= {row["message"] for row in page["logs"]}
        cursor = page["next_cursor"]
        if cursor is None:
            return messages


@pytest.mark.timeout(180)
def test_sigkill_loses_no_acknowledged_batch_and_no_record(
    start_server: Callable[..., ServerProcess],
) -> None:
    unlimited = "[logs]\nip_requests_per_minute = 1000000\n"
    server = start_server(config=unlimited)
    with httpx.Client(base_url=server.url, headers=server.headers, timeout=30) as http:
        project = http.post("/admin/projects", json={"slug": "durable", "name": "Durable"})
        assert project.status_code == 201, project.text
        http.patch("/admin/projects/durable", json={"minute_cap": 1_000_000}).raise_for_status()
    logged, recorded = asyncio.run(_send_until_killed(server, project.json()))
    assert len(logged) >= BATCHES
    assert len(recorded) >= RECORDS

    again = start_server(config=unlimited)
    with httpx.Client(base_url=again.url, headers=again.headers, timeout=30) as http:
        assert logged - _all_messages(http) == set()
        for run_id in recorded:
            answer = http.get(f"/v1/artifacts/o/p/s/runs/{run_id}")
            assert answer.status_code == 200, (run_id, answer.text)
