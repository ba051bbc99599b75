"""The tables of people. Nothing in them lets its reader in: passwords, tokens and links are kept as hashes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import sqlalchemy as sa

MIGRATIONS: Final = Path(__file__).parent / "migrations"

metadata = sa.MetaData()
users = sa.Table(
    "identity_users",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    # As typed; names are compared by name_key, so that two people never look alike.
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("name_key", sa.Text, nullable=False, unique=True),
    sa.Column("mail", sa.Text, nullable=True),
    sa.Column("mail_key", sa.Text, nullable=True, unique=True),
    sa.Column("mail_verified", sa.Boolean, nullable=False),
    sa.Column("password", sa.Text, nullable=True),
    sa.Column("roles", sa.Text, nullable=False),
    sa.Column("disabled", sa.Boolean, nullable=False),
    # Raised by whatever must end the sessions that exist: sessions of an older epoch are over.
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("updated_at", sa.Text, nullable=False),
)
external = sa.Table(
    "identity_external",
    metadata,
    sa.Column("issuer", sa.Text, primary_key=True),
    sa.Column("subject", sa.Text, primary_key=True),
    sa.Column("user_id", sa.Text, sa.ForeignKey("identity_users.id", ondelete="CASCADE"), nullable=False),
    sa.Column("provider", sa.Text, nullable=False),
    sa.Column("linked_at", sa.Text, nullable=False),
    sa.Index("identity_external_by_user", "user_id"),
)
groups = sa.Table(
    "identity_groups",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("name_key", sa.Text, nullable=False, unique=True),
    sa.Column("roles", sa.Text, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
)
members = sa.Table(
    "identity_members",
    metadata,
    sa.Column("group_id", sa.Text, sa.ForeignKey("identity_groups.id", ondelete="CASCADE"), primary_key=True),
    # "user:ID" or "group:ID".
    sa.Column("member", sa.Text, primary_key=True),
    sa.Index("identity_members_by_member", "member"),
)
grants = sa.Table(
    "identity_grants",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    # "user:ID" or "group:ID".
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("permission", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("resource_id", sa.Text, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.UniqueConstraint("subject", "permission", "kind", "resource_id"),
)
sessions = sa.Table(
    "identity_sessions",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("user_id", sa.Text, sa.ForeignKey("identity_users.id", ondelete="CASCADE"), nullable=False),
    sa.Column("secret", sa.Text, nullable=False),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("seen_at", sa.Text, nullable=False),
    sa.Column("expires_at", sa.Text, nullable=False),
    sa.Column("proved_at", sa.Text, nullable=False),
    sa.Column("method", sa.Text, nullable=False),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("agent", sa.Text, nullable=False),
    sa.Index("identity_sessions_by_user", "user_id", "seen_at"),
    sa.Index("identity_sessions_by_expiry", "expires_at"),
)
tokens = sa.Table(
    "identity_tokens",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("user_id", sa.Text, sa.ForeignKey("identity_users.id", ondelete="CASCADE"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("secret", sa.Text, nullable=False),
    # JSON list of actions; null: whatever its user may do.
    sa.Column("scopes", sa.Text, nullable=True),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("expires_at", sa.Text, nullable=False),
    sa.Column("used_at", sa.Text, nullable=True),
    sa.Index("identity_tokens_by_user", "user_id"),
)
links = sa.Table(
    "identity_links",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("secret", sa.Text, nullable=False),
    # A reset's person, else empty; ended with the person by the service, not by a key, for most have none.
    sa.Column("user_id", sa.Text, nullable=False),
    sa.Column("mail", sa.Text, nullable=True),
    sa.Column("roles", sa.Text, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("expires_at", sa.Text, nullable=False),
)
factors = sa.Table(
    "identity_factors",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("user_id", sa.Text, sa.ForeignKey("identity_users.id", ondelete="CASCADE"), nullable=False),
    # "totp", "passkey" or "recovery".
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    # The sealed secret of one-time codes; public key and count of a passkey as JSON.
    sa.Column("data", sa.LargeBinary, nullable=False),
    # The id of a passkey; the hash of a recovery code.
    sa.Column("credential", sa.Text, nullable=True, unique=True),
    # The last step whose code was used.
    sa.Column("last_step", sa.BigInteger, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("used_at", sa.Text, nullable=True),
    sa.Index("identity_factors_by_user", "user_id"),
)
devices = sa.Table(
    "identity_devices",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("user_id", sa.Text, sa.ForeignKey("identity_users.id", ondelete="CASCADE"), nullable=False),
    sa.Column("secret", sa.Text, nullable=False),
    sa.Column("agent", sa.Text, nullable=False),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("seen_at", sa.Text, nullable=False),
    sa.Column("trusted_until", sa.Text, nullable=True),
    sa.Index("identity_devices_by_user", "user_id", "seen_at"),
)
#: Challenges that were answered, until they would have expired.
challenges = sa.Table(
    "identity_challenges",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("expires_at", sa.Text, nullable=False),
    sa.Index("identity_challenges_by_expiry", "expires_at"),
)
