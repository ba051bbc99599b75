"""``runstead tenants``: houses of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cyclopts import App

from runstead.platform.cli import Client, CliError, ExitCode, JsonFlag, Output, segment

app = App(name="tenants", help="Tenants: make, change, copy out, remove.")

_COLUMNS = ["name", "title", "tier", "status", "created_at"]


@app.command(name="list")
def list_(*, json: JsonFlag = False) -> None:
    """List all tenants.

    Example: runstead tenants list
    """
    with Client.from_environment() as client:
        found = client.get("/api/tenants")
    output = Output(json=json)
    if json:
        output.value(found)
    else:
        output.table(found["tenants"], _COLUMNS)


@app.command
def add(name: str, *, title: str = "", tier: str = "", json: JsonFlag = False) -> None:
    """Make a tenant, and the link that makes its first administrator.

    Example: runstead tenants add acme --title "Acme Inc." --tier basic
    """
    with Client.from_environment() as client:
        made = client.post("/api/tenants", json={"name": name, "title": title, "tier": tier})
    Output(json=json).item(made, f"{made['name']} is open; first administrator: {made['setup_url']}")


@app.command
def change(
    name: str,
    *,
    title: str | None = None,
    tier: str | None = None,
    disable: bool = False,
    enable: bool = False,
    json: JsonFlag = False,
) -> None:
    """Change what is given.

    Example: runstead tenants change acme --tier premium
    """
    if disable and enable:
        raise CliError("--disable or --enable, not both", exit_code=ExitCode.USAGE)
    body: dict[str, Any] = {
        key: value for key, value in (("title", title), ("tier", tier)) if value is not None
    }
    if disable or enable:
        body["status"] = "disabled" if disable else "active"
    with Client.from_environment() as client:
        tenant = client.request("PATCH", f"/api/tenants/{segment(name)}", json=body)
    Output(json=json).item(tenant, f"{tenant['name']}: {tenant['status']} {tenant['tier']}")


@app.command
def export(name: str, file: Path) -> None:
    """Copy everything of a tenant into an archive.

    Example: runstead tenants export acme acme.tar.gz
    """
    with (
        Client.from_environment() as client,
        client.http.stream("GET", f"/api/tenants/{segment(name)}/export") as answer,
    ):
        if answer.status_code != 200:
            raise CliError(f"the server answered {answer.status_code}", exit_code=ExitCode.NOT_ALLOWED)
        with file.open("wb") as archive:
            for piece in answer.iter_bytes():
                archive.write(piece)


@app.command
def rm(name: str, *, confirm: str = "", json: JsonFlag = False) -> None:
    """Remove a tenant with everything of it, for good.

    Example: runstead tenants rm acme --confirm acme
    """
    with Client.from_environment() as client:
        client.request("DELETE", f"/api/tenants/{segment(name)}", params={"confirm": confirm})
    Output(json=json).item({"name": name}, f"{name} is gone")
