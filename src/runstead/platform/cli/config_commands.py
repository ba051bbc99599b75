"""``runstead config``: check, show, schema. None of them needs a server."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from runstead.platform.cli.errors import ExitCode
from runstead.platform.cli.host import composition
from runstead.platform.cli.output import Output
from runstead.platform.cli.version import JsonFlag
from runstead.platform.config import ConfigError, Problem, Settings, load

app = App(name="config", help="Check, show and describe the configuration.")

ConfigOption = Annotated[
    Path | None, Parameter(help="The file; default: RUNSTEAD_CONFIG, else runstead.toml here.")
]
ProfileOption = Annotated[
    str | None, Parameter(help="dev, staging or prod; default: RUNSTEAD_PROFILE, else dev.")
]


@app.command
def check(*, config: ConfigOption = None, profile: ProfileOption = None, json: JsonFlag = False) -> int:
    """Find everything that is wrong with the configuration; exit code 2 when something is.

    Example: `runstead config check --profile prod`
    """
    output = Output(json=json)
    try:
        settings = load_settings(config, profile)
    except ConfigError as error:
        for problem in error.problems:
            if not json:
                output.line(str(problem))
        if json:
            output.value({"ok": False, "problems": [_as_json(problem) for problem in error.problems]})
        return ExitCode.USAGE
    place = str(settings.config_file) if settings.config_file else "no file, defaults only"
    if json:
        output.value(
            {
                "ok": True,
                "config_file": _text(settings.config_file),
                "profile": settings.profile,
                "problems": [],
            }
        )
    else:
        output.line(f"ok: {place} (profile {settings.profile})")
    return ExitCode.OK


@app.command
def show(*, config: ConfigOption = None, profile: ProfileOption = None, json: JsonFlag = False) -> int:
    """Print what holds and where each value comes from; secrets are masked.

    Example: `runstead config show | grep port`
    """
    from runstead.platform.config import show as effective

    settings = load_settings(config, profile)
    shown = effective(settings)
    output = Output(json=json)
    if json:
        output.value(shown)
    else:
        output.line(f"profile {settings.profile}, {_text(settings.config_file) or 'no file'}")
        rows = [{"field": field, **value} for field, value in shown["values"].items()]
        output.table(rows, ["field", "value", "source"])
    return ExitCode.OK


@app.command
def schema(*, json: JsonFlag = False) -> None:
    """Print the JSON Schema of the configuration, for editors.

    Example: `runstead config schema > runstead.schema.json`, then begin runstead.toml with
    `#:schema ./runstead.schema.json`.
    """
    from runstead.platform.config import json_schema

    # A schema is JSON for people too.
    Output(json=True).value(json_schema(composition().sections))


def load_settings(config: Path | None, profile: str | None) -> Settings:
    """The settings with the sections of every capability.

    :raises ConfigError: when anything is wrong with them.
    """
    return load(composition().sections, config=config, profile=profile, env=os.environ, cwd=Path.cwd())


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _as_json(problem: Problem) -> dict[str, Any]:
    return {name: getattr(problem, name) for name in ("file", "line", "column", "field", "message")}
