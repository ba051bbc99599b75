"""SQL of scripts: what may be said at all, and placeholders in the way of each database."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from runstead.kernel.errors import BadRequestError, ConflictError, RunsteadError, UnprocessableError
from runstead.kernel.limits import KIB

SQL_CHARS_MAX: Final = 100 * KIB
PARAMETERS_MAX: Final = 999

#: The pieces of SQL in which a question mark is none: texts, names, comments, and PostgreSQL's dollar quotes.
_PIECES: Final = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/|\$((?:[A-Za-z_]\w*)?)\$.*?\$\1\$|\?\d*|\$\d+|;",
    re.DOTALL,
)
_WORD: Final = re.compile(r"\s*(?:--[^\n]*\n\s*|/\*.*?\*/\s*)*\(?\s*([A-Za-z]+)", re.DOTALL)
#: What a statement may begin with. Transactions, sessions and rights are the server's business.
_ALLOWED: Final = frozenset(
    {
        "alter", "analyze", "create", "delete", "drop", "explain", "insert", "reindex", "replace", "select", "table", "truncate",
        "update", "values", "with",
    }
)  # fmt: skip


#: What may be made, changed and dropped. No functions: their bodies could say what no statement may.
_MADE: Final = re.compile(
    r"(?:create|alter|drop)\s+(?:or\s+replace\s+)?(?:(?:temp|temporary|unlogged|unique|materialized|virtual|recursive)\s+)*"
    r"(?:table|index|view|sequence|type|trigger)\b",
    re.IGNORECASE,
)


class SqlError(BadRequestError):
    """The database refused a statement."""

    code = "E_SQL"


class SqlBusyError(ConflictError):
    """Others change the database, and did not end in time."""

    code = "E_SQL_BUSY"


class SqlLimitError(UnprocessableError):
    """A statement used more than it may."""

    code = "E_SQL_LIMIT"


@dataclass(frozen=True, slots=True)
class Result:
    """What a statement came to."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    #: Rows that were changed; -1 where that means nothing.
    changed: int
    last_id: int | None = None

    def as_dicts(self) -> list[dict[str, Any]]:
        """Each row by the names of its columns."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def checked(sql: str, parameters: Sequence[Any]) -> str:
    """The statement without a semicolon at its end.

    :raises BadRequestError: it is no statement that scripts may make.
    """
    if len(sql) > SQL_CHARS_MAX or len(parameters) > PARAMETERS_MAX:
        raise SqlError(f"a statement may have {SQL_CHARS_MAX} characters and {PARAMETERS_MAX} parameters")
    if "\0" in sql:
        raise SqlError("a statement holds no NUL")
    sql = sql.strip().rstrip(";").rstrip()
    found = _WORD.match(sql)
    if found is None or found[1].lower() not in _ALLOWED:
        raise SqlError(f"{sql[:32]!r} is nothing that an app may say to its database")
    if found[1].lower() in ("create", "alter", "drop") and not _MADE.match(sql, found.start(1)):
        raise SqlError(
            "an app makes tables, indexes, views, sequences, types and triggers; functions would be code"
        )
    if any(piece[0] == ";" for piece in _PIECES.finditer(sql)):
        raise SqlError("one statement at a time")
    return sql


def numbered(sql: str, sign: str) -> str:
    """Placeholders ``?``, ``?1`` and ``$1`` as ``sign`` and a number."""
    count = 0

    def place(found: re.Match[str]) -> str:
        nonlocal count
        text = found[0]
        if text[0] == "?":
            count += 1
            return f"{sign}{text[1:] or count}"
        return f"{sign}{text[1:]}" if text[0] == "$" and text[1:].isdecimal() else text

    return _PIECES.sub(place, sql)


def values_of(parameters: Any) -> list[Any]:
    """What a database takes.

    :raises BadRequestError: it is no list of such values.
    """
    if not isinstance(parameters, list):
        raise SqlError("parameters are a list")
    for value in parameters:
        if isinstance(value, list | dict):
            raise SqlError(
                "a parameter is a text, a number, true, false or null; JSON.stringify what is more"
            )
    return parameters


def said(error: Exception) -> RunsteadError:
    """What a database complains of, without what is around it."""
    text = str(error).split("\n", 1)[0][:300]
    return SqlError(text or "the database refused")
