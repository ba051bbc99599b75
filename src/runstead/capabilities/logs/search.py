"""Full text search: what a query means, and how each database is asked. Everything that differs between the two is here.

A query is a list of terms between spaces, or in double quotes; an event must have them all, in its message or its
context. A term matches words from their beginning: ``pay`` finds "payment", ``ord_17`` finds "ord_1742", and half of
a UUID finds it from any of its dashes on. Case does not matter.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from runstead.capabilities.logs.tables import STATE_ID, events, state
from runstead.kernel.limits import KIB

#: Characters of a query, and terms in it: more is no search but a load.
QUERY_CHARS_MAX: Final = 512
TERMS_MAX: Final = 32

#: Of each text, only so much is searchable: PostgreSQL refuses a tsvector of more than a MiB, and the two shall find
#: the same.
_INDEXED_CHARS_MAX: Final = 64 * KIB

#: How JSON writes what separates words; a doubled backslash first, so that ``C:\\new`` does not lose its n.
_JSON_SEPARATORS: Final = ("\\\\", "\\n", "\\t", "\\r")

_term = re.compile(r'"([^"]*)"?|([^\s"]+)')


def terms(q: str) -> list[list[str]]:
    """The words of each term, lower-case. The last word of a term may be a part."""
    found = []
    for quoted, plain in _term.findall(q[:QUERY_CHARS_MAX]):
        words = _words(quoted or plain)
        if words:
            found.append(words)
    return found[:TERMS_MAX]


def _words(text: str) -> list[str]:
    # Letters, numbers and private use: what unicode61 takes for a part of a word (sqlite.org/fts5.html section
    # 4.3.1).
    folded = "".join(
        letter if unicodedata.category(letter)[0] in "LN" or unicodedata.category(letter) == "Co" else " "
        for letter in text.lower()
    )
    return folded.split()


def matches(dialect: str, q: str) -> sa.ColumnElement[bool]:
    """The condition for events that have every term."""
    words = terms(q)
    if not words:
        # Only signs, which are in no index: read the messages.
        return holds(dialect, events.c.message, q.strip())
    if dialect == "sqlite":
        # In quotes nothing is an operator, and no word has a quote in it.
        match = " ".join(f'"{" ".join(term)}" *' for term in words)
        found = sa.text("SELECT rowid FROM logs_search WHERE logs_search MATCH :fts").bindparams(fts=match)
        return events.c.seq.in_(found.columns(sa.column("rowid", sa.Integer)))
    query = " & ".join(f"({_postgres_phrase(term)})" for term in words)
    document: sa.ColumnElement[Any] = sa.column("search")
    return document.op("@@", is_comparison=True)(sa.func.to_tsquery(sa.literal_column("'simple'"), query))


def holds(dialect: str, column: sa.ColumnElement[str], text: str) -> sa.ColumnElement[bool]:
    """The condition for texts that have this one in them, letter for letter. Not LIKE, where SQLite ignores case."""
    position: Any = sa.func.instr if dialect == "sqlite" else sa.func.strpos
    found: sa.ColumnElement[bool] = position(column, text) > 0
    return found


def _postgres_phrase(words: Sequence[str]) -> str:
    return " <-> ".join(f"'{word}'" for word in words) + ":*"


def _searchable(column: str) -> str:
    """SQLite's SQL for a column's text with its words apart."""
    text = f"substr({column}, 1, {_INDEXED_CHARS_MAX})"
    for separator in _JSON_SEPARATORS if column == "context" else ():
        text = f"replace({text}, '{separator}', ' ')"
    return text


_SEARCHABLE: Final = f"{_searchable('message')}, {_searchable('context')}"
_INDEX: Final = (
    f"INSERT INTO logs_search(rowid, message, context) SELECT seq, {_SEARCHABLE} "  # noqa: S608 - constants
    "FROM logs_events WHERE seq > ? AND seq <= ? ORDER BY seq"
)
#: An index without content must be told what it was told before.
_FORGET: Final = (
    f"INSERT INTO logs_search(logs_search, rowid, message, context) SELECT 'delete', seq, {_SEARCHABLE} "  # noqa: S608 - constants
    "FROM logs_events WHERE seq = ? AND seq <= (SELECT indexed_seq FROM logs_state)"
)
_MERGE: Final = "INSERT INTO logs_search(logs_search, rank) VALUES ('merge', ?)"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the search index is."""

    #: Events that were added just now.
    added: int
    #: Numbers between the last event in the index and the newest event: as many events, or a few less.
    left: int


def index_more(connection: sa.Connection, rows_max: int) -> Progress:
    """Bring the search index closer to the newest event. SQLite only; PostgreSQL does it by itself."""
    if connection.dialect.name != "sqlite":
        return Progress(0, 0)
    done: int = connection.execute(sa.select(state.c.indexed_seq)).scalar_one()
    new = sa.select(events.c.seq).where(events.c.seq > done).order_by(events.c.seq).limit(rows_max)
    seqs = connection.execute(new).scalars().all()
    if not seqs:
        return Progress(0, 0)
    upto = seqs[-1]
    connection.exec_driver_sql(_INDEX, (done, upto))
    connection.execute(sa.update(state).where(state.c.id == STATE_ID).values(indexed_seq=upto))
    newest: int = connection.execute(sa.select(sa.func.max(events.c.seq))).scalar_one()
    return Progress(len(seqs), newest - upto)


def forget(connection: sa.Connection, seqs: Sequence[int]) -> None:
    """Take events out of the search index, before they are deleted from the table."""
    if connection.dialect.name == "sqlite" and seqs:
        connection.exec_driver_sql(_FORGET, [(seq,) for seq in seqs])


def tidy(connection: sa.Connection, pages: int) -> None:
    """Merge a little of the search index, so that deleted words leave it."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(_MERGE, (pages,))
