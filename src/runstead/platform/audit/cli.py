"""``runstead audit``: read the trail, copy it out, see whether it is whole."""

from __future__ import annotations

import sys
from typing import Literal

from cyclopts import App

from runstead.platform.cli import Client, CliError, ExitCode, JsonFlag, Output

app = App(name="audit", help="Who did what: read, export, verify.")

_COLUMNS = ["seq", "at", "severity", "action", "outcome", "actor", "resource", "address"]


@app.command(name="list")
def list_(
    *,
    actor: str | None = None,
    action: str | None = None,
    resource: str | None = None,
    since: str | None = None,
    request_id: str | None = None,
    limit: int = 50,
    json: JsonFlag = False,
) -> None:
    """List what was done, the newest first.

    Example: runstead audit list --action user. --since 2026-01-01
    """
    with Client.from_environment() as client:
        page = client.get(
            "/api/audit",
            actor=actor,
            action=action,
            resource=resource,
            since=since,
            request_id=request_id,
            limit=limit,
        )
    output = Output(json=json)
    if json:
        output.value(page)
    else:
        output.table(page["entries"], _COLUMNS)


@app.command
def export(
    *,
    format_: Literal["ndjson", "cef", "ocsf"] = "ndjson",
    actor: str | None = None,
    request_id: str | None = None,
    since: str | None = None,
    until: str | None = None,
) -> None:
    """Write the trail, or what belongs to one incident, to standard output, the oldest first.

    Example: runstead audit export --format cef > audit.cef

    Parameters
    ----------
    format_
        ndjson, cef (ArcSight and its like) or ocsf.
    """
    params = {"format": format_, "actor": actor, "request_id": request_id, "since": since, "until": until}
    given = {name: value for name, value in params.items() if value is not None}
    with (
        Client.from_environment() as client,
        client.http.stream("GET", "/api/audit/export", params=given) as answer,
    ):
        if answer.status_code != 200:
            raise CliError(f"the server answered {answer.status_code}", exit_code=ExitCode.NOT_ALLOWED)
        for piece in answer.iter_bytes():
            sys.stdout.buffer.write(piece)


@app.command
def verify(*, json: JsonFlag = False) -> int:
    """See whether every entry is as it was written; if not, end with 1 and name the first that is not.

    Example: runstead audit verify
    """
    with Client.from_environment() as client:
        verdict = client.get("/api/audit/verify")
    output = Output(json=json)
    if json:
        output.value(verdict)
    elif verdict["whole"]:
        output.line(f"whole: {verdict['entries']} entries")
    else:
        output.line(f"broken at entry {verdict['broken_at']}: {verdict['reason']}")
    return ExitCode.OK if verdict["whole"] else ExitCode.FAILED
