"""The numbered requirements and the markers that name them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.architecture.sources import ROOT

DOCUMENT = "| id | requirement |\n|---|---|\n| HTTP-001 | One. |\n| EP-002 | Two. |\n"


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "requirements.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)


def test_every_marker_names_a_requirement_of_the_document() -> None:
    outcome = run("--json")
    assert outcome.returncode == 0, outcome.stderr
    assert json.loads(outcome.stdout)["total"] > 150


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "requirements.md").write_text(DOCUMENT)
    (tmp_path / "tests").mkdir()
    return tmp_path


def table(folder: Path, tests: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "tests" / "test_it.py").write_text(tests)
    return run("--document", folder / "requirements.md", "--tests", folder / "tests", *arguments)


def test_a_requirement_is_shown_by_the_tests_classes_and_modules_that_carry_it(folder: Path) -> None:
    tests = (
        "import pytest\n"
        "pytestmark = [pytest.mark.req('EP-002')]\n"
        "@pytest.mark.req('HTTP-001', 'EP-002')\n"
        "async def test_one(): ...\n"
        "class TestAll:\n"
        "    @pytest.mark.req('HTTP-001')\n"
        "    @pytest.mark.parametrize('x', [1])\n"
        "    def test_two(self, x): ...\n"
    )
    found = json.loads(table(folder, tests, "--json").stdout)["requirements"]
    assert [row["tests"] for row in found] == [
        ["tests/test_it.py::test_one", "tests/test_it.py::TestAll::test_two"],
        ["tests/test_it.py", "tests/test_it.py::test_one"],
    ]


def test_what_no_test_shows_is_not_done(folder: Path) -> None:
    outcome = table(folder, "import pytest\n@pytest.mark.req('EP-002')\ndef test_it(): ...\n")
    assert outcome.returncode == 0
    assert "HTTP-001     not yet  One." in outcome.stdout
    assert "EP-002       shown    Two." in outcome.stdout
    assert outcome.stdout.splitlines()[-1].split() == ["all", "1", "of", "2", "shown"]


def test_a_marker_with_an_unknown_id_is_named_with_its_place(folder: Path) -> None:
    outcome = table(folder, "import pytest\n@pytest.mark.req('HTTP-01')\ndef test_it(): ...\n")
    assert outcome.returncode == 1
    assert "tests/test_it.py:2: HTTP-01 is not in requirements.md" in outcome.stderr


def test_an_id_that_stands_twice_is_named(folder: Path) -> None:
    (folder / "requirements.md").write_text(DOCUMENT + "| EP-002 | Again. |\n")
    outcome = table(folder, "")
    assert outcome.returncode == 1
    assert "EP-002 stands there more than once" in outcome.stderr
