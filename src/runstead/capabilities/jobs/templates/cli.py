"""``runstead templates``: named commands with typed parameters."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter

from runstead.capabilities.jobs.cli import follow_job, pairs
from runstead.platform.cli import Client, CliError, ExitCode, JsonFlag, Output, segment

app = App(name="templates", help="Named commands with typed parameters.")


@app.command(name="list")
def list_(*, json: JsonFlag = False) -> None:
    """List templates.

    Example: runstead templates list
    """
    with Client.from_environment() as client:
        found = client.get("/api/templates")
    output = Output(json=json)
    if json:
        output.value(found)
        return
    rows = [
        {
            "name": one["name"],
            "parameters": " ".join(one["schema"]["properties"]),
            "command": one["definition"]["command"],
            "owner": one["owner"],
        }
        for one in found["templates"]
    ]
    output.table(rows, ["name", "parameters", "command", "owner"])


@app.command
def show(name: str, *, json: JsonFlag = False) -> None:
    """Show one template and what it has to be given.

    Example: runstead templates show backup
    """
    with Client.from_environment() as client:
        Output(json=json).value(client.get(f"/api/templates/{segment(name)}"))


@app.command
def put(name: str, file: Path, *, json: JsonFlag = False) -> None:
    """Make a template, or give it another definition, from a JSON file.

    Example: runstead templates put backup backup.json
    """
    try:
        definition = msgspec.json.decode(file.read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        raise CliError(f"{file}: {error}", exit_code=ExitCode.USAGE) from error
    with Client.from_environment() as client:
        known = {one["name"] for one in client.get("/api/templates")["templates"]}
        if name in known:
            made = client.put(f"/api/templates/{segment(name)}", definition)
        else:
            made = client.post("/api/templates", json={"name": name, "definition": definition})
    Output(json=json).item(made, f"{name}: {made['definition']['command']}")


@app.command
def run(
    name: str,
    *,
    param: list[str] | None = None,
    file: list[str] | None = None,
    follow: Annotated[bool, Parameter(alias="-f")] = False,
    json: JsonFlag = False,
) -> int:
    """Start a job from a template.

    Example: runstead templates run backup --param db=shop --param level=3 --file list=tables.txt --follow

    Parameters
    ----------
    param
        NAME=VALUE; may be given often. Numbers and truths are read as such where the template has them.
    file
        NAME=PATH of a file that is handed over.
    """
    with Client.from_environment() as client:
        declared = client.get(f"/api/templates/{segment(name)}")["schema"]["properties"]
        params: dict[str, Any] = {
            key: _read(declared.get(key, {}), value) for key, value in pairs(param).items()
        }
        for key, path in pairs(file).items():
            content = base64.b64encode(Path(path).read_bytes()).decode()
            params[key] = {"filename": Path(path).name, "content": content}
        job = client.post(f"/api/templates/{segment(name)}/run", json={"params": params})
        if follow:
            return follow_job(client, job["id"])
    Output(json=json).item(job, f"{job['id']} {job['status']}")
    return 0


@app.command
def rm(name: str, *, json: JsonFlag = False) -> None:
    """Remove a template. Its jobs stay.

    Example: runstead templates rm backup
    """
    with Client.from_environment() as client:
        client.delete(f"/api/templates/{segment(name)}")
    Output(json=json).item({"name": name}, f"{name} is gone")


def _read(declared: dict[str, Any], value: str) -> Any:
    if declared.get("type") in ("integer", "number", "boolean"):
        try:
            return msgspec.json.decode(value)
        except msgspec.DecodeError:
            return value
    return value
