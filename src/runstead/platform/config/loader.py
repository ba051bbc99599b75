"""From file, ``.env``, environment and flags to frozen settings, or to everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from runstead.kernel.secret import Secret
from runstead.platform.config.conversion import convert_sections
from runstead.platform.config.discovery import Place, discover
from runstead.platform.config.environment import ADMIN_TOKEN, CREDENTIALS, MASTER_KEY, MASTER_PASSWORD, Value
from runstead.platform.config.layers import Layers
from runstead.platform.config.problems import ConfigError, Problem
from runstead.platform.config.rules import check, secret_fault
from runstead.platform.config.sections import SectionSpec
from runstead.platform.config.settings import PLATFORM_SECTIONS, Credentials, Settings, StorageSettings

_SQLITE: Final = "sqlite:///"


def load(
    sections: Mapping[str, SectionSpec],
    *,
    config: Path | None = None,
    profile: str | None = None,
    overrides: Mapping[str, str] | None = None,
    env: Mapping[str, str],
    cwd: Path,
) -> Settings:
    """Read the configuration.

    :param sections: the capabilities' sections by name; the platform's own are known.
    :param config: the file; default: ``RUNSTEAD_CONFIG``, else ``runstead.toml`` (``.yaml``, ``.yml``, ``.json``) in ``cwd``,
        which may be missing.
    :param profile: ``dev``, ``staging`` or ``prod``; default: ``RUNSTEAD_PROFILE``, else ``dev``.
    :param overrides: what flags say: dotted field → text.
    :raises ConfigError: with every problem that there is.
    """
    specs = {**PLATFORM_SECTIONS, **sections}
    return _load(specs, config, profile, overrides or {}, env, cwd.resolve(), strict=True)


def load_platform(
    *, config: Path | None = None, profile: str | None = None, env: Mapping[str, str], cwd: Path
) -> Settings:
    """Read the platform's sections only and overlook all others: enough for a client to find its server.

    :raises ConfigError: when one of these sections is wrong.
    """
    return _load(PLATFORM_SECTIONS, config, profile, {}, env, cwd.resolve(), strict=False)


def _load(
    specs: Mapping[str, SectionSpec],
    config: Path | None,
    profile: str | None,
    overrides: Mapping[str, str],
    env: Mapping[str, str],
    cwd: Path,
    *,
    strict: bool,
) -> Settings:
    problems: list[Problem] = []
    place = discover(config=config, profile=profile, env=env, cwd=cwd, problems=problems)
    layers = Layers(specs, strict=strict)
    for path in (place.file, place.overlay):
        if path is not None:
            layers.lay_file(path, cwd=cwd, profile=place.profile)
    layers.lay_environment(place.environment)
    layers.lay_overrides(overrides)
    sound, unsound = convert_sections(specs, layers.tree, place.base_dir)
    problems += layers.problems + unsound
    tokens = {name: _credential(name, place.environment, problems) for name in CREDENTIALS}
    if strict:
        problems += _break_of_rules(sound, place, tokens, layers)
    if problems:
        raise ConfigError(_in_order(problems))
    credentials = Credentials(
        admin_token=tokens[ADMIN_TOKEN],
        master_password=tokens[MASTER_PASSWORD],
        master_key=tokens[MASTER_KEY],
        sections=layers.secrets,
    )
    return Settings(
        profile=place.profile,
        config_file=place.file,
        base_dir=place.base_dir,
        server=sound["server"],
        storage=_filled(sound["storage"], place.base_dir),
        observability=sound["observability"],
        execution=sound["execution"],
        credentials=credentials,
        sections={name: sound[name] for name in specs if name not in PLATFORM_SECTIONS},
        environment={name: value.text for name, value in place.environment.items()},
        origins=layers.tree.origins,
    )


def _credential(name: str, environment: Mapping[str, Value], problems: list[Problem]) -> Secret | None:
    value = environment.get(name)
    if value is None:
        return None
    secret = Secret(value.text)
    if (fault := secret_fault(secret)) is not None:
        file, line, column = value.origin.place()
        problems.append(Problem(file=file, line=line, column=column, field=name, message=fault))
    return secret


def _break_of_rules(
    sound: Mapping[str, Any], place: Place, tokens: Mapping[str, Secret | None], layers: Layers
) -> Iterable[Problem]:
    broken = check(
        sound,
        profile=place.profile,
        admin_token=tokens[ADMIN_TOKEN],
        master_password=tokens[MASTER_PASSWORD],
    )
    for path, message in broken:
        value = place.environment.get(str(path[0]))
        if value is None:
            yield layers.tree.problem(path, message)
        else:
            file, line, column = value.origin.place()
            yield Problem(file=file, line=line, column=column, field=str(path[0]), message=message)


def _filled(storage: StorageSettings, base_dir: Path) -> StorageSettings:
    """The defaults that follow from ``data_dir``, and relative places made absolute."""
    database = storage.database_url or f"{_SQLITE}{storage.data_dir / 'runstead.db'}"
    if database.startswith(_SQLITE):
        database = _SQLITE + str(base_dir / database.removeprefix(_SQLITE))
    objects = storage.objects_url or str(storage.data_dir / "objects")
    if "://" not in objects:
        objects = str(base_dir / objects)
    return msgspec.structs.replace(storage, database_url=database, objects_url=objects)


def _in_order(problems: Iterable[Problem]) -> list[Problem]:
    """By file in order of first mention, then by place; each once."""
    distinct = list(dict.fromkeys(problems))
    files = {problem.file: index for index, problem in reversed(list(enumerate(distinct)))}
    return sorted(distinct, key=lambda problem: (files[problem.file], problem.line, problem.column))
