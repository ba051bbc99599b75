"""What is started, under which limits, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from runstead.kernel.errors import UnprocessableError

SandboxMode = Literal["auto", "required", "off"]
#: Secrets come in variables, or in files: then ``NAME_FILE`` has the path of one that only this program can open.
SecretsAs = Literal["environment", "descriptor"]
LimitName = Literal["wall", "cpu", "memory", "output", "processes", "file_size"]


class StartError(UnprocessableError):
    """The program could not be started."""

    code = "E_START"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessLimits:
    """What a program may use; None means no limit of ours."""

    wall_seconds: float | None = None
    #: Of the whole tree; without control groups of each of its processes.
    cpu_seconds: int | None = None
    #: Of the whole tree; without control groups the address space of each of its processes.
    memory_bytes: int | None = None
    #: Processes and threads together.
    processes: int | None = None
    #: Of one processor; only where there are control groups.
    cpu_percent: int | None = None
    open_files: int | None = None
    #: stdout and stderr together.
    output_bytes: int | None = None
    #: Of each file that it writes.
    file_bytes: int | None = None
    network: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """One program to start. ``argv[0]`` is a path or a name on the PATH of ``env``; no shell is involved."""

    argv: tuple[str, ...]
    working_dir: Path
    env: Mapping[str, str] = field(default_factory=dict)
    limits: ProcessLimits = field(default_factory=ProcessLimits)
    stdin: bytes | None = None
    #: Folders that it may write to, beside its own /tmp.
    writable: tuple[Path, ...] = ()
    #: Files and folders that it may read beside the system and its working folder.
    readable: tuple[Path, ...] = ()
    #: What it must not see of these: the server's own secrets and data, which may lie beside a script.
    hidden: tuple[Path, ...] = ()
    sandbox: SandboxMode = "auto"
    #: ``NAME=value`` of ``env`` that no other program has: by it strays are found where there are no control groups.
    mark: str = ""
    #: Handed over as open files instead of variables: NAME → content; ``NAME_FILE`` in its environment is the path.
    descriptors: Mapping[str, str] = field(default_factory=dict)
    #: A folder for its output and its end, so that both outlive the server; see ``kept``. None: it ends with the server.
    keep: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How a program ended: by ``code``, or by ``signal`` (such as ``SIGKILL``)."""

    code: int | None
    signal: str | None
    #: The limit that ended it, when one did.
    limit: LimitName | None
    cpu_seconds: float | None
    #: Memory at the highest: of the whole tree with the files that it had in the cache, or without control groups of the
    #: largest process.
    max_rss_bytes: int | None
    started_at: datetime
    ended_at: datetime
    #: From and to devices; None where the kernel does not count it.
    read_bytes: int | None = None
    written_bytes: int | None = None
