"""How revisions are found, run and refused."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from runstead.platform.storage.sql import (
    Database,
    DatabaseBusyError,
    DatabaseError,
    DatabaseNewerError,
    migrate,
    pending,
    sqlite,
)
from runstead.platform.storage.sql.migration import heads, read_revisions

FIRST = """
import sqlalchemy as sa
from alembic import op

revision = "shop_0001"
down_revision = None
branch_labels = ("shop",)

def upgrade() -> None:
    op.create_table(
        "shop_goods", sa.Column("id", sa.Integer, primary_key=True), sa.Column("label", sa.Text, nullable=True)
    )
    op.create_table(
        "shop_prices",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("good", sa.Integer, sa.ForeignKey("shop_goods.id", ondelete="CASCADE"), nullable=False),
    )
    op.execute("INSERT INTO shop_goods VALUES (1, 'x')")
    op.execute("INSERT INTO shop_prices VALUES (1, 1)")
"""
SECOND = """
import sqlalchemy as sa
from alembic import op

revision: str = "shop_0002"
down_revision: str = "shop_0001"

def upgrade() -> None:
    with op.batch_alter_table("shop_goods") as table:
        table.alter_column("label", existing_type=sa.Text, nullable=False)
"""
BROKEN = """
from alembic import op

revision = "shop_0003"
down_revision = "shop_0002"

def upgrade() -> None:
    op.execute("INSERT INTO shop_goods VALUES (99, 'x')")
    op.execute("INSERT INTO nowhere VALUES (1)")
"""
DANGLING = """
from alembic import op

revision = "shop_0003"
down_revision = "shop_0002"

def upgrade() -> None:
    op.execute("DELETE FROM shop_goods")
"""
OTHER = """
from alembic import op
import sqlalchemy as sa

revision = "crm_0001"
down_revision = None
branch_labels = ("crm",)

def upgrade() -> None:
    op.create_table("crm_people", sa.Column("id", sa.Integer, primary_key=True))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    # A percent sign starts an interpolation in Alembic's configuration, a space once parted two folders.
    made = tmp_path / "100% of my revisions"
    made.mkdir()
    (made / "0001.py").write_text(FIRST)
    (made / "0002.py").write_text(SECOND)
    (made / "__init__.py").touch()
    return made


def tables(connection: sa.Connection) -> set[str]:
    return set(sa.inspect(connection).get_table_names())


def count(table: str) -> sa.TextClause:
    return sa.text(f"SELECT count(*) FROM {table}")


async def test_pending_tells_what_is_missing_and_migrate_runs_it(database: Database, folder: Path) -> None:
    before = await pending(database, {"shop": folder})
    assert (before.current, before.wanted, before.up_to_date) == ((), ("shop_0002",), False)
    assert await migrate(database, {"shop": folder}) == ["shop_0001", "shop_0002"]
    after = await pending(database, {"shop": folder})
    assert (after.current, after.missing, after.up_to_date) == (("shop_0002",), (), True)


async def test_rebuilding_a_table_keeps_what_refers_to_it(database: Database, folder: Path) -> None:
    """With foreign keys on, SQLite would delete the prices together with the table that is replaced."""
    await migrate(database, {"shop": folder})
    assert await database.read(lambda c: c.execute(count("shop_prices")).scalar()) == 1


async def test_a_revision_that_fails_leaves_the_database_as_it_was(database: Database, folder: Path) -> None:
    await migrate(database, {"shop": folder})
    (folder / "0003.py").write_text(BROKEN)
    with pytest.raises(DatabaseError, match=r"could not be brought to shop_0003: .*nowhere"):
        await migrate(database, {"shop": folder})
    assert (await pending(database, {"shop": folder})).current == ("shop_0002",)
    assert await database.read(lambda c: c.execute(count("shop_goods")).scalar()) == 1


async def test_a_revision_that_leaves_references_to_nothing_is_undone(sqlite_url: str, folder: Path) -> None:
    (folder / "0003.py").write_text(DANGLING)
    async with Database(sqlite_url) as db:
        with pytest.raises(DatabaseError, match="reference to nothing in shop_prices"):
            await migrate(db, {"shop": folder})
        assert await db.read(tables) == set()


async def test_a_database_of_newer_code_is_refused_and_left_alone(database: Database, folder: Path) -> None:
    await migrate(database, {"shop": folder})
    (folder / "0002.py").unlink()
    with pytest.raises(DatabaseNewerError, match="shop_0002"):
        await migrate(database, {"shop": folder})
    with pytest.raises(DatabaseNewerError, match="newer version of Runstead"):
        await pending(database, {"shop": folder})


async def test_a_new_branch_joins_the_others(database: Database, folder: Path, tmp_path: Path) -> None:
    await migrate(database, {"shop": folder})
    other = tmp_path / "crm"
    other.mkdir()
    (other / "0001.py").write_text(OTHER)
    assert await migrate(database, {"shop": folder, "crm": other}) == ["crm_0001"]
    assert await database.read(tables) == {"alembic_version", "shop_goods", "shop_prices", "crm_people"}


async def test_alembic_is_not_imported_when_there_is_nothing_to_do(sqlite_url: str, folder: Path) -> None:
    async with Database(sqlite_url) as db:
        await migrate(db, {"shop": folder})
    script = f"""
import asyncio, sys
from pathlib import Path
from runstead.platform.storage.sql import Database, migrate
async def main():
    async with Database({sqlite_url!r}) as db:
        assert await migrate(db, {{"shop": Path({str(folder)!r})}}) == []
asyncio.run(main())
sys.exit("alembic" in sys.modules)
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script)
    assert await process.wait() == 0


async def test_of_two_processes_that_start_at_once_one_migrates_and_both_go_on(
    database_url: str, folder: Path
) -> None:
    script = f"""
import asyncio
from pathlib import Path
from runstead.platform.storage.sql import Database, migrate
async def main():
    async with Database({database_url!r}) as db:
        print(len(await migrate(db, {{"shop": Path({str(folder)!r})}})))
asyncio.run(main())
"""
    processes = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE)
        for _ in range(3)
    ]
    outputs = [(await process.communicate())[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert sorted(int(output) for output in outputs) == [0, 0, 2]


async def test_a_schema_lock_that_is_held_too_long_is_reported_as_busy(
    sqlite_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "SCHEMA_LOCK_SECONDS_MAX", 0.05)
    async with Database(sqlite_url) as db:
        assert db.path is not None
        lock = db.path.with_name(f"{db.path.name}.lock")
        with sqlite.locked(lock), pytest.raises(DatabaseBusyError, match="another process"):
            await migrate(db, {"shop": folder})
        await migrate(db, {"shop": folder})


def test_headers_are_read_without_running_the_files(folder: Path) -> None:
    (folder / "0003.py").write_text(
        'raise SystemExit\nrevision = "shop_0003"\ndown_revision = ("shop_0002",)\n'
    )
    revisions = read_revisions([folder])
    assert {name: one.down for name, one in revisions.items()} == {
        "shop_0001": (),
        "shop_0002": ("shop_0001",),
        "shop_0003": ("shop_0002",),
    }
    assert heads(revisions) == ("shop_0003",)


def test_a_file_without_a_revision_is_refused(folder: Path) -> None:
    (folder / "0003.py").write_text("x = 1\n")
    with pytest.raises(ValueError, match=r"0003\.py names no revision"):
        read_revisions([folder])


def test_two_files_of_one_revision_are_refused(folder: Path) -> None:
    (folder / "0003.py").write_text(FIRST)
    with pytest.raises(ValueError, match="both revision shop_0001"):
        read_revisions([folder])
