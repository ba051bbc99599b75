"""``runstead limits``: rates, addresses that are shut out or exempt, usage."""

from __future__ import annotations

from typing import Any

from cyclopts import App

from runstead.platform.cli import Client, JsonFlag, Output, segment

app = App(name="limits", help="Rates: what holds, whom to shut out, who asked how much.")


@app.command
def show(*, json: JsonFlag = False) -> None:
    """Show the rules and the addresses that are shut out or exempt.

    Example: runstead limits show
    """
    with Client.from_environment() as client:
        found = client.get("/api/limits")
    output = Output(json=json)
    if json:
        output.value(found)
        return
    output.table(found["rules"], ["name", "by", "limit", "paths", "methods"])
    output.table(found["addresses"], ["id", "kind", "network", "expires_at", "created_by", "reason"])


@app.command
def block(network: str, *, reason: str = "", until: str | None = None, json: JsonFlag = False) -> None:
    """Shut an address or a network out.

    Example: runstead limits block 203.0.113.0/24 --until 2027-01-01T00:00:00Z --reason scanner

    Parameters
    ----------
    until
        RFC 3339; without it, until it is removed.
    """
    _add("block", network, reason, until, json=json)


@app.command
def allow(network: str, *, reason: str = "", until: str | None = None, json: JsonFlag = False) -> None:
    """Exempt an address or a network from rates and blocks.

    Example: runstead limits allow 198.51.100.7 --reason monitoring
    """
    _add("allow", network, reason, until, json=json)


@app.command
def rm(entry_id: str, *, json: JsonFlag = False) -> None:
    """Take an address off its list.

    Example: runstead limits rm 0192f0c1-7b1a-7000-8000-000000000000
    """
    with Client.from_environment() as client:
        client.request("DELETE", f"/api/limits/addresses/{segment(entry_id)}")
    Output(json=json).item({"id": entry_id}, f"{entry_id} is gone")


@app.command
def usage(
    *, since: str | None = None, rule: str | None = None, subject: str | None = None, json: JsonFlag = False
) -> None:
    """Show who asked how much, by hour.

    Example: runstead limits usage --subject user:0192f0c1
    """
    with Client.from_environment() as client:
        found = client.get("/api/limits/usage", since=since, rule=rule, subject=subject)
    output = Output(json=json)
    if json:
        output.value(found)
    else:
        output.table(found["usage"], ["hour", "rule", "subject", "allowed", "refused"])


def _add(kind: str, network: str, reason: str, until: str | None, *, json: bool) -> None:
    body: dict[str, Any] = {"kind": kind, "network": network, "reason": reason, "expires_at": until}
    with Client.from_environment() as client:
        entry = client.post("/api/limits/addresses", json=body)
    Output(json=json).item(entry, f"{entry['id']} {entry['kind']} {entry['network']}")
