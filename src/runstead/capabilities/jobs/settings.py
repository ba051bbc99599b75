"""The ``[jobs]`` section."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta, Struct

from runstead.kernel.limits import MIB
from runstead.platform.config import SectionSpec

#: No job may ask for more, whatever the settings say.
TIMEOUT_SECONDS_CEILING: Final = 30 * 86_400


class JobsSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How commands are run."""

    record: Annotated[bool, Meta(description="Keep each job's result as an immutable record.")] = False
    allow_shell: Annotated[
        bool,
        Meta(description="Hand commands to /bin/sh, with pipes and everything. Off: no shell is involved."),
    ] = False
    commands: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=255)], ...],
        Meta(
            max_length=1000,
            description="The programs that may be started, as patterns such as python3 or backup-*. Empty: any.",
        ),
    ] = ()
    working_dir: Annotated[
        Path | None,
        Meta(description="Where jobs run that do not say. Default: the folder of the configuration file."),
    ] = None
    env: Annotated[
        tuple[Annotated[str, Meta(pattern="^[A-Za-z_][A-Za-z0-9_]*$", max_length=128)], ...],
        Meta(
            max_length=200,
            description="Variables of the server's environment that jobs get, beside PATH, LANG and TZ.",
        ),
    ] = ()
    network: Annotated[bool, Meta(description="Whether jobs may use the network.")] = True
    concurrency: Annotated[
        int, Meta(ge=1, le=1000, description="Jobs that run at once; further ones wait.")
    ] = 8
    queue_limit: Annotated[
        int, Meta(ge=1, le=100_000, description="Jobs that may wait; further ones are refused.")
    ] = 1000
    timeout_max_seconds: Annotated[
        int, Meta(ge=1, le=TIMEOUT_SECONDS_CEILING, description="The longest timeout that a job may ask for.")
    ] = TIMEOUT_SECONDS_CEILING
    label_concurrency: Annotated[
        dict[Annotated[str, Meta(min_length=1, max_length=321)], Annotated[int, Meta(ge=1, le=1000)]],
        Meta(
            max_length=1000,
            description="Jobs with a label that run at once: `NAME=VALUE` for one value, `NAME` for each value of it.",
        ),
    ] = {}
    max_age_days: Annotated[
        int, Meta(ge=1, le=36_500, description="Jobs that ended longer ago are removed, with their logs.")
    ] = 180
    max_total_bytes: Annotated[
        int, Meta(ge=MIB, description="When all logs take more, the oldest jobs that have ended are removed.")
    ] = 10_240 * MIB
    log_part_mb: Annotated[
        int,
        Meta(
            ge=1, le=65_536, description="MiB of a log before another file is begun; the full one is packed."
        ),
    ] = 64
    log_parts: Annotated[
        int, Meta(ge=2, le=100_000, description="Such files of one attempt; the oldest are removed.")
    ] = 160
    memory_mb: (
        Annotated[
            int, Meta(ge=16, le=1_048_576, description="Memory of a job with all that it starts, in MiB.")
        ]
        | None
    ) = None
    cpu_seconds: (
        Annotated[int, Meta(ge=1, description="CPU time of a job with all that it starts.")] | None
    ) = None
    cpu_percent: Annotated[
        int, Meta(ge=1, le=100_000, description="Of one core, for a job with all that it starts.")
    ] = 80
    processes: Annotated[
        int, Meta(ge=1, le=1_000_000, description="Processes and threads of a job, together.")
    ] = 512
    open_files: Annotated[
        int, Meta(ge=16, le=1_000_000, description="Files that a process may hold open.")
    ] = 1024


SECTION = SectionSpec(type=JobsSettings)
