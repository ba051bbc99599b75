"""A command line of its own, run in an empty folder with an empty environment."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.unit.platform.config.samples import SECTIONS

from runstead.platform.cli import CommandLine, Composition, build_cli
from runstead.platform.storage.sql import MIGRATIONS


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed with --json: nothing else may be on stdout."""
        return json.loads(self.out)


class Shell:
    """Runs commands in a folder."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys

    def run(self, *argv: str, commands: Mapping[str, str] | None = None) -> Ended:
        """Run one command of a command line that has the sample sections."""
        composition = Composition(sections=SECTIONS, migration_folders={"platform": MIGRATIONS})
        line: CommandLine = build_cli(commands or {}, provide=lambda: composition)
        self._capsys.readouterr()
        code = line.run(argv)
        captured = self._capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    def write(self, name: str, text: str) -> Path:
        """Write a file into the folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    for name in list(os.environ):
        if name.startswith(("RUNSTEAD_", "STRICTURE_")) or name == "MASTER_PASSWORD":
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(tmp_path)
    return Shell(tmp_path, capsys)
