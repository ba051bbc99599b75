"""``runstead import``: take over what other tools ran, and say what could not be taken over."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from runstead.platform.cli import Client, CliError, ExitCode, JsonFlag, Output


def import_(
    file: Path,
    *,
    kind: Annotated[Literal["hooks", "crontab"] | None, Parameter(alias="-k")] = None,
    write: bool = False,
    time_zone: str | None = None,
    system: bool = False,
    config: Path = Path("runstead.toml"),
    json: JsonFlag = False,
) -> int:
    """Take over hooks of adnanh/webhook, or a crontab. Without --write nothing is changed: only the report is made.

    Hooks become endpoints in the configuration, with a program each in the folder `imported`. Lines of a crontab become
    schedules of the running server. What is there already is left as it is. The exit code is 1 when something could not be
    carried over.

    Example: runstead import hooks.json --write

    Parameters
    ----------
    file
        The hooks (JSON or YAML), or the crontab.
    kind
        What it is; default: by its name and content.
    write
        Do it.
    time_zone
        Of the crontab; default: this machine's.
    system
        Its lines name a user, as in /etc/crontab.
    config
        Where the endpoints go.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CliError(f"{file}: {error}", exit_code=ExitCode.USAGE) from error
    if (kind or _kind_of(file, text)) == "hooks":
        items = _hooks(text, config, write=write)
    else:
        items = _crontab(text, time_zone or _machine_time_zone(), system=system, write=write)
    return _report(items, Output(json=json), wrote=write)


def _hooks(text: str, config: Path, *, write: bool) -> list[dict[str, Any]]:
    from runstead.capabilities.endpoints import read_hooks

    try:
        hooks = read_hooks(text)
    except ValueError as error:
        raise CliError(f"these are no hooks: {error}", exit_code=ExitCode.USAGE) from error
    if write:
        if config.suffix != ".toml":
            raise CliError(f"{config}: declarations are added to a TOML file only", exit_code=ExitCode.USAGE)
        known = config.read_text(encoding="utf-8") if config.exists() else ""
        for hook in hooks:
            if hook.declaration and hook.declaration.splitlines()[1] in known:
                hook.present = True
        new = [hook for hook in hooks if hook.declaration and not hook.present]
        for hook in new:
            if hook.program is not None:
                path = config.parent / hook.program[0]
                path.parent.mkdir(exist_ok=True)
                path.write_text(hook.program[1], encoding="utf-8")
        added = "\n".join(hook.declaration for hook in new)
        if added:
            config.write_text(f"{known.rstrip()}\n\n{added}".lstrip(), encoding="utf-8")
    return [
        {
            "item": hook.id,
            "outcome": hook.outcome,
            "lost": hook.lost,
            "notes": hook.notes,
            "made": hook.declaration,
        }
        for hook in hooks
    ]


def _crontab(text: str, time_zone: str, *, system: bool, write: bool) -> list[dict[str, Any]]:
    from runstead.capabilities.jobs import read_crontab

    lines = list(read_crontab(text, time_zone=time_zone, system=system))
    if write:
        with Client.from_environment() as client:
            known = {(one["cron"], one["command"]) for one in client.get("/api/schedules")["schedules"]}
            for line in lines:
                if line.plan is None:
                    continue
                if (line.plan["cron"], line.plan["command"]) in known:
                    line.present = True
                    continue
                try:
                    client.post("/api/schedules", json=line.plan)
                except CliError as error:
                    line.plan = None
                    line.lost.append(str(error))
    return [
        {
            "item": f"line {line.number}: {line.text}",
            "outcome": line.outcome,
            "lost": line.lost,
            "notes": line.notes,
            "made": line.plan,
        }
        for line in lines
    ]


def _report(items: list[dict[str, Any]], output: Output, *, wrote: bool) -> int:
    if output.is_json:
        output.value(items)
    for item in () if output.is_json else items:
        output.line(f"{item['outcome']:<9} {item['item']}")
        for reason in item["lost"]:
            output.line(f"          not carried over: {reason}")
        for note in item["notes"]:
            output.line(f"          {note}")
    counts = {
        name: sum(item["outcome"] == name for item in items)
        for name in ("carried", "disabled", "refused", "present")
    }
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    output.line(
        f"{told or 'nothing found'}" + ("" if wrote else "; nothing was changed, add --write to do it")
    )
    return 1 if counts["disabled"] or counts["refused"] else 0


def _kind_of(file: Path, text: str) -> str:
    looks_like_hooks = text.lstrip().startswith(("[", "- ")) or "execute-command" in text
    return "hooks" if file.suffix in (".json", ".yaml", ".yml") or looks_like_hooks else "crontab"


def _machine_time_zone() -> str:
    if zone := os.environ.get("TZ"):
        return zone.removeprefix(":")
    try:
        return Path("/etc/timezone").read_text().strip()
    except OSError:
        _, found, name = str(Path("/etc/localtime").resolve()).partition("zoneinfo/")
        return name if found else "UTC"
