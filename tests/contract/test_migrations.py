"""Every branch of revisions, the platform's and each capability's, on SQLite and on PostgreSQL."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

import runstead
from runstead.catalogue import migrations
from runstead.platform.storage.sql import Database, migrate, outbox, pending
from runstead.platform.storage.sql.migration import heads, read_revisions, upgrade

SOURCE = Path(runstead.__file__).parent


@dataclass(frozen=True)
class Branch:
    name: str
    folder: Path

    @property
    def metadata(self) -> sa.MetaData:
        if self.name == "platform":
            return outbox.metadata
        package = ".".join(self.folder.parent.relative_to(SOURCE.parent).parts)
        names = ("tables", "store")
        found = next(one for one in names if (self.folder.parent / f"{one}.py").exists())
        metadata = importlib.import_module(f"{package}.{found}").metadata
        assert isinstance(metadata, sa.MetaData)
        return metadata

    @property
    def folders(self) -> dict[str, Path]:
        return {self.name: self.folder}


BRANCHES = [Branch(name, folder) for name, folder in migrations().items()]
STEPS = [(branch, revision) for branch in BRANCHES for revision in read_revisions([branch.folder])]

each_branch = pytest.mark.parametrize("branch", BRANCHES, ids=lambda branch: branch.name)


def differences(connection: sa.Connection, metadata: sa.MetaData) -> list[object]:
    # What only one of the databases has, such as its full text index, is not in the metadata but named there.
    beside = tuple(metadata.info.get("beside", ()))

    def is_ours(name: str | None, kind: str, _parents: object) -> bool:
        return kind == "schema" or not (name or "").startswith(beside or ("\0",))

    opts = {"compare_type": True, "compare_server_default": True, "include_name": is_ours}
    context = MigrationContext.configure(connection, opts=opts)
    found: list[object] = compare_metadata(context, metadata)
    return found


@each_branch
def test_a_branch_has_one_head_and_its_names_tell_whose_it_is(branch: Branch) -> None:
    revisions = read_revisions([branch.folder])
    assert len(heads(revisions)) == 1
    assert all(name.startswith(f"{branch.name}_") for name in revisions)
    prefix = "outbox" if branch.name == "platform" else branch.name
    assert all(table.startswith(prefix) for table in branch.metadata.tables)


@each_branch
async def test_an_empty_database_comes_to_what_the_store_expects(branch: Branch, database: Database) -> None:
    ran = await migrate(database, branch.folders)
    assert ran == sorted(read_revisions([branch.folder]))
    assert await database.change_schema(lambda c: differences(c, branch.metadata)) == []


@pytest.mark.parametrize(
    ("branch", "start"), STEPS, ids=lambda one: one if isinstance(one, str) else one.name
)
async def test_every_version_goes_up_to_the_newest(branch: Branch, start: str, database: Database) -> None:
    await database.change_schema(lambda c: upgrade(c, [branch.folder], start))
    await migrate(database, branch.folders)
    assert (await pending(database, branch.folders)).up_to_date
    assert await database.change_schema(lambda c: differences(c, branch.metadata)) == []


@each_branch
async def test_a_second_run_does_nothing(branch: Branch, database: Database) -> None:
    await migrate(database, branch.folders)
    assert await migrate(database, branch.folders) == []


async def test_all_branches_live_in_one_database_and_may_arrive_one_after_the_other(
    database: Database,
) -> None:
    folders: dict[str, Path] = {}
    for branch in BRANCHES:
        folders[branch.name] = branch.folder
        assert await migrate(database, folders) == sorted(read_revisions([branch.folder]))
    assert len((await pending(database, folders)).current) == len(BRANCHES)
