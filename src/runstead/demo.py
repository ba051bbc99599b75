"""The tour: what a user does with each of the five, done against a running server and told line by line.

It goes through the public doors only (HTTP), so it is also the acceptance test of the whole.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from runstead.kernel.ids import new_id
from runstead.platform.cli import Client, CliError, JsonFlag, Output

#: A step that waits for something to arrive (a log line, a record) gives up after this many seconds.
WAIT_SECONDS_MAX = 20.0

_COUNTDOWN = "python3 examples/jobs/countdown.py"


class DemoError(Exception):
    """A step did not go as it should."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of the tour."""

    capability: str
    did: str
    saw: str
    milliseconds: float


def _expect(response: httpx.Response, *statuses: int) -> Any:
    """The JSON (or text) of an answer that has one of these statuses."""
    if response.status_code not in statuses:
        raise DemoError(
            f"{response.request.method} {response.request.url.path} answered {response.status_code}: {response.text[:300]}"
        )
    is_json = "json" in response.headers.get("content-type", "")
    return response.json() if is_json else response.text


def _until(what: str, attempt: Callable[[], Any]) -> Any:
    """Ask again until something truthy comes back: what follows a commit arrives a moment later."""
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while time.monotonic() < deadline:
        if found := attempt():
            return found
        time.sleep(0.1)
    raise DemoError(f"{what} did not arrive within {WAIT_SECONDS_MAX:.0f} s")


class Demo:
    """The five steps and the two joins between them. ``http`` carries the administrator's token."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self._run_id = ""
        self._job_id = ""

    def steps(self) -> Iterator[Step]:
        """Do each step when it is asked for, and tell what was seen.

        :raises DemoError: at the first step that does not go as it should.
        """
        for capability, step in (
            ("apps", self._app),
            ("endpoints", self._endpoint),
            ("jobs", self._job_streams),
            ("jobs", self._job_is_killed),
            ("logs", self._logs),
            ("logs", self._output_is_searchable),
            ("records", self._records),
            ("records", self._results_are_recorded),
        ):
            started = time.monotonic()
            did, saw = step()
            yield Step(
                capability=capability, did=did, saw=saw, milliseconds=(time.monotonic() - started) * 1000
            )

    def _app(self) -> tuple[str, str]:
        body = _expect(self._http.get("/hello/Ada"), 200)
        return "GET /hello/Ada", body if isinstance(body, str) else json.dumps(body)

    def _endpoint(self) -> tuple[str, str]:
        body = _expect(self._http.post("/wordcount", json={"params": {"text": "to be or not to be"}}), 200)
        self._run_id = body["run_id"]
        return "POST /wordcount", f"{json.dumps(body['results'])}, run {self._run_id}"

    def _job_streams(self) -> tuple[str, str]:
        job = _expect(self._http.post("/api/scripts", json={"command": f"{_COUNTDOWN} 3 0.2"}), 201)
        self._job_id = job["id"]
        lines = self._follow(self._job_id)
        final = _expect(self._http.get(f"/api/scripts/{self._job_id}"), 200)
        if final["status"] != "completed" or not lines:
            raise DemoError(f"the job ended as {final['status']} with {len(lines)} lines")
        return (
            f"POST /api/scripts {_COUNTDOWN!r}",
            f"{len(lines)} lines live, the last: {lines[-1]!r}; {final['status']}",
        )

    def _follow(self, job_id: str) -> list[str]:
        """The lines of a job by SSE until the stream ends."""
        lines = []
        headers = {"Accept": "text/event-stream"}
        with self._http.stream("GET", f"/api/scripts/{job_id}/logs", headers=headers) as response:
            event = "message"
            for text in response.iter_lines():
                name, _, value = text.partition(":")
                if name == "event":
                    event = value.strip()
                elif name == "data" and event in ("message", "line"):
                    lines.append(json.loads(value)["line"])
                elif not text:
                    event = "message"
        return lines

    def _job_is_killed(self) -> tuple[str, str]:
        job = _expect(self._http.post("/api/scripts", json={"command": f"{_COUNTDOWN} 1000 1"}), 201)
        path = f"/api/scripts/{job['id']}"
        _until("the job's start", lambda: self._http.get(path).json()["status"] == "running")
        _expect(self._http.post(f"{path}/kill", json={"grace_seconds": 1}), 200, 202)
        _until("the job's end", lambda: self._http.get(path).json()["status"] == "killed")
        return f"POST {path}/kill", "killed"

    def _logs(self) -> tuple[str, str]:
        slug = f"demo-{secrets.token_hex(4)}"
        project = _expect(self._http.post("/admin/projects", json={"slug": slug, "name": "The tour"}), 201)
        word = secrets.token_hex(6)
        body = json.dumps(
            {"events": [{"level": "error", "message": f"payment {word} refused", "source": "shop"}]}
        ).encode()
        signature = hmac.new(project["hmac_secret"].encode(), body, hashlib.sha256).hexdigest()
        signed = {
            "X-Project-Key": project["project_key"],
            "X-Signature": signature,
            "Content-Type": "application/json",
        }
        _expect(self._http.post("/api/log", content=body, headers=signed), 200)
        found = _expect(self._http.get("/api/log", params={"project": slug, "q": word}), 200)["logs"]
        if [row["message"] for row in found] != [f"payment {word} refused"]:
            raise DemoError(f"the batch was accepted, but searching {word!r} found {found}")
        return (
            f"POST /api/log (signed), GET /api/log?q={word}",
            f"found: {found[0]['level']} {found[0]['message']!r}",
        )

    def _output_is_searchable(self) -> tuple[str, str]:
        sources = {"app": "app:hello", "endpoint": "endpoint:wordcount", "job": "job:"}

        def arrived() -> dict[str, str]:
            rows = self._http.get("/api/log", params={"project": "runstead", "limit": 500}).json()["logs"]
            newest = {row["source"]: row["message"] for row in reversed(rows)}
            return {
                name: next((message for source, message in newest.items() if source.startswith(prefix)), "")
                for name, prefix in sources.items()
            }

        seen = _until(
            "the output of app, endpoint and job", lambda: s if all((s := arrived()).values()) else None
        )
        return "GET /api/log?project=runstead", "; ".join(
            f"{name}: {text[:40]!r}" for name, text in seen.items()
        )

    def _records(self) -> tuple[str, str]:
        document = {
            "organization": "demo",
            "project": "tour",
            "service": "cli",
            "run_id": new_id(),
            "artifact": {"greeting": base64.b64encode(b"hello").decode()},
        }
        first = _expect(self._http.post("/v1/artifacts", json=document), 202)
        again = _expect(self._http.post("/v1/artifacts", json=document), 200)
        other = self._http.post("/v1/artifacts", json={**document, "artifact": {"greeting": "changed"}})
        if not again.get("duplicate") or other.status_code != 409:
            raise DemoError("a record could be changed")
        return (
            "POST /v1/artifacts, three times",
            f"accepted {first['location']}; again: duplicate; changed: 409",
        )

    def _results_are_recorded(self) -> tuple[str, str]:
        base = "/v1/artifacts/local/runstead"
        for service, run_id in (("wordcount", self._run_id), ("countdown.py", self._job_id)):
            self._is_recorded(f"{base}/{service}/runs/{run_id}")
        return f"GET {base}/wordcount/runs/…", "the endpoint's and the job's results are immutable records"

    def _is_recorded(self, path: str) -> None:
        _until(f"the record {path}", lambda: self._http.get(path).status_code == 200)


def demo(*, json: JsonFlag = False) -> int:
    """Walk through all five capabilities against the running server, and print what happened.

    Example: runstead demo
    """
    output = Output(json=json)
    done: list[dict[str, Any]] = []
    with Client.from_environment() as client:
        client.get("/healthz")
        try:
            for step in Demo(client.http).steps():
                done.append(
                    {name: getattr(step, name) for name in ("capability", "did", "saw", "milliseconds")}
                )
                if not json:
                    output.line(
                        f"{step.capability:10} {step.did}\n{'':10} -> {step.saw}   ({step.milliseconds:.0f} ms)"
                    )
        except DemoError as error:
            raise CliError(f"the tour stopped: {error}") from error
    if json:
        output.value(done)
    else:
        output.line("All five work.")
    return 0
