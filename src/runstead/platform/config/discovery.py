"""Finding the configuration: the file, its profile, the overlay beside it and ``.env``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runstead.platform.config.documents import FILE_BYTES_MAX, SUFFIXES, decode_text
from runstead.platform.config.dotenv import parse_dotenv
from runstead.platform.config.environment import Value
from runstead.platform.config.problems import ConfigError, Problem, suggest
from runstead.platform.config.settings import PROFILES
from runstead.platform.config.tree import Origin

_STEM: Final = "runstead"

#: Taken when there is no runstead.*: the name that declared endpoints had before they lived here.
_FORMER_NAME: Final = "server.config.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the configuration is to be read from."""

    profile: str
    file: Path | None
    overlay: Path | None
    base_dir: Path
    #: ``.env`` under the process's own variables. Empty values are not in it: an empty variable is one that is not set.
    environment: Mapping[str, Value]


def label_of(path: Path, cwd: Path) -> str:
    """The path as a person in ``cwd`` would type it."""
    return str(path.relative_to(cwd)) if path.is_relative_to(cwd) else str(path)


def discover(
    *, config: Path | None, profile: str | None, env: Mapping[str, str], cwd: Path, problems: list[Problem]
) -> Place:
    """Find everything. What is wrong is added to ``problems``; the place is then the best that can be checked further."""
    own = {name: Value(text, Origin(name)) for name, text in env.items() if text}
    near = _read_dotenv(cwd, cwd, problems)
    variables = {**near, **own}
    file = _config_file(config, variables.get("RUNSTEAD_CONFIG"), cwd, problems)
    base_dir = file.parent if file is not None else cwd
    if base_dir != cwd:
        # The .env beside the file counts; the one here only named it.
        variables = {**_read_dotenv(base_dir, cwd, problems), **own}
    chosen = _profile(profile, variables.get("RUNSTEAD_PROFILE"), problems)
    return Place(
        profile=chosen,
        file=file,
        overlay=_overlay(file or cwd / f"{_STEM}{SUFFIXES[0]}", chosen),
        base_dir=base_dir,
        environment=variables,
    )


def _config_file(
    config: Path | None, variable: Value | None, cwd: Path, problems: list[Problem]
) -> Path | None:
    if config is None and variable is not None:
        config, origin = Path(variable.text), variable.origin
    else:
        origin = Origin("flag")
    if config is not None:
        file = Path(cwd, config.expanduser()).resolve()
        if file.is_file():
            return file
        at, line, column = origin.place()
        message = f"found {str(config)!r}, allowed: an existing file"
        problems.append(Problem(file=at, line=line, column=column, field="config", message=message))
        return None
    present = [file for suffix in SUFFIXES if (file := cwd / f"{_STEM}{suffix}").is_file()]
    if len(present) > 1:
        names = " and ".join(file.name for file in present)
        message = f"found {names}, allowed: one; remove the others or choose one with --config"
        problems.append(Problem(file=present[1].name, line=0, column=0, field="", message=message))
    if present:
        return present[0]
    former = cwd / _FORMER_NAME
    return former if former.is_file() else None


def _profile(flag: str | None, variable: Value | None, problems: list[Problem]) -> str:
    if flag is not None:
        chosen, origin = flag, Origin("flag")
    elif variable is not None:
        chosen, origin = variable.text, variable.origin
    else:
        return PROFILES[0]
    if chosen in PROFILES:
        return chosen
    file, line, column = origin.place()
    message = f"found {chosen!r}, allowed: {', '.join(PROFILES)}{suggest(chosen, PROFILES)}"
    problems.append(Problem(file=file, line=line, column=column, field="profile", message=message))
    return PROFILES[0]


def _overlay(file: Path, profile: str) -> Path | None:
    suffixes = dict.fromkeys((file.suffix, *SUFFIXES))
    beside = (file.with_name(f"{file.stem}.{profile}{suffix}") for suffix in suffixes)
    return next((overlay for overlay in beside if overlay.is_file()), None)


def _read_dotenv(folder: Path, cwd: Path, problems: list[Problem]) -> dict[str, Value]:
    path = folder / ".env"
    label = label_of(path, cwd)
    try:
        with path.open("rb") as file:
            raw = file.read(FILE_BYTES_MAX + 1)
    except (FileNotFoundError, IsADirectoryError):
        return {}
    except OSError as error:
        message = f"cannot be read: {error.strerror or error}"
        problems.append(Problem(file=label, line=0, column=0, field="", message=message))
        return {}
    if len(raw) > FILE_BYTES_MAX:
        message = f"found more than {FILE_BYTES_MAX} bytes, allowed: up to that"
        problems.append(Problem(file=label, line=0, column=0, field="", message=message))
        return {}
    try:
        text = decode_text(raw, label)
    except ConfigError as error:
        problems.extend(error.problems)
        return {}
    found: dict[str, Value] = {}
    for entry in parse_dotenv(text):
        if entry.fault:
            at = (entry.line, entry.column)
            problems.append(
                Problem(file=label, line=at[0], column=at[1], field=entry.name, message=entry.fault)
            )
        elif entry.value:
            found[entry.name] = Value(entry.value, Origin(label, entry.line, entry.column))
    return found
