"""``runstead apps``: put, look, remove."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from cyclopts import App

from runstead.platform.cli import Client, CliError, ExitCode, JsonFlag, Output, segment

app = App(name="apps", help="Web apps in JavaScript and TypeScript.")
#: Of a source, by the ending of its file.
_TYPES: Final = {".ts": "text/typescript", ".tsx": "text/tsx", ".jsx": "text/jsx"}


@app.command
def put(
    app_id: str, path: Path, *, privileged: bool = False, message: str = "", json: JsonFlag = False
) -> None:
    """Put a new version into service: of a file, or of a folder with all that is in it.

    Example: runstead apps put hello examples/apps/hello --privileged

    Parameters
    ----------
    app_id
        Lower-case letters, digits, - and _.
    privileged
        Let it serve public routes; for administrators.
    """
    params: dict[str, Any] = {"message": message} | ({"privileged": "true"} if privileged else {})
    with Client.from_environment() as client:
        done = put_app(client, app_id, path, params)
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
def check(file: Path, *, app_id: str = "check", json: JsonFlag = False) -> None:
    """What a source would register; nothing of it stays.

    Example: runstead apps check app.js --app-id hello

    Parameters
    ----------
    app_id
        As whose next version; only others can be in conflict with it.
    """
    with Client.from_environment() as client:
        headers = {"Content-Type": _TYPES.get(file.suffix, "text/javascript")}
        done = client.request(
            "POST", f"/api/apps/{segment(app_id)}/check", content=_read(file), headers=headers
        )
    served = ", ".join(f"{route['method']} {route['path']}" for route in done["routes"]) or "no routes"
    Output(json=json).item(done, f"{file}: ok, {served}")


@app.command(name="rm")
def remove(app_id: str, *, json: JsonFlag = False) -> None:
    """Remove an app with all its versions.

    Example: runstead apps rm hello
    """
    with Client.from_environment() as client:
        client.delete(f"/api/apps/{segment(app_id)}")
    Output(json=json).item({"id": app_id, "removed": True}, f"{app_id} removed")


def put_app(client: Client, app_id: str, path: Path, params: Mapping[str, Any]) -> Any:
    """Send a file or a folder."""
    url = f"/api/apps/{segment(app_id)}"
    if path.is_dir():
        files = [("file", (name, content)) for name, content in files_of(path).items()]
        return client.request("PUT", url, params=params, files=files)
    headers = {"Content-Type": _TYPES.get(path.suffix, "text/javascript")}
    return client.request("PUT", url, params=params, content=_read(path), headers=headers)


def files_of(folder: Path) -> dict[str, bytes]:
    """What of a folder belongs to its app, as the server reads folders."""
    from runstead.capabilities.apps.folders import read_folder

    found = read_folder(folder)
    if found is None:
        raise CliError(f"{folder} holds no app.js, app.ts or the like", exit_code=ExitCode.USAGE)
    if found.problem and not found.source:
        raise CliError(found.problem, exit_code=ExitCode.USAGE)
    return {**found.files, found.main: found.source.encode()}


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise CliError(f"{file}: {error.strerror}", exit_code=ExitCode.USAGE) from error


# The commands below it register themselves.
from runstead.capabilities.apps import cli_running  # noqa: E402, F401
