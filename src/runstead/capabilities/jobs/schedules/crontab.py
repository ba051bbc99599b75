"""From a crontab (crontab(5), as Debian's cron reads it) to plans."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from runstead.capabilities.jobs.command import split_words
from runstead.capabilities.jobs.errors import CommandRefusedError
from runstead.capabilities.jobs.schedules.cron import CronError, next_time

_VARIABLE = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*$")
_FIELDS = 5


@dataclass(slots=True)
class CarriedLine:
    """One line of a crontab, and what became of it."""

    number: int
    text: str
    #: As ``POST /api/schedules`` takes it; None: it is not carried over.
    plan: dict[str, object] | None = None
    #: Why it is not.
    lost: list[str] = field(default_factory=list)
    #: What is different.
    notes: list[str] = field(default_factory=list)
    #: There is such a schedule already.
    present: bool = False

    @property
    def outcome(self) -> str:
        """``carried``, ``refused`` or ``present``."""
        if self.present:
            return "present"
        return "refused" if self.plan is None else "carried"


def read_crontab(text: str, *, time_zone: str = "UTC", system: bool = False) -> Iterator[CarriedLine]:
    """Every line that starts something.

    :param time_zone: of the machine, where the file does not say (CRON_TZ).
    :param system: lines name a user, as in /etc/crontab and /etc/cron.d.
    """
    env: dict[str, str] = {}
    zone = time_zone
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        if variable := _VARIABLE.match(line):
            name, value = variable[1], variable[2].strip("\"'")
            if name in ("CRON_TZ", "TZ"):
                zone = value
            else:
                env[name] = value
            continue
        yield _carry(number, stripped, dict(env), zone, system=system)


def _carry(number: int, line: str, env: dict[str, str], zone: str, *, system: bool) -> CarriedLine:
    carried = CarriedLine(number, line)
    fields = 1 if line.startswith("@") else _FIELDS
    words = line.split(None, fields + (1 if system else 0))
    if len(words) <= fields + (1 if system else 0):
        carried.lost.append("it is neither a variable nor a time with a command")
        return carried
    cron, command = " ".join(words[:fields]), words[-1]
    if cron == "@reboot":
        carried.lost.append("@reboot: a start of the machine is no time; use a service, or an app's init()")
        return carried
    try:
        if next_time(cron, zone, datetime.now(UTC)) is None:
            carried.lost.append(f"{cron}: this time never comes")
            return carried
    except CronError as error:
        carried.lost.append(error.message)
        return carried
    if re.search(r"(?<!\\)%", command):
        carried.lost.append(
            "a % in a command is a line end, and what follows its input; put it into a script"
        )
        return carried
    if system:
        carried.notes.append(f"it runs as the server's user, not as {words[fields]}")
    command = _without_shell(command.replace("\\%", "%"), env.pop("SHELL", "/bin/sh"), carried)
    for name in ("MAILTO", "MAILFROM", "HOME", "LOGNAME", "USER"):
        if env.pop(name, None) not in (None, ""):
            carried.notes.append(
                f"{name} is left out" + ("; its output is in the log" if name == "MAILTO" else "")
            )
    carried.notes.append("a run that has not ended leaves the next one out; cron would start it beside")
    carried.plan = {
        "cron": cron,
        "command": command,
        "time_zone": zone,
        "name": f"crontab line {number}",
        "env": env,
    }
    return carried


def _without_shell(command: str, shell: str, carried: CarriedLine) -> str:
    """cron hands every command to a shell; here that is said where it is needed."""
    try:
        words = split_words(command)
    except CommandRefusedError:
        words = ()
    if words and not re.search(r"[$*?~\[]|^[A-Za-z_][A-Za-z0-9_]*=|^(cd|test|\[|\.|export|set)\b", command):
        return command
    carried.notes.append(f"it needs a shell, and gets {shell}")
    return f"{shell} -c {shlex.quote(command)}"
