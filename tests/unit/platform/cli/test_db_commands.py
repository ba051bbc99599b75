"""``runstead db``."""

import contextlib
import sqlite3
import stat
from pathlib import Path

import pytest
from tests.unit.platform.cli.conftest import Shell

from runstead.platform.cli import CliError
from runstead.platform.cli.sqlite_backup import back_up


def test_status_tells_absent_then_up_to_date_and_makes_nothing(shell: Shell) -> None:
    assert shell.run("db", "status", "--json").json["state"] == "absent"
    assert list(shell.folder.iterdir()) == []
    ended = shell.run("db", "upgrade")
    assert (ended.code, ended.out.startswith("applied: ")) == (0, True)
    assert shell.run("db", "upgrade").out == "up to date\n"
    assert shell.run("db", "upgrade", "--json").json == {"applied": []}
    status = shell.run("db", "status", "--json").json
    assert (status["state"], status["missing"]) == ("up to date", [])
    assert status["current"]


def test_status_tells_what_is_missing(shell: Shell) -> None:
    (shell.folder / "data").mkdir()
    sqlite3.connect(shell.folder / "data/runstead.db").close()
    status = shell.run("db", "status", "--json").json
    assert status["state"] == "behind"
    assert status["missing"]


def test_a_database_that_is_none_is_an_error_and_no_traceback(shell: Shell) -> None:
    shell.write("data/runstead.db", "this is not a database, but it is long enough to be looked at" * 20)
    ended = shell.run("db", "status")
    assert ended.code == 1
    assert "runstead: cannot open the database" in ended.err


def test_a_url_of_another_kind_is_an_error_of_usage(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNSTEAD_DATABASE_URL", "mysql://db/x")
    ended = shell.run("db", "status")
    assert ended.code == 2
    assert "database_url" in ended.err


def test_a_backup_is_whole_while_others_write_and_only_its_owner_may_read_it(shell: Shell) -> None:
    shell.run("db", "upgrade")
    source = shell.folder / "data/runstead.db"
    with contextlib.closing(sqlite3.connect(source, isolation_level=None)) as writer:
        writer.execute("CREATE TABLE notes (text)")
        writer.execute("INSERT INTO notes VALUES ('committed')")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO notes VALUES ('not yet')")
        ended = shell.run("db", "backup", "copies/one.db", "--json")
        writer.execute("COMMIT")
    copy = shell.folder / "copies/one.db"
    assert ended.json == {"file": str(copy), "bytes": copy.stat().st_size}
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with contextlib.closing(sqlite3.connect(copy)) as reader:
        assert reader.execute("SELECT text FROM notes").fetchall() == [("committed",)]
    assert [path.name for path in copy.parent.iterdir()] == ["one.db"]


def test_a_backup_lands_in_the_data_folder_by_default_and_never_replaces_a_file(shell: Shell) -> None:
    shell.run("db", "upgrade")
    assert shell.run("db", "backup").code == 0
    (made,) = (shell.folder / "data/backups").iterdir()
    before = made.read_bytes()
    ended = shell.run("db", "backup", str(made))
    assert (ended.code, ended.err) == (1, f"runstead: {made} exists; a backup never replaces a file\n")
    assert made.read_bytes() == before


def test_there_is_nothing_to_back_up_before_the_first_start(shell: Shell) -> None:
    ended = shell.run("db", "backup")
    assert ended.code == 5
    assert "there is no database" in ended.err


def test_postgresql_is_backed_up_by_its_own_tool(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNSTEAD_DATABASE_URL", "postgresql://db/x")
    ended = shell.run("db", "backup")
    assert ended.code == 1
    assert "pg_dump" in ended.err


def test_a_damaged_source_leaves_no_copy_behind(tmp_path: Path) -> None:
    source = tmp_path / "runstead.db"
    source.write_bytes(b"not a database" * 500)
    with pytest.raises(CliError, match="the backup failed"):
        back_up(source, tmp_path / "copy.db")
    assert [path.name for path in tmp_path.iterdir()] == ["runstead.db"]
