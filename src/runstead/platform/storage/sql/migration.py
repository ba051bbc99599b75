"""Bringing the tables of every capability to the version that this code needs."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy

from runstead.platform.storage.sql.database import Database
from runstead.platform.storage.sql.errors import DatabaseError, DatabaseNewerError

#: The revisions of the platform's own tables: the branch "platform".
MIGRATIONS: Final = Path(__file__).parent / "migrations"

_ENVIRONMENT: Final = Path(__file__).parent / "environment"


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """The header of one revision file."""

    name: str
    down: tuple[str, ...]
    file: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """Where a database stands against the code."""

    #: Heads of the database, empty for a new one.
    current: tuple[str, ...]
    #: Heads of the code.
    wanted: tuple[str, ...]
    #: Revisions that are to be run, in no order.
    missing: tuple[str, ...]

    @property
    def up_to_date(self) -> bool:
        return not self.missing


async def pending(db: Database, folders: Mapping[str, Path]) -> Pending:
    """Compare the database with the revisions in the folders; reads only.

    :param folders: by branch. Always those of every capability, also of one that is switched off: its tables may be there.
    :raises DatabaseNewerError: the database knows a revision that the code does not.
    """
    revisions = read_revisions(folders.values())
    current = await db.read(_current)
    return _compare(current, revisions)


async def migrate(db: Database, folders: Mapping[str, Path]) -> list[str]:
    """Bring every branch to its head, in one transaction, while no other process does.

    Cheap when there is nothing to do: Alembic is then not even imported.

    :param folders: as for :func:`pending`.
    :returns: the revisions that were run.
    :raises DatabaseNewerError: the database was written by newer code; it is left as it is.
    :raises DatabaseError: a revision failed; the database is left as it was.
    """
    revisions = read_revisions(folders.values())
    if _compare(await db.read(_current), revisions).up_to_date:
        return []

    def upgrade_under_lock(connection: sqlalchemy.Connection) -> list[str]:
        # Another process may have done it while this one waited for the lock.
        missing = _compare(_current(connection), revisions).missing
        if missing:
            upgrade(connection, folders.values(), "heads")
        return sorted(missing)

    try:
        return await db.change_schema(upgrade_under_lock)
    except DatabaseError as error:
        if error.__cause__ is None:
            raise
        # Whoever starts the server reads this, not a client, so it may say what the database said.
        wanted = ", ".join(heads(revisions))
        raise DatabaseError(f"the tables could not be brought to {wanted}: {error.__cause__}") from error


def upgrade(connection: sqlalchemy.Connection, folders: Iterable[Path], target: str) -> None:
    """Run Alembic up to a revision (or ``heads``) inside the caller's transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    # Alembic reads its options through a ConfigParser, where a percent sign starts an interpolation.
    config.set_main_option("script_location", str(_ENVIRONMENT).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", "\n".join(str(one).replace("%", "%%") for one in folders))
    command.upgrade(config, target)


def read_revisions(folders: Iterable[Path]) -> dict[str, Revision]:
    """Read the headers of all revision files without running them.

    :raises ValueError: a file has no ``revision``, or two have the same.
    """
    revisions: dict[str, Revision] = {}
    for folder in folders:
        for file in sorted(folder.glob("*.py")):
            if file.name == "__init__.py":
                continue
            revision = _read_revision(file)
            if revision.name in revisions:
                raise ValueError(
                    f"{file} and {revisions[revision.name].file} are both revision {revision.name}"
                )
            revisions[revision.name] = revision
    return revisions


def heads(revisions: Mapping[str, Revision]) -> tuple[str, ...]:
    """The revisions that no other builds upon."""
    below = {down for revision in revisions.values() for down in revision.down}
    return tuple(sorted(set(revisions) - below))


def _read_revision(file: Path) -> Revision:
    header: dict[str, Any] = {}
    for statement in ast.parse(file.read_text(encoding="utf-8"), str(file)).body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            name, value = statement.targets[0].id, statement.value
        elif (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and statement.value
        ):
            name, value = statement.target.id, statement.value
        else:
            continue
        if name in {"revision", "down_revision"}:
            header[name] = ast.literal_eval(value)
    if not header.get("revision"):
        raise ValueError(f"{file} names no revision")
    down = header.get("down_revision") or ()
    return Revision(
        name=header["revision"], down=(down,) if isinstance(down, str) else tuple(down), file=file
    )


def _current(connection: sqlalchemy.Connection) -> tuple[str, ...]:
    if not sqlalchemy.inspect(connection).has_table("alembic_version"):
        return ()
    return tuple(sorted(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars()))


def _compare(current: tuple[str, ...], revisions: Mapping[str, Revision]) -> Pending:
    unknown = [name for name in current if name not in revisions]
    if unknown:
        raise DatabaseNewerError(
            f"The database was written by a newer version of Runstead (it has {', '.join(unknown)}, which this version "
            "does not know). Install that version again, or restore a backup from before it."
        )
    run: set[str] = set()
    left = list(current)
    while left:
        name = left.pop()
        if name not in run:
            run.add(name)
            left.extend(revisions[name].down)
    return Pending(current=current, wanted=heads(revisions), missing=tuple(sorted(set(revisions) - run)))
