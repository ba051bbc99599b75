"""The sections ``[[endpoints]]`` and ``[runs]``, and the checks that types cannot say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from runstead.capabilities.endpoints.parameters import ParametersSchema
from runstead.capabilities.endpoints.programs import ProgramError, argv_of, python_of
from runstead.capabilities.endpoints.routes import PathTemplate
from runstead.kernel.limits import MIB
from runstead.platform.config import SectionSpec

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

#: An answer is held in memory to be checked, so this times the running programs is what they may cost.
OUTPUT_BYTES_MAX = 256 * MIB
MEMORY_MB_MAX = 1024 * 1024

Slug = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9][a-z0-9_-]{0,62}(?!\n)$",
        description="Lower-case letters, digits, - and _; at most 63 characters.",
    ),
]
VariableName = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*(?!\n)$", max_length=128)]

#: A name, or a name that is given a secret.
Variable = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*(=secret://[A-Za-z0-9][A-Za-z0-9._-]{0,127})?(?!\n)$", max_length=300
    ),
]

#: Variables that hold this server's own secrets or settings; no program may be given them.
_OWN_VARIABLE = re.compile(r"RUNSTEAD_.*|MASTER_PASSWORD")


class EndpointSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One HTTP route that runs one program."""

    name: Annotated[Slug, Meta(description="Identity in logs, run folders and metrics; unique.")]
    path: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=200,
            description="Absolute, with {param} segments; unique together with the method.",
        ),
    ]
    script_path: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=4096,
            description="The program, relative to the config file: an executable, or a .py, .sh or .js file.",
        ),
    ]
    method: Annotated[
        Literal["GET", "POST", "PUT", "PATCH", "DELETE"], Meta(description="The HTTP method.")
    ] = "POST"
    params: Annotated[
        dict[str, Any] | None,
        Meta(description="A JSON Schema that params must fit before the program is started."),
    ] = None
    timeout_ms: Annotated[
        int, Meta(ge=1, le=3_600_000, description="Wall clock; the whole process group is stopped on expiry.")
    ] = 30_000
    enabled: Annotated[bool, Meta(description="A disabled endpoint answers 404.")] = True
    working_dir: Annotated[
        str | None, Meta(description="Relative to the config file; default: the script's folder.")
    ] = None
    venv: Annotated[str | None, Meta(description="A virtual environment whose Python runs the script.")] = (
        None
    )
    env: Annotated[
        tuple[Variable, ...],
        Meta(
            max_length=100,
            description="Names of the server's environment variables that the program gets, and NAME=secret://ID.",
        ),
    ] = ()
    network: Annotated[
        bool, Meta(description="false: the program has no network at all, loopback included.")
    ] = False
    max_cpu_seconds: Annotated[int, Meta(ge=1, le=3600, description="CPU time of the program.")] = 60
    max_memory_mb: Annotated[
        int, Meta(ge=16, le=MEMORY_MB_MAX, description="Memory of each of its processes, in MiB.")
    ] = 512
    max_output_bytes: Annotated[
        int, Meta(ge=1, le=OUTPUT_BYTES_MAX, description="stdout and stderr together.")
    ] = 8 * MIB
    max_artifact_bytes: Annotated[
        int, Meta(ge=1, le=1024 * 1024 * MIB, description="The files that a run leaves, together.")
    ] = 256 * MIB
    max_processes: Annotated[int, Meta(ge=1, le=4096, description="Processes and threads.")] = 64
    concurrency: Annotated[int, Meta(ge=1, le=1000, description="Programs that run at the same time.")] = 4
    queue_limit: Annotated[
        int, Meta(ge=0, le=10_000, description="Requests that wait for one to end; further ones get 503.")
    ] = 64


class RunsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is kept of each call of an endpoint."""

    folder: Annotated[Path | None, Meta(description="Default: the folder runs in storage.data_dir.")] = None
    record: Annotated[bool, Meta(description="Turn each result into an immutable record.")] = False
    max_age_days: Annotated[int, Meta(ge=1, le=36_500, description="Older run folders are removed.")] = 30
    max_total_bytes: Annotated[
        int, Meta(ge=MIB, description="When all run folders take more, the oldest are removed.")
    ] = 1024 * MIB
    lockout_attempts: Annotated[
        int,
        Meta(
            ge=1,
            le=1000,
            description="Wrong passwords from one address before it has to wait, 1 s at first, doubling to 15 min.",
        ),
    ] = 5


def validate_endpoints(endpoints: Sequence[EndpointSettings], base_dir: Path) -> Iterator[tuple[str, str]]:
    """What is wrong with the declarations, all of it.

    :param base_dir: what relative paths are relative to.
    :returns: pairs of a field, such as ``[1].path``, and what is wrong with it.
    """
    names: dict[str, int] = {}
    routes: dict[tuple[str, str], int] = {}
    for index, endpoint in enumerate(endpoints):
        at = f"[{index}]"
        if (first := names.setdefault(endpoint.name, index)) != index:
            yield f"{at}.name", f"found {endpoint.name!r} again, allowed: once (first: endpoints[{first}])"
        try:
            template = PathTemplate.parse(endpoint.path)
        except ValueError as error:
            yield f"{at}.path", str(error)
        else:
            if _is_reserved(endpoint.path):
                yield f"{at}.path", f"found {endpoint.path!r}, allowed: a path that no built-in route uses"
            first = routes.setdefault((endpoint.method, template.shape), index)
            if first != index:
                yield (
                    f"{at}.path",
                    f"found {endpoint.method} {endpoint.path} again, allowed: once (first: endpoints[{first}])",
                )
        if (
            endpoint.params is not None
            and (problem := ParametersSchema(endpoint.params).problem()) is not None
        ):
            yield f"{at}.params", f"found no valid JSON Schema ({problem}), allowed: one of an object"
        for field, message in _file_problems(endpoint, base_dir):
            yield f"{at}.{field}", message


def _is_reserved(path: str) -> bool:
    # Lazily: the command line reads settings without loading the HTTP host.
    from runstead.platform.http import is_reserved

    return is_reserved(path)


def _file_problems(endpoint: EndpointSettings, base_dir: Path) -> Iterator[tuple[str, str]]:
    venv = base_dir / endpoint.venv if endpoint.venv is not None else None
    if venv is not None:
        try:
            python_of(venv)
        except ProgramError as error:
            yield "venv", str(error)
            venv = None
    try:
        argv_of(base_dir / endpoint.script_path, venv)
    except ProgramError as error:
        yield "script_path", str(error)
    if endpoint.working_dir is not None and not (base_dir / endpoint.working_dir).is_dir():
        yield "working_dir", f"found {endpoint.working_dir!r}, allowed: an existing folder"
    for position, name in enumerate(endpoint.env):
        if _OWN_VARIABLE.fullmatch(name.partition("=")[0]):
            yield (
                f"env[{position}]",
                f"found {name!r}, allowed: any variable but those that configure this server",
            )


#: ``[[endpoints]]``
SECTION = SectionSpec(type=list[EndpointSettings], validate=validate_endpoints)
#: ``[runs]``
RUNS_SECTION = SectionSpec(type=RunsSettings)
