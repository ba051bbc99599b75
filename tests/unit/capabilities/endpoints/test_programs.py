from __future__ import annotations

import os
import sys
import venv as venv_module
from pathlib import Path

import pytest

from runstead.capabilities.endpoints.programs import (
    ProgramError,
    argv_of,
    environment_of,
    python_of,
    readable_roots,
)


def file(path: Path, content: str = "", mode: int = 0o644) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    path.chmod(mode)
    return path


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An otherwise empty PATH."""
    folder = tmp_path / "path"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def test_an_executable_starts_itself(tmp_path: Path, on_path: Path) -> None:
    script = file(tmp_path / "tool", "binary", 0o755)
    assert argv_of(script) == (str(script),)


def test_an_executable_of_a_known_type_starts_itself_when_it_says_how(tmp_path: Path, on_path: Path) -> None:
    script = file(tmp_path / "a.py", "#!/usr/bin/python3\n", 0o755)
    assert argv_of(script) == (str(script),)


@pytest.mark.parametrize(
    ("suffix", "interpreter"),
    [
        (".py", "python3"),
        (".py", "python"),
        (".sh", "bash"),
        (".sh", "sh"),
        (".js", "node"),
        (".js", "nodejs"),
    ],
)
@pytest.mark.parametrize("mode", [0o644, 0o755])
def test_a_known_type_is_handed_to_its_interpreter(
    tmp_path: Path, on_path: Path, suffix: str, interpreter: str, mode: int
) -> None:
    script = file(tmp_path / f"a{suffix}", "text", mode)
    found = file(on_path / interpreter, "#!/bin/sh\n", 0o755)
    assert argv_of(script) == (str(found), str(script))


def test_a_known_type_without_its_interpreter_is_refused(tmp_path: Path, on_path: Path) -> None:
    with pytest.raises(ProgramError, match="node or nodejs is on PATH"):
        argv_of(file(tmp_path / "a.js"))


@pytest.mark.parametrize("name", ["a", "a.rb"])
def test_what_nothing_can_start_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ProgramError, match=r"executable file, or one that ends in \.py \.sh \.js"):
        argv_of(file(tmp_path / name))


@pytest.mark.parametrize("name", ["missing.py", "."])
def test_what_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ProgramError, match="existing file"):
        argv_of(tmp_path / name)


@pytest.mark.req("EP-008")
def test_the_python_of_a_virtual_environment_goes_first(tmp_path: Path) -> None:
    venv_module.create(tmp_path / "venv", symlinks=True)
    script = file(tmp_path / "a.py", "#!/usr/bin/python3\n", 0o755)
    assert argv_of(script, tmp_path / "venv") == (str(tmp_path / "venv/bin/python"), str(script))
    with pytest.raises(ProgramError, match="bin/python"):
        python_of(tmp_path)


def test_only_the_allowed_variables_pass() -> None:
    server = {"TOKEN": "t", "MASTER_PASSWORD": "secret", "HOME": "/root"}
    environment = environment_of(("TOKEN", "ABSENT"), server, home=Path("/srv"), venv=None)
    assert environment["TOKEN"] == "t"
    assert environment["HOME"] == "/srv"
    assert "MASTER_PASSWORD" not in environment
    assert "ABSENT" not in environment
    assert environment_of(("HOME",), server, home=Path("/srv"), venv=None)["HOME"] == "/root"


def test_a_virtual_environment_comes_first_on_the_path(tmp_path: Path) -> None:
    environment = environment_of((), {}, home=tmp_path, venv=tmp_path / "venv")
    assert environment["PATH"].startswith(f"{tmp_path}/venv/bin:")
    assert environment["VIRTUAL_ENV"] == f"{tmp_path}/venv"


def test_an_interpreter_outside_of_the_system_can_be_read_with_all_that_its_links_lead_to(
    tmp_path: Path,
) -> None:
    real = file(tmp_path / "installed/bin/python3.11", "", 0o755)
    (tmp_path / "env/bin").mkdir(parents=True)
    (tmp_path / "env/bin/python3").symlink_to(real)
    script = file(tmp_path / "scripts/a.py")
    roots = readable_roots((str(tmp_path / "env/bin/python3"), str(script)), script, tmp_path / "work", None)
    assert roots == tuple(tmp_path / name for name in ("scripts", "work", "env", "installed"))


@pytest.mark.parametrize("interpreter", ["/bin/sh", "/usr/bin/python3"])
def test_an_interpreter_of_the_system_opens_nothing(tmp_path: Path, interpreter: str) -> None:
    script = file(tmp_path / "a.sh", f"#!{interpreter}\n", 0o755)
    assert readable_roots((interpreter, str(script)), script, tmp_path, None) == (tmp_path,)
    assert readable_roots((str(script),), script, tmp_path, None) == (tmp_path,)


def test_the_interpreter_of_this_test_can_be_read() -> None:
    script = Path(__file__)
    roots = readable_roots((sys.executable, str(script)), script, script.parent, None)
    real = Path(os.path.realpath(sys.executable))
    assert real.is_relative_to("/usr") or any(real.is_relative_to(root) for root in roots)
