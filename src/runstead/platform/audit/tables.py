"""The tables of the trail. The database itself refuses to change or remove an entry, except below a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import sqlalchemy as sa

MIGRATIONS: Final = Path(__file__).parent / "migrations"

metadata = sa.MetaData()
entries = sa.Table(
    "audit_entries",
    metadata,
    sa.Column(
        "seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False
    ),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("severity", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("resource", sa.Text, nullable=False),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("request_id", sa.Text, nullable=False),
    sa.Column("details", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
    sa.Index("audit_entries_by_actor", "actor", "seq"),
    sa.Index("audit_entries_by_action", "action", "seq"),
    sa.Index("audit_entries_by_request", "request_id"),
)
#: Where the chain ends ("head"), and where it begins since older entries were removed ("checkpoint").
marks = sa.Table(
    "audit_marks",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
    sa.Column("seal", sa.Text, nullable=False),
)
