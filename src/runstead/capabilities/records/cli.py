"""``runstead records``: look at records, add one, check one, rebuild the indexes."""

from __future__ import annotations

import sys
from json import dumps
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from runstead.capabilities.records.canonical import NotCanonicalError
from runstead.capabilities.records.errors import DamagedRecordError
from runstead.capabilities.records.model import content_sha256, open_envelope
from runstead.platform.cli import Client, CliError, ExitCode, JsonFlag, Output, segment

app = App(name="records", help="Immutable records of runs. A service is named ORGANIZATION/PROJECT/SERVICE.")

_COLUMNS = ["run_id", "received_at", "commit_sha", "sha256"]

#: Objects that one step of a rebuild looks at: each is answered well within the client's patience.
_STEP_OBJECTS = 500

ServiceName = Annotated[str, Parameter(name="service")]


def _path(service: str) -> str:
    names = service.split("/")
    if len(names) != 3 or not all(names):
        raise CliError(
            f"{service!r} is no service: write ORGANIZATION/PROJECT/SERVICE", exit_code=ExitCode.USAGE
        )
    return "/v1/artifacts/" + "/".join(map(segment, names))


@app.command(name="list")
def list_(
    service: ServiceName,
    *,
    commit: str | None = None,
    since: str | None = None,
    until: str | None = None,
    limit: int = 20,
    cursor: str | None = None,
    json: JsonFlag = False,
) -> None:
    """List the runs of a service, the newest first.

    Parameters
    ----------
    service
        ORGANIZATION/PROJECT/SERVICE.
    commit
        Only runs of this commit.
    since
        Only runs received then or later, such as 2026-01-31T12:00:00Z.
    until
        Only runs received before.
    limit
        How many at most.
    cursor
        Where the last page ended.
    """
    with Client.from_environment() as client:
        page = client.get(_path(service), commit=commit, since=since, until=until, limit=limit, cursor=cursor)
    output = Output(json=json)
    if json:
        output.value(page)
        return
    output.table(page["runs"], _COLUMNS)
    if page["next_cursor"]:
        output.line(f"more: runstead records list {service} --cursor {page['next_cursor']}")


@app.command
def show(service: ServiceName, run_id: str, *, json: JsonFlag = False) -> None:
    """Show the record of a run.

    Parameters
    ----------
    service
        ORGANIZATION/PROJECT/SERVICE.
    run_id
        The run, as `runstead records list` gives it.
    """
    with Client.from_environment() as client:
        record = client.get(f"{_path(service)}/runs/{segment(run_id)}")
    Output(json=json).value(record)


@app.command
def latest(service: ServiceName, *, json: JsonFlag = False) -> None:
    """Show the record that was received last.

    Parameters
    ----------
    service
        ORGANIZATION/PROJECT/SERVICE.
    """
    with Client.from_environment() as client:
        record = client.get(f"{_path(service)}/latest")
    Output(json=json).value(record)


@app.command
def put(file: Annotated[str, Parameter(allow_leading_hyphen=True)], *, json: JsonFlag = False) -> None:
    """Record a run. The same content again changes nothing.

    Parameters
    ----------
    file
        A JSON document with organization, project, service and artifact; - reads standard input.
    """
    try:
        body = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise CliError(f"{file}: {error.strerror}", exit_code=ExitCode.USAGE) from error
    with Client.from_environment() as client:
        answer = client.post("/v1/artifacts", content=body, headers={"Content-Type": "application/json"})
    Output(json=json).value(answer)


@app.command
def verify(service: ServiceName, run_id: str, *, json: JsonFlag = False) -> None:
    """Compute the hash of a record's content here and compare it with the one that it was accepted under.

    Parameters
    ----------
    service
        ORGANIZATION/PROJECT/SERVICE.
    run_id
        The run, as `runstead records list` gives it.
    """
    with Client.from_environment() as client:
        record: dict[str, Any] = client.get(f"{_path(service)}/runs/{segment(run_id)}")
    try:
        # Through text once more: only that reader knows a large double from a large integer.
        computed = content_sha256(open_envelope(dumps(record).encode()))
    except (NotCanonicalError, DamagedRecordError) as error:
        raise CliError(f"this is no record: {error}") from error
    Output(json=json).value(
        {
            "run_id": run_id,
            "sha256": record["sha256"],
            "computed": computed,
            "ok": computed == record["sha256"],
        }
    )
    if computed != record["sha256"]:
        raise CliError(f"the record of {run_id} is not what was accepted")


@app.command
def reindex(*, json: JsonFlag = False) -> None:
    """Rebuild everything that lies beside the records from the records themselves.

    Safe at any time. Records whose content no longer has the hash that they were accepted under are named, and left alone.
    """
    output = Output(json=json)
    records, damaged, cursor = 0, list[str](), None
    with Client.from_environment() as client:
        while True:
            step = client.request(
                "POST", "/admin/records/reindex", params={"cursor": cursor, "limit": _STEP_OBJECTS}
            )
            records += step["records"]
            damaged += step["damaged"]
            cursor = step["next_cursor"]
            if cursor is None:
                break
    output.value({"records": records, "damaged": damaged})
    if damaged:
        raise CliError(f"{len(damaged)} damaged records; compare them with your backup")
