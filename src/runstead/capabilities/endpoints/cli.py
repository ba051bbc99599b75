"""``runstead endpoints``: what is declared, what ran, and trying one."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter

from runstead.capabilities.endpoints.entry import json_schema
from runstead.platform.cli import Client, CliError, ExitCode, JsonFlag, Output, segment

app = App(name="endpoints", help="Declared HTTP routes that run programs.")


@app.command(name="list")
def list_(*, json: JsonFlag = False) -> None:
    """List the declared endpoints with their counters since the server started."""
    with Client.from_environment() as client:
        rows = client.get("/api/endpoints")["endpoints"]
    output = Output(json=json)
    if json:
        output.value(rows)
        return
    for row in rows:
        row["failed"] = sum(row["failures"].values())
    output.table(
        rows,
        ["name", "method", "path", "enabled", "calls", "failed", "p50_ms", "p99_ms", "running", "waiting"],
    )


@app.command
def runs(name: str, *, limit: int = 20, cursor: str | None = None, json: JsonFlag = False) -> None:
    """List the runs of an endpoint, the newest first.

    Parameters
    ----------
    name
        The endpoint.
    limit
        How many at most.
    cursor
        Where the last page ended.
    """
    params: dict[str, Any] = {"limit": limit}
    if cursor is not None:
        params["cursor"] = cursor
    with Client.from_environment() as client:
        page = client.get(f"/api/endpoints/{segment(name)}/runs", **params)
    output = Output(json=json)
    if json:
        output.value(page)
        return
    output.table(page["runs"], ["run_id", "status", "code", "exit_code", "started_at", "duration_ms"])
    if page["next_cursor"]:
        output.line(f"more: runstead endpoints runs {name} --cursor {page['next_cursor']}")


@app.command
def show(name: str, run_id: str, *, json: JsonFlag = False) -> None:
    """Show one run: its result, what it was asked, and the files that it left.

    Parameters
    ----------
    name
        The endpoint.
    run_id
        The run, as `runstead endpoints runs NAME` lists it.
    """
    with Client.from_environment() as client:
        base = f"/api/endpoints/{segment(name)}/runs/{segment(run_id)}"
        run = client.get(base)
        if run["status"] != "running":
            run["artifacts"] = client.get(f"{base}/artifacts")["artifacts"]
    Output(json=json).value(run)


@app.command(name="try")
def try_(
    name: str,
    request: Annotated[str, Parameter(allow_leading_hyphen=True)] = "{}",
    *,
    json: JsonFlag = False,
) -> None:
    """Call an endpoint, also a disabled one, and print its answer.

    Parameters
    ----------
    name
        The endpoint.
    request
        The body, such as '{"params": {"text": "a b a"}}'; `-` reads it from stdin.
    """
    text = sys.stdin.read() if request == "-" else request
    try:
        body = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise CliError(f"the request is not JSON: {error}", exit_code=ExitCode.USAGE) from error
    with Client.from_environment() as client:
        answer = client.post(f"/api/endpoints/{segment(name)}/try", body)
    Output(json=json).value(answer)


@app.command
def schema(*, json: JsonFlag = False) -> None:
    """Print the JSON Schema of what a program writes to stdout. Needs no server."""
    Output(json=json).value(json_schema())
