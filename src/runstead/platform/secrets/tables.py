"""The tables of secrets. Nothing in them is readable without the master key, which is never in the database."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import sqlalchemy as sa

MIGRATIONS: Final = Path(__file__).parent / "migrations"

metadata = sa.MetaData()
#: Keys of the server itself, each wrapped by a master key. The salt of passphrases stands here in clear, under the key "".
keys = sa.Table(
    "secrets_keys",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("master", sa.Text, nullable=False),
    sa.Column("wrapped", sa.LargeBinary, nullable=False),
)
items = sa.Table(
    "secrets_items",
    metadata,
    # "server", "app:ID" or "user:ID".
    sa.Column("scope", sa.Text, primary_key=True),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("updated_at", sa.Text, nullable=False),
    sa.Column("expires_at", sa.Text, nullable=True),
    sa.Column("warned_for", sa.Text, nullable=True),
    sa.Index("secrets_items_by_expiry", "expires_at"),
)
#: The values, each under a key of its own, which is wrapped by a master key: another master key touches no value.
versions = sa.Table(
    "secrets_versions",
    metadata,
    sa.Column("scope", sa.Text, primary_key=True),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("master", sa.Text, nullable=False),
    sa.Column("wrapped", sa.LargeBinary, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.ForeignKeyConstraint(["scope", "id"], ["secrets_items.scope", "secrets_items.id"], ondelete="CASCADE"),
    sa.Index("secrets_versions_by_master", "master"),
)
#: Who used what, how often.
uses = sa.Table(
    "secrets_uses",
    metadata,
    sa.Column("scope", sa.Text, primary_key=True),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("used_by", sa.Text, primary_key=True),
    sa.Column("count", sa.BigInteger, nullable=False),
    sa.Column("used_at", sa.Text, nullable=False),
    sa.ForeignKeyConstraint(["scope", "id"], ["secrets_items.scope", "secrets_items.id"], ondelete="CASCADE"),
)
