"""``runstead doctor``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from runstead.platform.cli.checks import Finding, Health, run_checks
from runstead.platform.cli.config_commands import ConfigOption, ProfileOption
from runstead.platform.cli.errors import ExitCode
from runstead.platform.cli.host import composition
from runstead.platform.cli.output import Output
from runstead.platform.cli.version import JsonFlag
from runstead.platform.config import ConfigError, load, load_platform


def doctor(*, config: ConfigOption = None, profile: ProfileOption = None, json: JsonFlag = False) -> int:
    """Look at this machine: what works, what is degraded and how to mend it. Changes nothing.

    Exit code 1 when something is critical, that is when the server could not work.

    Example: `runstead doctor --json | jq '.checks[] | select(.health != "ok")'`
    """
    output = Output(json=json)
    findings = [] if json else _Printer(output)
    given = composition()
    source: dict[str, Any] = {"config": config, "profile": profile, "env": os.environ, "cwd": Path.cwd()}
    try:
        settings = load(given.sections, **source)
        where = str(settings.config_file) if settings.config_file else "no file, defaults"
        findings.append(Finding(check="configuration", health=Health.OK, message=where))
    except ConfigError as error:
        findings.append(
            Finding(
                check="configuration",
                health=Health.CRITICAL,
                message=str(error),
                mend="runstead config check",
            )
        )
        try:
            # The rest can be looked at as long as the platform's own sections are sound.
            settings = load_platform(**source)
        except ConfigError:
            return _finish(output, findings, json=json)
    for finding in run_checks(settings, given.migration_folders):
        findings.append(finding)
    return _finish(output, findings, json=json)


class _Printer(list[Finding]):
    """Shows each finding when it comes, since some take seconds."""

    def __init__(self, output: Output) -> None:
        super().__init__()
        self._output = output

    def append(self, finding: Finding) -> None:
        super().append(finding)
        for index, text in enumerate(finding.message.splitlines()):
            left = f"{finding.health:<8}  {finding.check:<13}" if index == 0 else " " * 23
            self._output.line(f"{left}  {text}")
        if finding.mend:
            self._output.line(f"{'':<23}  mend: {finding.mend}")


def _finish(output: Output, findings: list[Finding], *, json: bool) -> int:
    healths = [finding.health for finding in findings]
    worst = next((health for health in (Health.CRITICAL, Health.DEGRADED) if health in healths), Health.OK)
    if json:
        checks = [
            {"check": one.check, "health": one.health, "message": one.message, "mend": one.mend}
            for one in findings
        ]
        output.value({"ok": worst is not Health.CRITICAL, "health": worst, "checks": checks})
    else:
        output.line(f"\nin all: {worst}")
    return ExitCode.FAILED if worst is Health.CRITICAL else ExitCode.OK
