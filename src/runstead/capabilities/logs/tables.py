"""The tables of logs."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

#: The full text index is each database's own, made by the migrations; these names are its.
metadata: Final = sa.MetaData(info={"beside": ("logs_search", "logs_events_search", "search")})

#: SQLite hands out the keys of an INTEGER primary key, and only of that.
_Key: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")

projects: Final = sa.Table(
    "logs_projects",
    metadata,
    sa.Column("id", _Key, primary_key=True),
    sa.Column("slug", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("key_hash", sa.Text, nullable=False),
    # Sealed, in base64.
    sa.Column("secret_sealed", sa.Text, nullable=False),
    # None: the server's default.
    sa.Column("minute_cap", sa.Integer),
    sa.Column("retention_days", sa.Integer),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
    # Its events are still being deleted. Slug and key are free for others already.
    sa.Column("deleted_at", sa.BigInteger),
    sa.Index("logs_projects_slug", "slug", unique=True),
    sa.Index("logs_projects_key_hash", "key_hash", unique=True),
    sqlite_autoincrement=True,
)

events: Final = sa.Table(
    "logs_events",
    metadata,
    # Grows with every event and is never used again: the search index and the cursors rely on it.
    sa.Column("seq", _Key, primary_key=True),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("project_id", _Key, nullable=False),
    sa.Column("ts", sa.BigInteger, nullable=False),
    sa.Column("level", sa.SmallInteger, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("env", sa.Text, nullable=False),
    sa.Column("context", sa.Text, nullable=False),
    sa.Column("fingerprint", sa.Text, nullable=False),
    # "group" is a word of SQL.
    sa.Column("issue", sa.Text, nullable=False),
    sa.Column("issue_version", sa.SmallInteger, nullable=False),
    sa.Column("request_id", sa.Text, nullable=False),
    sa.Column("user_id", sa.Text, nullable=False),
    sa.Column("tags", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Index("logs_events_by_project", "project_id", "ts", "seq"),
    sa.Index("logs_events_by_ts", "ts", "seq"),
    sa.Index("logs_events_by_age", "project_id", "created_at"),
    sa.Index("logs_events_by_fingerprint", "fingerprint", "ts"),
    sa.Index("logs_events_by_issue", "issue", "ts"),
    # Of those that have one, as its migration says: naming PostgreSQL's option here would load all of PostgreSQL's part.
    sa.Index("logs_events_by_request", "request_id", "ts"),
    sqlite_autoincrement=True,
)

receipts: Final = sa.Table(
    "logs_receipts",
    metadata,
    sa.Column("project_id", _Key, primary_key=True, autoincrement=False),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("body_hash", sa.Text, nullable=False),
    sa.Column("answer", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Index("logs_receipts_by_age", "created_at"),
)

#: One row: what all processes know of maintenance, and how far SQLite's search index goes.
state: Final = sa.Table(
    "logs_state",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("indexed_seq", sa.BigInteger, nullable=False),
    sa.Column("started_at", sa.BigInteger),
    sa.Column("finished_at", sa.BigInteger),
    # Whoever runs maintenance holds it until then; a process that died holds it no longer.
    sa.Column("held_until", sa.BigInteger, nullable=False),
    sa.Column("last_error", sa.Text),
    sa.Column("last_report", sa.Text),
)

STATE_ID: Final = 1
