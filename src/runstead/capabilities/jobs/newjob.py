"""What somebody asks for, and what can be said of it before it runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from runstead.capabilities.jobs.errors import CommandRefusedError


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """What somebody asks for."""

    command: str
    name: str = ""
    timeout_seconds: float | None = None
    env: Mapping[str, str] | None = None
    working_dir: str | None = None
    labels: Mapping[str, str] | None = None
    retries: int = 0
    #: Who asks.
    owner: str = ""


def refuse_variables(names: Iterable[str]) -> None:
    """What the server itself reads, and what would take over a program's loader, is not a job's to set.

    :raises CommandRefusedError: names the variable.
    """
    for name in names:
        if name == "MASTER_PASSWORD" or name.startswith(("RUNSTEAD_", "LD_")):
            raise CommandRefusedError(
                f"the variable {name} is not a job's to set", details={"field": f"env.{name}"}
            )


def is_folder(path: Path, hidden: tuple[Path, ...]) -> bool:
    """Whether jobs may run there: an existing folder, and none of those that they must not see."""
    try:
        real = path.resolve()
        return real.is_dir() and not any(real.is_relative_to(one.resolve()) for one in hidden)
    except (OSError, ValueError):
        # Too long, or with a NUL: nothing that could be there.
        return False


def name_of(argv: tuple[str, ...], *, shell: bool) -> str:
    """What people would call it: the script rather than its interpreter."""
    words = argv[2].split() if shell else argv
    script = next(
        (word for word in words[1:] if Path(word).suffix in (".py", ".sh", ".js", ".rb", ".pl")), words[0]
    )
    return Path(script).name[:128] or "job"
