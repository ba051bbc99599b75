"""What is printed, for people and for programs."""

import io
import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstead.platform.cli import Output
from runstead.platform.cli.output import cell

ROWS: list[dict[str, Any]] = [
    {"name": "a", "count": 1, "more": {"x": [1]}},
    {"name": "longer", "count": None},
]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_table_in_a_pipe_is_aligned_and_has_one_line_for_each_row() -> None:
    stream = io.StringIO()
    Output(stream=stream).table([*ROWS, {"name": "x" * 300, "count": 2}], ["name", "count"])
    lines = stream.getvalue().splitlines()
    assert len(lines) == 4
    assert lines[0].split() == ["name", "count"]
    assert lines[2].split() == ["longer", "-"]
    assert {line.index(line.split()[1]) for line in lines} == {302}


def test_a_table_on_a_terminal_shows_the_same_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    stream = Terminal()
    Output(stream=stream).table([{"name": "[red]a[/red]", "count": 1}], ["name", "count"])
    assert "[red]a[/red]" in stream.getvalue()
    assert "count" in stream.getvalue()


def test_an_empty_table_still_has_its_head() -> None:
    stream = io.StringIO()
    Output(stream=stream).table([], ["name", "count"])
    assert stream.getvalue() == "name  count\n"


def test_with_json_nothing_but_json_is_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(json=True)
    assert output.is_json
    output.table(ROWS, ["name"])
    output.line("a hint")
    captured = capsys.readouterr()
    assert json.loads(captured.out) == ROWS
    assert captured.err == "a hint\n"


def test_items_of_a_stream_are_one_line_of_json_each(capsys: pytest.CaptureFixture[str]) -> None:
    for value in ROWS:
        Output(json=True).item(value, "text")
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == ROWS
    Output().item(ROWS[0], "text")
    assert capsys.readouterr().out == "text\n"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": 1, "longer": {"b": True}}, 'a       1\nlonger  {"b": true}\n'),
        ([{"a": 1}, "b"], '{"a": 1}\nb\n'),
        ({}, "{}\n"),
        ("text", "text\n"),
        (None, "-\n"),
    ],
)
def test_a_value_is_shown_for_people(value: object, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    Output().value(value)
    assert capsys.readouterr().out == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "yes"),
        (False, "no"),
        (None, "-"),
        (0, "0"),
        (1.5, "1.5"),
        (2.0, "2"),
        (0.1234, "0.123"),
        ([1], "[1]"),
    ],
)
def test_cells_are_short(value: object, text: str) -> None:
    assert cell(value) == text


@given(st.text())
def test_no_cell_can_move_the_cursor(text: str) -> None:
    assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in cell(text))


def test_text_that_stdout_cannot_encode_does_not_end_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    Output().line("grün \udcff")
    assert raw.getvalue() == b"gr\\xfcn \\udcff\n"
