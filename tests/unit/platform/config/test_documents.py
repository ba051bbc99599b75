"""Whatever stands in a file, reading it ends in a document or in problems with a place that is in the text."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstead.platform.config import ConfigError
from runstead.platform.config.documents import read_document
from runstead.platform.config.keypath import KeyPath

TOML_AND_JSON = "a b = . , [ ] [[ ]] { } 1 true # \\ \" '"
YAML = ": & * << | > ? % @ ! ~ null &x *x ---"
SPACES = ("- ", " ", "  ", "\n", "\r\n", "\t", "ä", "\x00", "\x85", '"""', "'''")
pieces = st.sampled_from((*(TOML_AND_JSON + " " + YAML).split(" "), *SPACES))


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("documents")


@pytest.mark.parametrize("suffix", [".toml", ".yaml", ".json"])
@given(text=st.lists(pieces, max_size=25).map("".join))
def test_any_text_ends_in_a_document_or_in_a_placed_problem(scratch: Path, suffix: str, text: str) -> None:
    file = scratch / f"document{suffix}"
    file.write_bytes(text.encode())
    lines = text.split("\n")
    try:
        document = read_document(file, "document")
        places = [document.position(path) for path in _paths(document.data)]
    except ConfigError as error:
        places = [(problem.line, problem.column) for problem in error.problems if problem.line]
    for line, column in places:
        assert 1 <= line <= len(lines)
        assert 1 <= column <= len(lines[line - 1]) + 1


def _paths(value: object, path: KeyPath = ()) -> list[KeyPath]:
    found = [path]
    if isinstance(value, dict):
        for key, inner in value.items():
            found += _paths(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            found += _paths(inner, (*path, index))
    return found


def test_a_file_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(ConfigError, match=r"^x: cannot be read: Is a directory$"):
        read_document(tmp_path / "folder.toml", "x")


def test_a_byte_order_mark_does_not_shift_columns(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_bytes(b"\xef\xbb\xbfa = 1\n")
    assert read_document(file, "x").position(("a",)) == (1, 1)
