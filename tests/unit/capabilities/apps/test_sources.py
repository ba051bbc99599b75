"""Source maps, imports and placeholders: small formats, dense logic."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstead.capabilities.apps.assets import asset_name
from runstead.capabilities.apps.database.statements import SqlError, checked, numbered
from runstead.capabilities.apps.sources.maps import SourceMap
from runstead.capabilities.apps.sources.modules import imports_of, is_module, linked, resolved
from runstead.kernel.errors import UnprocessableError

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def vlq(value: int) -> str:
    left, text = (abs(value) << 1) | (value < 0), ""
    while True:
        digit, left = left & 31, left >> 5
        text += _LETTERS[digit | (32 if left else 0)]
        if not left:
            return text


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 200), st.integers(0, 5000), st.integers(0, 200)), max_size=5),
        max_size=8,
    )
)
def test_every_place_leads_back(lines: list[list[tuple[int, int, int]]]) -> None:
    lines = [sorted({place[0]: place for place in line}.values()) for line in lines]
    texts, before_line, before_column = [], 0, 0
    for line in lines:
        out, segments = 0, []
        for column, source_line, source_column in line:
            segments.append(
                vlq(column - out)
                + vlq(0)
                + vlq(source_line - before_line)
                + vlq(source_column - before_column)
            )
            out, before_line, before_column = column, source_line, source_column
        texts.append(",".join(segments))
    decoded = SourceMap(";".join(texts))
    for number, line in enumerate(lines, 1):
        for column, source_line, source_column in line:
            assert decoded.original(number, column + 1) == (source_line + 1, source_column + 1)


def test_a_place_between_two_belongs_to_the_one_before() -> None:
    decoded = SourceMap("AAAA,IACA;;AACA")
    assert decoded.original(1, 3) == (1, 1)
    assert decoded.original(1, 100) == (2, 1)
    assert decoded.original(2, 1) is None
    assert decoded.original(9, 1) is None
    with pytest.raises(ValueError, match="letter"):
        SourceMap("!")


SOURCE = """import a from "./a.js";
import { b,
  c } from '../b';
import './c.js'
export * from "./d.ts";
export { e } from "react";
const text = "import x from './no.js'"; const y = import("./no.js");
"""


def test_imports_are_found_and_linked_in_their_lines() -> None:
    assert imports_of(SOURCE) == ["./a.js", "../b", "./c.js", "./d.ts", "react"]
    files = dict.fromkeys(["lib/a.ts", "b/index.tsx", "lib/c.js", "lib/d.ts", "lib/main.ts"])
    done = linked(SOURCE, "lib/main.ts", files)
    assert imports_of(done) == ["lib/a.ts", "b/index.tsx", "lib/c.js", "lib/d.ts", "react"]
    assert done.count("\n") == SOURCE.count("\n")
    assert is_module(SOURCE)
    assert not is_module("function init() { return import.meta }")
    with pytest.raises(UnprocessableError, match="no file of the app"):
        resolved("../../etc/passwd", "lib/main.ts", files)


@pytest.mark.parametrize(
    ("given_sql", "wanted"),
    [
        ("select ?, '?', \"?\", $2, ?2 -- ?", "select $1, '?', \"?\", $2, $2 -- ?"),
        ("select $$ ? $$, $tag$ ? $tag$, ?", "select $$ ? $$, $tag$ ? $tag$, $1"),
        ("select /* ? ' */ ?, 'it''s ?', ?", "select /* ? ' */ $1, 'it''s ?', $2"),
    ],
)
def test_placeholders_are_numbered_where_they_are_some(given_sql: str, wanted: str) -> None:
    assert numbered(given_sql, "$") == wanted


@given(st.text(max_size=60))
def test_no_text_breaks_the_statement_checker(text: str) -> None:
    try:
        assert ";" not in checked(f"select {text}", []) or any(quote in text for quote in "'\"-/$")
    except SqlError:
        return


@given(st.text(max_size=40))
def test_names_of_files_lead_nowhere(text: str) -> None:
    try:
        name = asset_name(text)
    except UnprocessableError:
        return
    assert not name.startswith("/")
    assert all(part not in ("", ".", "..") for part in name.split("/"))
