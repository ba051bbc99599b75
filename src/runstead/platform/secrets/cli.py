"""``runstead secrets``: values come from standard input or a prompt, never from the command line, which others can see."""

from __future__ import annotations

import getpass
import sys
from typing import Any

from cyclopts import App

from runstead.platform.cli import Client, CliError, ExitCode, JsonFlag, Output, segment

app = App(name="secrets", help="Secrets: put in, change, who uses them. Values are never shown.")

_PATH = "/editor/api/secrets"
_COLUMNS = ["id", "version", "lastUsed", "usageCount", "expiresAt", "createdBy", "description"]


@app.command(name="list")
def list_(*, scope: str = "server", json: JsonFlag = False) -> None:
    """List the secrets of a scope.

    Example: runstead secrets list --scope app:hello

    Parameters
    ----------
    scope
        server, app:ID or user:ID.
    """
    with Client.from_environment() as client:
        found = client.get(_PATH, scope=scope)
    output = Output(json=json)
    if json:
        output.value(found)
    else:
        output.table(found["secrets"], _COLUMNS)


@app.command
def put(
    secret_id: str,
    *,
    scope: str = "server",
    description: str | None = None,
    expires: str | None = None,
    json: JsonFlag = False,
) -> None:
    """Put a secret in, or give it another value. The value is read from standard input, without its last line break.

    Example: pass show stripe | runstead secrets put stripe-key --expires 2027-01-01T00:00:00Z

    Parameters
    ----------
    expires
        RFC 3339; from then on it is not handed out.
    """
    body: dict[str, Any] = {"value": _read_value()}
    if description is not None:
        body["description"] = description
    if expires is not None:
        body["expiresAt"] = expires
    with Client.from_environment() as client:
        known = {one["id"] for one in client.get(_PATH, scope=scope)["secrets"]}
        if secret_id in known:
            path = f"{_PATH}/{segment(secret_id)}"
            entry = client.request("PUT", path, params={"scope": scope}, json=body)
        else:
            entry = client.request("POST", _PATH, params={"scope": scope}, json={"id": secret_id, **body})
    Output(json=json).item(entry, f"{entry['id']}: version {entry['version']}")


@app.command
def usage(secret_id: str, *, scope: str = "server", json: JsonFlag = False) -> None:
    """Show who uses a secret.

    Example: runstead secrets usage stripe-key
    """
    with Client.from_environment() as client:
        found = client.get(f"{_PATH}/{segment(secret_id)}/usage", scope=scope)
    output = Output(json=json)
    if json:
        output.value(found)
    else:
        output.table(found["usedBy"], ["usedBy", "count", "lastUsed"])


@app.command
def restore(secret_id: str, version: int, *, scope: str = "server", json: JsonFlag = False) -> None:
    """Make the value of an earlier version the present one.

    Example: runstead secrets restore stripe-key 3
    """
    with Client.from_environment() as client:
        path = f"{_PATH}/{segment(secret_id)}/restore"
        entry = client.request("POST", path, params={"scope": scope}, json={"version": version})
    Output(json=json).item(entry, f"{entry['id']}: version {entry['version']}")


@app.command
def rm(secret_id: str, *, scope: str = "server", json: JsonFlag = False) -> None:
    """Remove a secret and all its values.

    Example: runstead secrets rm stripe-key
    """
    with Client.from_environment() as client:
        client.request("DELETE", f"{_PATH}/{segment(secret_id)}", params={"scope": scope})
    Output(json=json).item({"id": secret_id}, f"{secret_id} is gone")


@app.command(name="rotate-master-key")
def rotate_master_key(*, json: JsonFlag = False) -> None:
    """Make another master key and wrap everything under it, while the server runs.

    Example: runstead secrets rotate-master-key
    """
    with Client.from_environment() as client:
        done = client.post(f"{_PATH}/rotate-master-key")
    Output(json=json).item(done, f"master key {done['key']}: {done['wrapped']} keys wrapped")


def _read_value() -> str:
    value = getpass.getpass("value: ") if sys.stdin.isatty() else sys.stdin.read()
    value = value.removesuffix("\n").removesuffix("\r")
    if not value:
        raise CliError("no value was given on standard input", exit_code=ExitCode.USAGE)
    return value
