"""``runstead apps``: put, look, remove."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cyclopts import App

from runstead.platform.cli import Client, CliError, ExitCode, JsonFlag, Output, segment

app = App(name="apps", help="Web apps in JavaScript.")


@app.command
def put(
    app_id: str, file: Path, *, privileged: bool = False, message: str = "", json: JsonFlag = False
) -> None:
    """Put a new version into service.

    Example: runstead apps put hello examples/apps/hello/app.js --privileged

    Parameters
    ----------
    app_id
        Lower-case letters, digits, - and _.
    privileged
        Let it serve public routes; for administrators.
    """
    params: dict[str, Any] = {"message": message} | ({"privileged": "true"} if privileged else {})
    with Client.from_environment() as client:
        done = client.request(
            "PUT",
            f"/api/apps/{segment(app_id)}",
            params=params,
            content=_read(file),
            headers={"Content-Type": "text/javascript"},
        )
    served = ", ".join(f"{route['method']} {route['path']}" for route in done["routes"]) or "no routes"
    Output(json=json).item(done, f"{app_id} version {done['version']['version']}: {served}")


@app.command
def get(app_id: str, *, json: JsonFlag = False) -> None:
    """Print the source of the newest version.

    Example: runstead apps get hello > app.js
    """
    with Client.from_environment() as client:
        found = client.get(f"/api/apps/{segment(app_id)}")
    Output(json=json).item(found, found["source"])


@app.command(name="list")
def list_(*, json: JsonFlag = False) -> None:
    """List all apps.

    Example: runstead apps list
    """
    with Client.from_environment() as client:
        found = client.get("/api/apps")["apps"]
    output = Output(json=json)
    if json:
        output.value(found)
    else:
        output.table(found, ["id", "owner", "privileged", "serving_version", "newest_version"])


@app.command
def versions(app_id: str, *, json: JsonFlag = False) -> None:
    """List the versions of an app, the newest first.

    Example: runstead apps versions hello
    """
    with Client.from_environment() as client:
        found = client.get(f"/api/apps/{segment(app_id)}/versions")["versions"]
    output = Output(json=json)
    if json:
        output.value(found)
    else:
        output.table(found, ["version", "status", "created_at", "author", "message", "error"])


@app.command
def rollback(app_id: str, version: int, *, json: JsonFlag = False) -> None:
    """Serve an earlier version again, as a new one.

    Example: runstead apps rollback hello 3
    """
    with Client.from_environment() as client:
        done = client.post(f"/api/apps/{segment(app_id)}/rollback", json={"version": version})
    Output(json=json).item(done, f"{app_id}: version {done['version']['version']}, as it was in {version}")


@app.command
def diff(app_id: str, before: int, after: int, *, json: JsonFlag = False) -> None:
    """Show what changed between two versions.

    Example: runstead apps diff hello 3 4
    """
    with Client.from_environment() as client:
        found = client.request(
            "GET", f"/api/apps/{segment(app_id)}/diff", params={"from": before, "to": after}
        )
    Output(json=json).item(found, found["diff"].rstrip("\n") or "no difference")


@app.command
def routes(app_id: str, *, json: JsonFlag = False) -> None:
    """List what an app serves.

    Example: runstead apps routes hello
    """
    with Client.from_environment() as client:
        found = client.get(f"/api/apps/{segment(app_id)}/routes")["routes"]
    output = Output(json=json)
    if json:
        output.value(found)
    else:
        output.table(found, ["method", "path", "handler"])


@app.command
def check(file: Path, *, json: JsonFlag = False) -> None:
    """Whether a source parses; nothing is kept.

    Example: runstead apps check app.js
    """
    with Client.from_environment() as client:
        done = client.request(
            "POST", "/api/apps/check/check", content=_read(file), headers={"Content-Type": "text/javascript"}
        )
    Output(json=json).item(done, f"{file}: ok")


@app.command(name="rm")
def remove(app_id: str, *, json: JsonFlag = False) -> None:
    """Remove an app with all its versions.

    Example: runstead apps rm hello
    """
    with Client.from_environment() as client:
        client.delete(f"/api/apps/{segment(app_id)}")
    Output(json=json).item({"id": app_id, "removed": True}, f"{app_id} removed")


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise CliError(f"{file}: {error.strerror}", exit_code=ExitCode.USAGE) from error
