"""``runstead schedules``: commands that start by the clock."""

from __future__ import annotations

from typing import Any, Literal

from cyclopts import App

from runstead.capabilities.jobs.cli import pairs
from runstead.capabilities.jobs.model import RETRY_SECONDS
from runstead.platform.cli import Client, JsonFlag, Output, segment

app = App(name="schedules", help="Commands that start by the clock.")

_COLUMNS = ["id", "name", "cron", "time_zone", "command", "status", "next", "last_result"]


@app.command(name="list")
def list_(*, json: JsonFlag = False) -> None:
    """List schedules with their next time.

    Example: runstead schedules list
    """
    with Client.from_environment() as client:
        found = client.get("/api/schedules")
    output = Output(json=json)
    if json:
        output.value(found)
    else:
        output.table([{**one, "next": (one["next"] or ["never"])[0]} for one in found["schedules"]], _COLUMNS)


@app.command
def add(
    cron: str,
    command: str,
    *,
    time_zone: str = "UTC",
    name: str = "",
    missed: Literal["skip", "once"] = "skip",
    overlap: Literal["skip", "queue", "kill"] = "skip",
    retries: int = 0,
    retry_seconds: float = RETRY_SECONDS,
    priority: int = 0,
    env: list[str] | None = None,
    label: list[str] | None = None,
    json: JsonFlag = False,
) -> None:
    """Start a command by the clock.

    Example: runstead schedules add "0 6 * * 1-5" "python3 report.py" --time-zone Europe/Berlin --missed once

    Parameters
    ----------
    retries
        Further attempts when one fails.
    retry_seconds
        Before the first of them; doubled each time.
    priority
        Those with more go first.
    env
        NAME=VALUE, also NAME=secret://ID; may be given often.
    label
        NAME=VALUE; may be given often.
    """
    body: dict[str, Any] = {
        "cron": cron,
        "command": command,
        "time_zone": time_zone,
        "name": name,
        "missed": missed,
        "overlap": overlap,
        "retries": retries,
        "retry_seconds": retry_seconds,
        "priority": priority,
        "env": pairs(env),
        "labels": pairs(label),
    }
    with Client.from_environment() as client:
        made = client.post("/api/schedules", json=body)
    Output(json=json).item(made, "\n".join([f"{made['id']} next:", *made["next"]]))


@app.command
def times(cron: str, *, time_zone: str = "UTC", json: JsonFlag = False) -> None:
    """Show when an expression would fire.

    Example: runstead schedules times "*/15 * * * *" --time-zone Europe/Berlin
    """
    with Client.from_environment() as client:
        found = client.get("/api/schedules/times", cron=cron, time_zone=time_zone)
    Output(json=json).item(found, "\n".join(found["next"]))


@app.command
def show(schedule_id: str, *, json: JsonFlag = False) -> None:
    """Show one schedule with its next ten times.

    Example: runstead schedules show 0192f0c1-7b1a-7000-8000-000000000000
    """
    with Client.from_environment() as client:
        Output(json=json).value(client.get(f"/api/schedules/{segment(schedule_id)}"))


@app.command
def pause(schedule_id: str, *, json: JsonFlag = False) -> None:
    """Fire it no more, until it is resumed. A job that runs goes on.

    Example: runstead schedules pause 0192f0c1-7b1a-7000-8000-000000000000
    """
    _set(schedule_id, "paused", json=json)


@app.command
def resume(schedule_id: str, *, json: JsonFlag = False) -> None:
    """Go on with the times that come.

    Example: runstead schedules resume 0192f0c1-7b1a-7000-8000-000000000000
    """
    _set(schedule_id, "active", json=json)


def _set(schedule_id: str, status: str, *, json: bool) -> None:
    with Client.from_environment() as client:
        now = client.patch(f"/api/schedules/{segment(schedule_id)}", {"status": status})
    upcoming = f", next {now['next'][0]}" if now["next"] else ""
    Output(json=json).item(now, f"{now['id']} {now['status']}{upcoming}")


@app.command
def run(schedule_id: str, *, json: JsonFlag = False) -> None:
    """Start it now, beside its times.

    Example: runstead schedules run 0192f0c1-7b1a-7000-8000-000000000000
    """
    with Client.from_environment() as client:
        job = client.post(f"/api/schedules/{segment(schedule_id)}/run")
    Output(json=json).item(job, f"{job['id']} {job['status']}")


@app.command
def rm(schedule_id: str, *, json: JsonFlag = False) -> None:
    """Start it no more. A job that runs goes on.

    Example: runstead schedules rm 0192f0c1-7b1a-7000-8000-000000000000
    """
    with Client.from_environment() as client:
        client.delete(f"/api/schedules/{segment(schedule_id)}")
    Output(json=json).item({"id": schedule_id}, f"{schedule_id} is gone")
