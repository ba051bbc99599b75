"""Versions of several files, compiled; files that apps keep; timers; deliveries of webhooks; databases."""

import sqlalchemy as sa
from alembic import op

revision = "apps_0003"
down_revision = "apps_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in (
        sa.Column("main", sa.Text, nullable=False, server_default="app.js"),
        sa.Column("files", sa.Text, nullable=False, server_default="{}"),
        sa.Column("tags", sa.Text, nullable=False, server_default="[]"),
        sa.Column("compiled", sa.Text, nullable=True),
    ):
        op.add_column("apps_versions", column)
    op.create_table(
        "apps_blobs",
        sa.Column("app_id", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("bytes", sa.Integer, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "apps_assets",
        sa.Column("app_id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("mime", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=True),
        sa.Column("bytes", sa.Integer, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
    )
    op.create_table(
        "apps_timers",
        sa.Column("app_id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("handler", sa.Text, nullable=False),
        sa.Column("every_ms", sa.BigInteger, nullable=True),
        sa.Column("from_init", sa.Boolean, nullable=False),
        sa.Column("next_at", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("leased_until", sa.Text, nullable=False),
        sa.Column("last_at", sa.Text, nullable=True),
        sa.Column("last_error", sa.Text, nullable=True),
        sa.Column("runs", sa.Integer, nullable=False),
        sa.Column("missed", sa.Integer, nullable=False),
    )
    op.create_index("apps_timers_due", "apps_timers", ["next_at"])
    op.create_table(
        "apps_deliveries",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("app_id", sa.Text, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("secret", sa.Text, nullable=True),
        sa.Column("headers", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("answer", sa.Text, nullable=True),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("next_at", sa.Text, nullable=False),
    )
    op.create_index("apps_deliveries_due", "apps_deliveries", ["status", "next_at"])
    op.create_index("apps_deliveries_of", "apps_deliveries", ["app_id", "created_at"])
