"""``runstead jobs``: start, watch, stop."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Final

import msgspec
from cyclopts import App, Parameter

from runstead.capabilities.jobs.model import RETRY_SECONDS
from runstead.platform.cli import Client, CliError, ExitCode, JsonFlag, Output, segment

app = App(name="jobs", help="Commands with live output.")

#: Lines that are asked for at once.
LINES_AT_ONCE: Final = 5000
_COLUMNS = ["id", "name", "status", "attempt", "created_at", "exit_code", "lines", "last_line"]


@app.command
def start(
    command: str,
    *,
    name: str = "",
    timeout: float | None = None,
    working_dir: str | None = None,
    env: list[str] | None = None,
    label: list[str] | None = None,
    retries: int = 0,
    retry_seconds: float = RETRY_SECONDS,
    priority: int = 0,
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
    env
        NAME=VALUE, also NAME=secret://ID; may be given often.
    label
        NAME=VALUE; may be given often.
    retries
        Further attempts when one fails.
    retry_seconds
        Before the first of them; doubled each time.
    priority
        Those with more go first.
    """
    body = {
        "command": command,
        "name": name,
        "env": pairs(env),
        "labels": pairs(label),
        "retries": retries,
        "retry_seconds": retry_seconds,
        "priority": priority,
        **_given(timeout=timeout, working_dir=working_dir),
    }
    with Client.from_environment() as client:
        return _begun(client, client.post("/api/scripts", json=body), follow=follow, json=json)


@app.command
def rerun(
    job: str,
    *,
    command: str | None = None,
    timeout: float | None = None,
    env: list[str] | None = None,
    label: list[str] | None = None,
    retries: int | None = None,
    priority: int | None = None,
    follow: Annotated[bool, Parameter(alias="-f")] = False,
    json: JsonFlag = False,
) -> int:
    """Start a new job like this one, with what is to be different.

    Example: runstead jobs rerun 0192f0c1-7b1a-7000-8000-000000000000 --env LEVEL=debug --follow

    Parameters
    ----------
    command
        Another command.
    env
        NAME=VALUE that is added or replaced; may be given often.
    label
        NAME=VALUE, in place of all labels; may be given often.
    """
    labels = None if label is None else pairs(label)
    body = _given(command=command, timeout=timeout, labels=labels, retries=retries, priority=priority)
    with Client.from_environment() as client:
        made = client.post(f"/api/scripts/{segment(job)}/rerun", json={**body, "env": pairs(env)})
        return _begun(client, made, follow=follow, json=json)


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
    from_: Annotated[int | None, Parameter(name="--from")] = None,
    since: str | None = None,
    attempt: int | None = None,
    json: JsonFlag = False,
) -> int:
    """Show the output of a job; with --follow also what comes, until it ends.

    Example: runstead jobs logs 0192f0c1-7b1a-7000-8000-000000000000 --follow

    Parameters
    ----------
    tail
        The last so many lines.
    from_
        From this line on.
    since
        From the first line on that is not older, as 2026-01-31T12:00:00Z.
    attempt
        The output of an earlier attempt.
    json
        A line of JSON for each.
    """
    wanted = {"tail": tail, "from": from_, "since": since, "attempt": attempt}
    with Client.from_environment() as client:
        if follow:
            return follow_job(client, job, **wanted)
        output, expected = Output(json=json), from_ or 1
        for line in _lines(client, job, wanted):
            if line["seq"] > expected and tail is None and since is None:
                _tell_missed(line["seq"] - expected)
            expected = line["seq"] + 1
            if json:
                print(msgspec.json.encode(line).decode(), flush=True)  # noqa: T201
            else:
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


def pairs(texts: Sequence[str] | None) -> dict[str, str]:
    """What was given as NAME=VALUE.

    :raises CliError: one is something else.
    """
    found = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals:
            raise CliError(f"{text!r} is not NAME=VALUE", exit_code=ExitCode.USAGE)
        found[name] = value
    return found


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _begun(client: Client, job: Mapping[str, Any], *, follow: bool, json: bool) -> int:
    if follow:
        return follow_job(client, job["id"])
    Output(json=json).item(job, f"{job['id']} {job['status']}")
    return 0


def _lines(client: Client, job: str, wanted: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """All of them, page by page."""
    asked = {**wanted, "limit": LINES_AT_ONCE}
    while True:
        page = client.get(f"/api/scripts/{segment(job)}/logs", **asked)
        yield from page["lines"]
        if page["next_from"] is None:
            return
        asked = {"attempt": wanted["attempt"], "from": page["next_from"], "limit": LINES_AT_ONCE}


def _tell_missed(lines: int) -> None:
    print(f"... {lines} lines passed over ...", file=sys.stderr, flush=True)  # noqa: T201


def follow_job(client: Client, job: str, **wanted: Any) -> int:
    """Print the output as it comes; the exit code of the job is ours.

    The server passes lines over when we are too slow for a job that prints fast; its log has them, and they are fetched.
    """
    known = wanted.get("tail") is None and wanted.get("since") is None
    expected = (wanted.get("from") or 1) if known else None
    for message in client.stream(f"/api/scripts/{segment(job)}/logs", **wanted):
        facts = msgspec.json.decode(message.data)
        if message.event == "line":
            _print(facts)
            expected = facts["seq"] + 1
        elif message.event == "missed":
            missed = facts["missed"]
            if expected is not None:
                missed -= _catch_up(client, job, wanted.get("attempt"), expected, expected + missed)
                expected += facts["missed"]
            if missed:
                _tell_missed(missed)
        elif message.event == "end":
            code = facts["exit_code"]
            return code if code is not None else 1
    return 1


def _catch_up(client: Client, job: str, attempt: int | None, first: int, until: int) -> int:
    """Print these lines, so far as they are still kept; how many."""
    printed = 0
    for line in _lines(client, job, {"attempt": attempt, "from": first}):
        if line["seq"] >= until:
            break
        _print(line)
        printed += 1
    return printed


def _print(line: Mapping[str, Any]) -> None:
    print(line["line"], file=sys.stderr if line["is_error"] else sys.stdout, flush=True)
