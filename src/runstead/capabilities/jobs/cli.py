"""``runstead jobs``: start, watch, stop."""

from __future__ import annotations

import sys
from typing import Annotated

import msgspec
from cyclopts import App, Parameter

from runstead.platform.cli import Client, JsonFlag, Output, segment

app = App(name="jobs", help="Commands with live output.")

_COLUMNS = ["id", "name", "status", "attempt", "created_at", "exit_code", "lines", "last_line"]


@app.command
def start(
    command: str,
    *,
    name: str = "",
    timeout: float | None = None,
    working_dir: str | None = None,
    retries: int = 0,
    follow: Annotated[bool, Parameter(alias="-f")] = False,
    json: JsonFlag = False,
) -> int:
    """Start a command; with --follow show its output until it ends, and end with its exit code.

    Example: runstead jobs start "python3 examples/jobs/countdown.py 5" --follow

    Parameters
    ----------
    command
        Split by shell rules, run without a shell.
    timeout
        Seconds; the default is 8 h.
    retries
        Further attempts when one fails.
    """
    body = {"command": command, "name": name, "retries": retries}
    body |= {
        key: value for key, value in (("timeout", timeout), ("working_dir", working_dir)) if value is not None
    }
    with Client.from_environment() as client:
        job = client.post("/api/scripts", json=body)
        if follow:
            return follow_job(client, job["id"])
    Output(json=json).item(job, f"{job['id']} {job['status']}")
    return 0


@app.command(name="list")
def list_(*, status: str | None = None, limit: int = 20, json: JsonFlag = False) -> None:
    """List jobs, the newest first.

    Example: runstead jobs list --status failed
    """
    with Client.from_environment() as client:
        page = client.get("/api/scripts", status=status, limit=limit)
    output = Output(json=json)
    if json:
        output.value(page)
    else:
        output.table(page["jobs"], _COLUMNS)


@app.command
def show(job: str, *, json: JsonFlag = False) -> None:
    """Show one job with its attempts.

    Example: runstead jobs show 0192f0c1-7b1a-7000-8000-000000000000
    """
    with Client.from_environment() as client:
        Output(json=json).value(client.get(f"/api/scripts/{segment(job)}"))


@app.command
def logs(
    job: str,
    *,
    follow: Annotated[bool, Parameter(alias="-f")] = False,
    tail: int | None = None,
    json: JsonFlag = False,
) -> int:
    """Show the output of a job; with --follow also what comes, until it ends.

    Example: runstead jobs logs 0192f0c1-7b1a-7000-8000-000000000000 --follow
    """
    with Client.from_environment() as client:
        if follow:
            return follow_job(client, job, tail=tail)
        page = client.get(f"/api/scripts/{segment(job)}/logs", tail=tail)
    output = Output(json=json)
    if json:
        output.value(page)
    else:
        for line in page["lines"]:
            output.line(line["line"])
    return 0


@app.command
def kill(job: str, *, signal: str = "TERM", grace_seconds: float = 5, json: JsonFlag = False) -> None:
    """End a job and all that it started.

    Example: runstead jobs kill 0192f0c1-7b1a-7000-8000-000000000000 --signal INT
    """
    with Client.from_environment() as client:
        ended = client.post(
            f"/api/scripts/{segment(job)}/kill", json={"signal": signal, "grace_seconds": grace_seconds}
        )
    Output(json=json).item(ended, f"{ended['id']} {ended['status']}")


@app.command
def restart(job: str, *, json: JsonFlag = False) -> None:
    """Run a job that has ended once more.

    Example: runstead jobs restart 0192f0c1-7b1a-7000-8000-000000000000
    """
    with Client.from_environment() as client:
        again = client.post(f"/api/scripts/{segment(job)}/restart")
    Output(json=json).item(again, f"{again['id']} {again['status']}, attempt {again['attempt']}")


@app.command(name="rm")
def remove(job: str, *, json: JsonFlag = False) -> None:
    """Remove a job that has ended, and its logs.

    Example: runstead jobs rm 0192f0c1-7b1a-7000-8000-000000000000
    """
    with Client.from_environment() as client:
        client.delete(f"/api/scripts/{segment(job)}")
    Output(json=json).item({"id": job, "removed": True}, f"{job} removed")


def follow_job(client: Client, job: str, *, tail: int | None = None) -> int:
    """Print the output as it comes; the exit code of the job is ours."""
    for message in client.stream(f"/api/scripts/{segment(job)}/logs", tail=tail):
        facts = msgspec.json.decode(message.data)
        if message.event == "line":
            print(facts["line"], file=sys.stderr if facts["is_error"] else sys.stdout, flush=True)
        elif message.event == "missed":
            print(f"... {facts['missed']} lines passed over ...", file=sys.stderr, flush=True)  # noqa: T201
        elif message.event == "end":
            code = facts["exit_code"]
            return code if code is not None else 1
    return 1
