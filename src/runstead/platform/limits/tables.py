"""The tables of limits."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import sqlalchemy as sa

MIGRATIONS: Final = Path(__file__).parent / "migrations"

metadata = sa.MetaData()
addresses = sa.Table(
    "limits_addresses",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    # "block" or "allow".
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("network", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("expires_at", sa.Text, nullable=True),
    sa.UniqueConstraint("kind", "network"),
)
#: Requests by hour.
usage = sa.Table(
    "limits_usage",
    metadata,
    # RFC 3339 to the hour.
    sa.Column("hour", sa.Text, primary_key=True),
    sa.Column("rule", sa.Text, primary_key=True),
    sa.Column("subject", sa.Text, primary_key=True),
    sa.Column("allowed", sa.BigInteger, nullable=False),
    sa.Column("refused", sa.BigInteger, nullable=False),
)
