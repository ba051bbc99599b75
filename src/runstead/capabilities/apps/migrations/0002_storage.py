"""Texts that apps keep by key."""

import sqlalchemy as sa
from alembic import op

revision = "apps_0002"
down_revision = "apps_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "apps_storage",
        sa.Column("app_id", sa.Text, primary_key=True),
        sa.Column("owner", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("bytes", sa.Integer, nullable=False),
        sa.Column("updated_at", sa.Text, nullable=False),
    )
