"""The doctor finds what is degraded, says how to mend it, and changes nothing."""

import os
import resource
import shutil
import socket
import sqlite3
import time
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.platform.cli.conftest import Shell

from runstead.platform.cli import checks
from runstead.platform.cli.checks import Health
from runstead.platform.config import Settings, load
from runstead.platform.execution import process
from runstead.platform.execution.process import GroupStatus, SandboxStatus
from runstead.platform.storage.sql import MIGRATIONS

Usage = namedtuple("Usage", "total used free")
FOLDERS = {"platform": MIGRATIONS}


def settings(folder: Path, **env: str) -> Settings:
    return load({}, env=env, cwd=folder)


@pytest.fixture
def free_port(monkeypatch: pytest.MonkeyPatch) -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    monkeypatch.setenv("RUNSTEAD_PORT", str(port))
    return port


@pytest.fixture
def silent_server() -> Iterator[int]:
    """Takes connections and hangs up."""
    import threading

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def hang_up() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_sound_machine_is_told_so_and_left_as_it_is(
    shell: Shell, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "sandbox_status", lambda: SandboxStatus(True, "sealed"))
    monkeypatch.setattr(process, "group_status", lambda: GroupStatus(True, "control groups"))
    monkeypatch.setattr(resource, "getrlimit", lambda _: (20_000, 20_000))
    ended = shell.run("doctor", "--json")
    assert ended.code == 0
    assert ended.json["ok"] is True
    assert ended.json["health"] == "ok"
    assert [one["check"] for one in ended.json["checks"]] == [
        "configuration",
        "python",
        "sandbox",
        "limits",
        "disk",
        "writing",
        "database",
        "open files",
        "server",
        "clock",
        "secrets",
    ]
    assert list(shell.folder.iterdir()) == []


def test_people_see_the_mending_below_what_is_degraded(
    shell: Shell, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        process, "sandbox_status", lambda: SandboxStatus(False, "no bwrap", "apt-get install bubblewrap")
    )
    monkeypatch.setattr(process, "group_status", lambda: GroupStatus(False, "read-only", "Delegate=yes"))
    ended = shell.run("doctor")
    assert ended.code == 0
    assert "degraded  sandbox        not available: no bwrap\n" in ended.out
    assert "mend: apt-get install bubblewrap\n" in ended.out
    assert "degraded  limits         of single processes only" in ended.out
    assert ended.out.endswith("in all: degraded\n")


def test_a_broken_configuration_is_critical_and_the_rest_is_still_looked_at(
    shell: Shell, free_port: int
) -> None:
    shell.write("runstead.toml", "[records]\nunknown = 1\n")
    ended = shell.run("doctor", "--json")
    assert ended.code == 1
    assert ended.json["checks"][0]["health"] == "critical"
    assert len(ended.json["checks"]) == 11
    shell.write("runstead.toml", "[server]\nport = -1\n")
    ended = shell.run("doctor")
    assert ended.code == 0 or "port" in ended.out


def test_a_check_that_breaks_is_a_finding_and_not_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError("no")

    monkeypatch.setattr(checks, "check_disk", fail)
    found = {one.check: one for one in checks.run_checks(settings(tmp_path, RUNSTEAD_PORT="0"), FOLDERS)}
    assert found["disk"].health is Health.CRITICAL
    assert found["disk"].message == "the check itself failed: ZeroDivisionError: no"
    assert "secrets" in found


@pytest.mark.parametrize(
    ("mode", "available", "health"),
    [
        ("auto", True, Health.OK),
        ("auto", False, Health.DEGRADED),
        ("required", False, Health.CRITICAL),
        ("off", True, Health.DEGRADED),
    ],
)
def test_a_missing_sandbox_is_as_bad_as_the_configuration_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, available: bool, health: Health
) -> None:
    monkeypatch.setattr(process, "sandbox_status", lambda: SandboxStatus(available, "why", "mend"))
    found = checks.check_sandbox(settings(tmp_path, RUNSTEAD_EXECUTION_SANDBOX=mode))
    assert found.health is health
    assert bool(found.mend) is (health is not Health.OK)


@pytest.mark.parametrize(
    ("free_mib", "health"), [(50, Health.CRITICAL), (500, Health.DEGRADED), (5000, Health.OK)]
)
def test_room_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_mib: int, health: Health
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**10, 0, free_mib * 1024 * 1024))
    found = checks.check_disk(tmp_path / "not/yet/there")
    assert found.health is health
    assert found.message.startswith(f"{free_mib} MiB of ")
    assert str(tmp_path) in found.message


def test_writing_is_tried_where_the_data_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert checks.check_writing(tmp_path / "data").message.endswith("will be made at the first start")
    assert "fsync took" in checks.check_writing(tmp_path).message
    assert list(tmp_path.iterdir()) == []
    file = tmp_path / "file"
    file.write_text("x", encoding="utf-8")
    assert checks.check_writing(file).health is Health.CRITICAL
    monkeypatch.setattr(os, "access", lambda *_: False)
    found = checks.check_writing(tmp_path / "data")
    assert found.health is Health.CRITICAL
    assert "RUNSTEAD_DATA_DIR" in found.mend


def test_the_database_is_absent_behind_or_no_database(tmp_path: Path) -> None:
    here = settings(tmp_path)
    assert checks.check_database(here, FOLDERS).message.endswith("will be made at the first start")
    (tmp_path / "data").mkdir()
    path = tmp_path / "data/runstead.db"
    sqlite3.connect(path).close()
    behind = checks.check_database(here, FOLDERS)
    assert behind.health is Health.DEGRADED
    assert "runstead db upgrade" in behind.mend
    for leftover in (tmp_path / "data").iterdir():
        leftover.unlink()
    path.write_bytes(b"not a database" * 500)
    assert checks.check_database(here, FOLDERS).health is Health.CRITICAL


def test_a_database_that_is_up_to_date_is_well(shell: Shell) -> None:
    shell.run("db", "upgrade")
    assert checks.check_database(settings(shell.folder), FOLDERS).message.endswith("is up to date")


def test_a_postgresql_server_that_does_not_answer_is_critical(tmp_path: Path, silent_server: int) -> None:
    url = f"postgresql://runstead@127.0.0.1:{silent_server}/runstead"
    found = checks.check_database(settings(tmp_path, RUNSTEAD_DATABASE_URL=url), FOLDERS)
    assert found.health is Health.CRITICAL


@pytest.mark.parametrize(
    ("limits", "health"),
    [
        ((1024, 1_048_576), Health.DEGRADED),
        ((20_000, 20_000), Health.OK),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), Health.OK),
    ],
)
def test_the_limit_of_open_files(
    monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], health: Health
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    found = checks.check_open_files()
    assert found.health is health
    assert ("ulimit -n 20000" in found.mend) is (health is Health.DEGRADED)


def test_the_port_is_free_or_taken_by_something_else(
    tmp_path: Path, free_port: int, silent_server: int
) -> None:
    assert checks.check_server(settings(tmp_path, RUNSTEAD_PORT=str(free_port))).message.endswith("is free")
    assert checks.check_server(settings(tmp_path, RUNSTEAD_PORT="0")).health is Health.OK
    taken = checks.check_server(settings(tmp_path, RUNSTEAD_PORT=str(silent_server)))
    assert taken.health is Health.CRITICAL
    assert "something else" in taken.message


def test_an_address_that_this_machine_does_not_have_is_critical(tmp_path: Path, free_port: int) -> None:
    # TEST-NET-1 (RFC 5737) belongs to nobody.
    env = {"RUNSTEAD_HOST": "192.0.2.1", "RUNSTEAD_PORT": str(free_port), "MASTER_PASSWORD": "x" * 12}
    found = checks.check_server(settings(tmp_path, **env))
    assert found.health is Health.CRITICAL
    assert "cannot be listened on" in found.message


def test_a_clock_that_is_plainly_wrong_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert checks.check_clock(tmp_path).health is Health.OK
    file = tmp_path / "file"
    file.write_text("x", encoding="utf-8")
    os.utime(file, (time.time() + 3600,) * 2)
    assert checks.check_clock(tmp_path).health is Health.DEGRADED
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert checks.check_clock(tmp_path).message == "it says 1970-01-01"


def test_files_with_secrets_that_others_may_read_are_told(tmp_path: Path) -> None:
    here = settings(tmp_path)
    file = tmp_path / ".env"
    file.write_text("MASTER_PASSWORD=x\n", encoding="utf-8")
    file.chmod(0o600)
    assert checks.check_secret_files(here).health is Health.OK
    file.chmod(0o640)
    found = checks.check_secret_files(here)
    assert found.health is Health.DEGRADED
    assert found.mend == f"chmod 600 {file}"
