from __future__ import annotations

import os
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from runstead.capabilities.endpoints.folders import RunFolders, date_of
from runstead.capabilities.endpoints.ports import NoSecrets
from runstead.capabilities.endpoints.retention import sweep
from runstead.kernel.ids import IdSource, is_uuid


def id_at(day: str, serial: int = 0) -> str:
    moment = datetime.fromisoformat(f"{day}T12:00:00+00:00")
    return IdSource(lambda: int(moment.timestamp() * 1000) + serial).uuid7()


@pytest.fixture
def folders(tmp_path: Path) -> RunFolders:
    return RunFolders(tmp_path / "runs", NoSecrets())


def finished(folders: RunFolders, endpoint: str, run_id: str, *, artifact: bytes = b"") -> Path:
    folder = folders.create(endpoint, run_id, {"params": {}})
    if artifact:
        (folder / "artifacts/a.bin").write_bytes(artifact)
    folders.finish(folder, stdout=b"out", stderr=b"err", report={"run_id": run_id, "status": "succeeded"})
    return folder


def test_the_date_of_a_run_is_that_of_its_id() -> None:
    assert date_of(id_at("2026-01-31")) == "2026-01-31"
    assert date_of("ffffffff-ffff-7fff-bfff-ffffffffffff") == "9999-12-31"


def test_a_run_lies_below_its_day_and_its_endpoint_and_is_closed_to_others(folders: RunFolders) -> None:
    run_id = id_at("2026-01-31")
    folder = finished(folders, "a", run_id)
    assert folder == folders.root / "2026-01-31" / "a" / run_id
    assert sorted(each.name for each in folder.iterdir()) == [
        "artifacts",
        "request.json",
        "result.json",
        "stderr",
        "stdout",
    ]
    assert folders.root.stat().st_mode & 0o077 == 0
    assert folders.result("a", run_id) == {"run_id": run_id, "status": "succeeded"}


def test_runs_are_listed_newest_first_and_from_a_cursor_on(folders: RunFolders) -> None:
    ids = [id_at(day, serial) for day in ("2026-01-01", "2026-01-02") for serial in (0, 1, 2)]
    for run_id in ids:
        finished(folders, "a", run_id)
    finished(folders, "b", id_at("2026-01-03"))
    (folders.root / "2026-01-02/a/not-a-run").mkdir()
    (folders.root / "readme").write_text("not a day")
    assert list(folders.run_ids("a")) == ids[::-1]
    assert list(folders.run_ids("a", before=ids[4])) == ids[3::-1]
    assert list(folders.run_ids("nobody")) == []


def test_only_regular_files_are_artifacts_and_links_lead_nowhere(folders: RunFolders, tmp_path: Path) -> None:
    run_id = id_at("2026-01-31")
    folder = finished(folders, "a", run_id)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    artifacts = folder / "artifacts"
    (artifacts / "sub").mkdir()
    (artifacts / "sub/b.txt").write_text("b")
    (artifacts / "a.txt").write_text("aa")
    (artifacts / "link").symlink_to(outside / "secret")
    (artifacts / "folder").symlink_to(outside)
    os.mkfifo(artifacts / "pipe")

    assert [(each.path, each.size) for each in folders.artifacts("a", run_id)] == [
        ("a.txt", 2),
        ("sub/b.txt", 1),
    ]
    assert folders.artifacts("a", run_id)[0].modified.tzinfo is UTC
    opened = folders.open_file("a", run_id, "artifacts", "sub", "b.txt")
    assert opened is not None
    with opened[0] as file:
        assert (file.read(), opened[1]) == (b"b", 1)
    for parts in (
        ("link",),
        ("folder", "secret"),
        ("pipe",),
        ("sub",),
        ("..", "request.json"),
        ("sub", "..", "a.txt"),
        ("sub/b.txt",),
        ("",),
        ("a.txt\0",),
        (".",),
    ):
        assert folders.open_file("a", run_id, "artifacts", *parts) is None, parts
    assert folders.open_file("a", run_id) is None


def runs_left(folders: RunFolders) -> list[str]:
    return sorted(path.name for path in folders.root.rglob("*") if is_uuid(path.name))


def test_runs_beyond_their_age_are_removed_with_their_empty_days(folders: RunFolders) -> None:
    old, edge, new = id_at("2026-01-01"), id_at("2026-01-02"), id_at("2026-01-31")
    for run_id in (old, edge, new):
        finished(folders, "a", run_id)
    swept = sweep(
        folders.root,
        today=date(2026, 2, 1),
        max_age_days=30,
        max_total_bytes=10**9,
        is_active=lambda _: False,
    )
    assert swept.removed == 1
    assert runs_left(folders) == [edge, new]
    assert not (folders.root / "2026-01-01").exists()


def test_beyond_the_total_the_oldest_go_whatever_their_endpoint(folders: RunFolders) -> None:
    ids = [id_at("2026-01-31", serial) for serial in range(4)]
    for run_id, endpoint in zip(ids, "baba", strict=True):
        finished(folders, endpoint, run_id, artifact=b"x" * 10_000)
    swept = sweep(
        folders.root,
        today=date(2026, 1, 31),
        max_age_days=30,
        max_total_bytes=25_000,
        is_active=lambda _: False,
    )
    assert runs_left(folders) == ids[2:]
    assert swept.removed == 2
    assert 20_000 < swept.kept_bytes <= 25_000
    assert swept.removed_bytes > 20_000


def test_a_run_that_is_going_on_is_never_removed(folders: RunFolders) -> None:
    active, done = id_at("2020-01-01"), id_at("2020-01-01", 1)
    for run_id in (active, done):
        finished(folders, "a", run_id)
    sweep(
        folders.root,
        today=date(2026, 1, 31),
        max_age_days=1,
        max_total_bytes=1,
        is_active=lambda run_id: run_id == active,
    )
    assert runs_left(folders) == [active]


def test_sweeping_where_nothing_ever_ran_is_fine(tmp_path: Path) -> None:
    swept = sweep(
        tmp_path / "none",
        today=date(2026, 1, 1),
        max_age_days=1,
        max_total_bytes=1,
        is_active=lambda _: False,
    )
    assert (swept.removed, swept.kept_bytes) == (0, 0)
