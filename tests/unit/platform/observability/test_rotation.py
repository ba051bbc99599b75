from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from runstead.platform.observability.rotation import RotatingFile


def test_nothing_is_opened_before_the_first_line(tmp_path: Path) -> None:
    RotatingFile(tmp_path / "deep" / "log", bytes_max=100, files_max=2).close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.req("LOG-002")
def test_files_rotate_by_size_and_the_oldest_goes(tmp_path: Path) -> None:
    file = RotatingFile(tmp_path / "log", bytes_max=20, files_max=3)
    for number in range(10):
        file.write(f"line {number:04}")
    file.close()
    assert {path.name for path in tmp_path.iterdir()} == {"log", "log.1", "log.2"}
    assert [(tmp_path / name).read_text().split() for name in ("log.2", "log.1", "log")] == [
        ["line", "0004", "line", "0005"],
        ["line", "0006", "line", "0007"],
        ["line", "0008", "line", "0009"],
    ]


def test_no_file_grows_past_the_limit(tmp_path: Path) -> None:
    file = RotatingFile(tmp_path / "log", bytes_max=1000, files_max=5)
    for number in range(500):
        file.write("x" * (number % 90))
    file.close()
    assert all(path.stat().st_size <= 1000 for path in tmp_path.iterdir())
    assert len(list(tmp_path.iterdir())) == 5


def test_a_line_longer_than_a_file_is_kept_whole(tmp_path: Path) -> None:
    file = RotatingFile(tmp_path / "log", bytes_max=10, files_max=2)
    file.write("x" * 50)
    file.write("y")
    file.close()
    assert (tmp_path / "log.1").read_text() == "x" * 50 + "\n"


def test_a_restart_goes_on_where_the_file_ended(tmp_path: Path) -> None:
    for _ in range(2):
        file = RotatingFile(tmp_path / "log", bytes_max=100, files_max=2)
        file.write("line")
        file.close()
    assert (tmp_path / "log").read_text() == "line\nline\n"


def test_one_file_is_emptied(tmp_path: Path) -> None:
    file = RotatingFile(tmp_path / "log", bytes_max=10, files_max=1)
    for _ in range(5):
        file.write("12345678")
    file.close()
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_older_files_are_packed(tmp_path: Path) -> None:
    file = RotatingFile(tmp_path / "log", bytes_max=10, files_max=3, compress=True)
    for number in range(4):
        file.write(f"line {number}")
    file.close()
    assert {path.name for path in tmp_path.iterdir()} == {"log", "log.1.gz", "log.2.gz"}
    assert gzip.decompress((tmp_path / "log.1.gz").read_bytes()) == b"line 2\n"


def test_the_log_is_not_for_everyone(tmp_path: Path) -> None:
    file = RotatingFile(tmp_path / "log", bytes_max=100, files_max=2)
    file.write("line")
    file.close()
    assert (tmp_path / "log").stat().st_mode & 0o007 == 0
