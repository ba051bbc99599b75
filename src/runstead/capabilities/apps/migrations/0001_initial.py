"""Apps and their immutable versions."""

import sqlalchemy as sa
from alembic import op

revision = "apps_0001"
down_revision = None
branch_labels = ("apps",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "apps_apps",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("privileged", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("serving", sa.Integer, nullable=True),
        sa.Column("newest", sa.Integer, nullable=False),
    )
    op.create_table(
        "apps_versions",
        sa.Column("app_id", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("error", sa.Text, nullable=True),
    )
