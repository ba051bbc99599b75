"""A package whose names are imported when they are asked for."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.architecture.sources import module_of, python_files


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    folder = tmp_path / "lazy_sample"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "from runstead.kernel.lazy import lazily\n"
        "__getattr__ = lazily(__name__, {'home': ['here', 'missing'], 'broken': ['never']})\n"
    )
    (folder / "home.py").write_text("here = object()\n")
    (folder / "broken.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield folder.name
    for name in [one for one in sys.modules if one.partition(".")[0] == folder.name]:
        del sys.modules[name]


def test_a_name_is_imported_when_it_is_asked_for_and_stays_the_same(package: str) -> None:
    sample = importlib.import_module(package)
    assert f"{package}.home" not in sys.modules
    first = sample.here
    assert f"{package}.home" in sys.modules
    assert sample.here is first
    assert vars(sample)["here"] is first, "it is looked up once"


def test_what_is_not_shown_is_not_there(package: str) -> None:
    sample = importlib.import_module(package)
    with pytest.raises(AttributeError, match="'lazy_sample' has no attribute 'other'"):
        assert sample.other
    with pytest.raises(AttributeError, match="missing"):
        assert sample.missing


def test_an_error_while_importing_is_told_as_it_is(package: str) -> None:
    sample = importlib.import_module(package)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            assert sample.never


@pytest.mark.parametrize(
    "path",
    [path for path in python_files("src") if path.name == "__init__.py" and "lazily(" in path.read_text()],
    ids=module_of,
)
def test_no_name_is_that_of_a_module_which_would_take_its_place(path: Path) -> None:
    package = importlib.import_module(module_of(path))
    names = set(package.__all__)
    modules = {
        one.stem for one in path.parent.iterdir() if one.suffix == ".py" or (one / "__init__.py").exists()
    }
    assert names & modules == set()
    assert [name for name in names if not hasattr(package, name)] == []
