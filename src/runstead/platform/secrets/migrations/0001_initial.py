"""Keys of the server, secrets, their versions, and who uses them."""

import sqlalchemy as sa
from alembic import op

revision = "secrets_0001"
down_revision = None
branch_labels = ("secrets",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "secrets_keys",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("master", sa.Text, nullable=False),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "secrets_items",
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("updated_at", sa.Text, nullable=False),
        sa.Column("expires_at", sa.Text, nullable=True),
        sa.Column("warned_for", sa.Text, nullable=True),
    )
    op.create_table(
        "secrets_versions",
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("master", sa.Text, nullable=False),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(
            ["scope", "id"], ["secrets_items.scope", "secrets_items.id"], ondelete="CASCADE"
        ),
    )
    op.create_table(
        "secrets_uses",
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("used_by", sa.Text, primary_key=True),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("used_at", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(
            ["scope", "id"], ["secrets_items.scope", "secrets_items.id"], ondelete="CASCADE"
        ),
    )
    op.create_index("secrets_items_by_expiry", "secrets_items", ["expires_at"])
    op.create_index("secrets_versions_by_master", "secrets_versions", ["master"])
