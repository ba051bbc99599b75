"""The environment: which variable sets which field, and which names are nobody's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from runstead.platform.config.fieldtypes import is_secret, struct_type
from runstead.platform.config.keypath import KeyPath
from runstead.platform.config.sections import SectionSpec
from runstead.platform.config.tree import Origin

PREFIX: Final = "RUNSTEAD_"

#: Short names that are fixed for ever; the long form works too.
SHORT_NAMES: Final[Mapping[str, KeyPath]] = {
    "RUNSTEAD_HOST": ("server", "host"),
    "RUNSTEAD_PORT": ("server", "port"),
    "RUNSTEAD_DATA_DIR": ("storage", "data_dir"),
    "RUNSTEAD_DATABASE_URL": ("storage", "database_url"),
    "RUNSTEAD_OBJECTS_URL": ("storage", "objects_url"),
}

ADMIN_TOKEN: Final = "RUNSTEAD_ADMIN_TOKEN"  # noqa: S105  # the name of a variable
MASTER_PASSWORD: Final = "MASTER_PASSWORD"  # noqa: S105
MASTER_KEY: Final = "RUNSTEAD_MASTER_KEY"

#: The credentials of the server itself.
CREDENTIALS: Final = (ADMIN_TOKEN, MASTER_PASSWORD, MASTER_KEY)

#: Variables that begin so are for test suites and benchmarks.
TEST_PREFIX: Final = "RUNSTEAD_TEST_"

#: Read elsewhere: the first two and the token by the loader itself, RUNSTEAD_URL by the command line. The rest is what Runstead
#: tells the programs that it runs, which may call the command line in turn.
OTHER_NAMES: Final = frozenset(
    {
        "RUNSTEAD_CONFIG",
        "RUNSTEAD_PROFILE",
        "RUNSTEAD_URL",
        ADMIN_TOKEN,
        MASTER_KEY,
        "RUNSTEAD_ARTIFACTS",
        "RUNSTEAD_JOB_ID",
        "RUNSTEAD_RUN_ID",
    }
)


@dataclass(frozen=True, slots=True)
class Value:
    """What a variable holds and where it was set."""

    text: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class Variable:
    """A field (or a section's secret) that a variable sets."""

    path: KeyPath
    #: None for a secret that is no field.
    type: Any
    secret: bool


def variables(specs: Mapping[str, SectionSpec]) -> dict[str, Variable]:
    """Every variable that sets something, the ones that win last: aliases, then long names, then short ones."""
    long_names: dict[str, Variable] = {}
    for section, spec in specs.items():
        if not spec.is_list:
            long_names.update(_fields(spec.struct, (section,)))
        for name, field in spec.secrets.items():
            long_names[name] = Variable((section, field), None, True)
    by_path = {variable.path: variable for variable in long_names.values()}
    aliases = {
        alias: by_path[(section, *field.split("."))]
        for section, spec in specs.items()
        for alias, field in spec.aliases.items()
    }
    short = {name: by_path[path] for name, path in SHORT_NAMES.items() if path in by_path}
    return aliases | long_names | short


def _fields(struct: type[msgspec.Struct], path: KeyPath) -> Iterator[tuple[str, Variable]]:
    for field in msgspec.structs.fields(struct):
        at = (*path, field.encode_name)
        nested = struct_type(field.type)
        if nested is not None:
            yield from _fields(nested, at)
        else:
            name = PREFIX + "_".join(str(step) for step in at).upper().replace("-", "_")
            yield name, Variable(at, field.type, is_secret(field.type))
