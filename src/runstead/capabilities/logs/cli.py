"""``runstead logs``: send, search, projects, maintenance."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

from cyclopts import App, Parameter

from runstead.capabilities.logs.model import LevelName, Order
from runstead.platform.cli import Client, CliError, ExitCode, JsonFlag, Output, segment

app = App(name="logs", help="Log events: send, search, projects.")
projects = App(name="projects", help="Who may send logs, how much, and how long it is kept.")
app.command(projects)

_PATH = "/api/log"
_COLUMNS = ["ts", "level", "project", "source", "message"]


@app.command
def search(
    q: str | None = None,
    /,
    *,
    project: str | None = None,
    level: tuple[LevelName, ...] = (),
    min_level: LevelName | None = None,
    source: str | None = None,
    env: str | None = None,
    request_id: str | None = None,
    user_id: str | None = None,
    tags: str | None = None,
    fingerprint: str | None = None,
    group: str | None = None,
    since: str | None = None,
    until: str | None = None,
    order: Order | None = None,
    limit: int = 50,
    cursor: str | None = None,
    json: JsonFlag = False,
) -> None:
    """Search log events, the newest first.

    Example: `runstead logs search "payment refused" --min-level error --since 2026-01-31T00:00:00Z`

    Parameters
    ----------
    q
        Words, or their beginnings; all of them must be in the message or the context.
    project
        Of this project only.
    level
        One of these; may be given several times.
    min_level
        This level or a worse one.
    tags
        All of these, with commas between them.
    since
        Not before: RFC 3339 with an offset, or milliseconds since 1970.
    until
        Before, in the same form.
    limit
        How many at most, up to 1000.
    cursor
        Where the last page ended.
    """
    filters = {name: value for name, value in locals().items() if name not in ("level", "json")}
    with Client.from_environment() as client:
        page = client.get(_PATH, level=",".join(level) or None, **filters)
    output = Output(json=json)
    if json:
        output.value(page)
        return
    output.table(page["logs"], _COLUMNS)
    if page["next_cursor"]:
        output.line(f"more: the same with --cursor {page['next_cursor']}")


@app.command
def send(
    message: Annotated[str, Parameter(allow_leading_hyphen=True)],
    *,
    key: str | None = None,
    level: LevelName = "info",
    source: str | None = None,
    env: str | None = None,
    request_id: str | None = None,
    tags: str | None = None,
    json: JsonFlag = False,
) -> None:
    """Sign one event and send it, as a program would: good for a first try.

    The HMAC secret comes from LOGS_HMAC_SECRET, since a command line can be read by others on this machine; the key from
    LOGS_PROJECT_KEY unless it is given.

    Example: `LOGS_PROJECT_KEY=rk_... LOGS_HMAC_SECRET=rs_... runstead logs send "it works" --level info`

    Parameters
    ----------
    message
        The message; `-` reads it from stdin.
    key
        The project key.
    tags
        With commas between them.
    """
    import msgspec

    from runstead.capabilities.logs.signature import sign
    from runstead.kernel.secret import Secret

    secret = Secret(os.environ.get("LOGS_HMAC_SECRET", ""))
    key = key or os.environ.get("LOGS_PROJECT_KEY", "")
    if not secret or not key:
        raise CliError(
            "set LOGS_PROJECT_KEY and LOGS_HMAC_SECRET to what `runstead logs projects create` printed",
            exit_code=ExitCode.USAGE,
        )
    fields = {
        "level": level,
        "message": sys.stdin.read() if message == "-" else message,
        "source": source,
        "env": env,
        "request_id": request_id,
        "tags": tags,
    }
    body = msgspec.json.encode([{name: value for name, value in fields.items() if value is not None}])
    headers = {
        "X-Project-Key": key,
        "X-Signature": sign(secret, body),
        "Content-Type": "application/json",
    }
    with Client.from_environment() as client:
        answer = client.request("POST", _PATH, content=body, headers=headers)
    Output(json=json).value(answer)


@app.command
def maintain(*, json: JsonFlag = False) -> None:
    """Delete what is old, now. It happens by itself every five minutes in which logs come."""
    with Client.from_environment() as client:
        report = client.post("/admin/maintain")
    Output(json=json).value(report)


@app.command
def purge(*, project: str | None = None, older_than_days: int | None = None, json: JsonFlag = False) -> None:
    """Delete more than what is old.

    Example: `runstead logs purge --project shop --older-than-days 0` empties a project.

    Parameters
    ----------
    project
        Of this project only.
    older_than_days
        Default: as long as each project keeps its events; 0: all.
    """
    params: dict[str, Any] = {"project": project, "older_than_days": older_than_days}
    with Client.from_environment() as client:
        report = client.request("POST", "/admin/purge", params=params)
    Output(json=json).value(report)


@projects.command(name="list")
def list_(*, json: JsonFlag = False) -> None:
    """List all projects."""
    with Client.from_environment() as client:
        rows = client.get("/admin/projects")["projects"]
    Output(json=json).table(rows, ["slug", "name", "minute_cap", "retention_days", "created_at"])


@projects.command
def create(
    slug: str,
    *,
    name: str | None = None,
    minute_cap: int | None = None,
    retention_days: int | None = None,
    json: JsonFlag = False,
) -> None:
    """Make a project and print its key and its secret, which cannot be read again.

    Example: `runstead logs projects create shop --name "The shop"`

    Parameters
    ----------
    slug
        Lower-case letters, digits and inner dashes.
    minute_cap
        Events a minute; default: the server's.
    retention_days
        Days that events are kept, 1 to 30; default: the server's.
    """
    document = {"slug": slug, "name": name, "minute_cap": minute_cap, "retention_days": retention_days}
    with Client.from_environment() as client:
        credentials = client.post("/admin/projects", document)
    _show_credentials(credentials, json=json)


@projects.command(name="set")
def set_(
    slug: str,
    *,
    name: str | None = None,
    minute_cap: int | None = None,
    retention_days: int | None = None,
    json: JsonFlag = False,
) -> None:
    """Change a project; it holds at once.

    Parameters
    ----------
    slug
        The project.
    minute_cap
        Events a minute.
    retention_days
        Days that events are kept, 1 to 30.
    """
    given = {"name": name, "minute_cap": minute_cap, "retention_days": retention_days}
    change = {field: value for field, value in given.items() if value is not None}
    with Client.from_environment() as client:
        project = client.patch(f"/admin/projects/{segment(slug)}", change)
    Output(json=json).value(project)


@projects.command
def rotate(slug: str, *, json: JsonFlag = False) -> None:
    """Give a project a new key and secret; the old ones end at once.

    Parameters
    ----------
    slug
        The project.
    """
    with Client.from_environment() as client:
        credentials = client.post(f"/admin/projects/{segment(slug)}/rotate")
    _show_credentials(credentials, json=json)


@projects.command
def rm(slug: str, *, json: JsonFlag = False) -> None:
    """Remove a project with all its events.

    Parameters
    ----------
    slug
        The project.
    """
    with Client.from_environment() as client:
        client.delete(f"/admin/projects/{segment(slug)}")
    output = Output(json=json)
    if json:
        output.value({"slug": slug, "removed": True})
    else:
        output.line(f"removed {slug}")


def _show_credentials(credentials: dict[str, str], *, json: bool) -> None:
    output = Output(json=json)
    output.value(credentials)
    output.line("Keep both: they are not shown again.")
