"""What commands print: for people by default, JSON with ``--json``."""

from __future__ import annotations

import json as json_format
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final, TextIO

#: Control characters in a cell could rewrite what stands above it.
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Output:
    """Prints to stdout. With ``json`` nothing but JSON goes there, so that it can be piped; hints go to stderr."""

    def __init__(self, *, json: bool = False, stream: TextIO | None = None) -> None:
        self._json = json
        self._stream = stream

    @property
    def is_json(self) -> bool:
        """Whether JSON was asked for."""
        return self._json

    def value(self, value: Any) -> None:
        """Print one thing: a table of its fields, or its JSON."""
        if self._json:
            self._write(_json(value, indent=2))
        elif isinstance(value, Mapping) and value:
            width = max(len(str(key)) for key in value)
            for key, inner in value.items():
                self._write(f"{key!s:<{width}}  {cell(inner)}")
        elif isinstance(value, list | tuple):
            for item in value:
                self._write(cell(item))
        else:
            self._write(cell(value))

    def table(self, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
        """Print some columns of rows; with JSON the rows as they are."""
        if self._json:
            self._write(_json(list(rows), indent=2))
            return
        cells = [[cell(row.get(column)) for column in columns] for row in rows]
        stream = self._stream or sys.stdout
        if stream.isatty():
            self._rich_table(columns, cells)
        else:
            # Aligned, but never wrapped or cut: what reads a pipe wants one line for each row.
            self._plain_table(columns, cells)

    def item(self, value: Any, text: str) -> None:
        """Print one of many as it comes: ``text``, or the value as one line of JSON."""
        self._write(_json(value) if self._json else text)

    def line(self, text: str) -> None:
        """Print a remark; with JSON it goes to stderr."""
        if self._json:
            print(text, file=sys.stderr, flush=True)  # noqa: T201
        else:
            self._write(text)

    def _write(self, text: str) -> None:
        stream = self._stream or sys.stdout
        try:
            print(text, file=stream, flush=True)
        except UnicodeEncodeError:
            encoding = stream.encoding or "ascii"
            print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)

    def _plain_table(self, columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
        widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
        for row in (columns, *cells):
            self._write(
                "  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip()
            )

    def _rich_table(self, columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
        for row in cells:
            # As Text, so that brackets in a value are not taken for markup.
            table.add_row(*map(Text, row))
        Console(file=self._stream).print(table)


def cell(value: Any) -> str:
    """A value on one line, without control characters."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    text = value if isinstance(value, str) else str(value) if isinstance(value, int) else _json(value)
    return _CONTROL.sub(lambda match: repr(match.group())[1:-1], text)


def _json(value: Any, indent: int | None = None) -> str:
    return json_format.dumps(value, indent=indent, ensure_ascii=False, default=str)
