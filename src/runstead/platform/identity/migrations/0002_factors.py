"""Second factors, known browsers, and challenges that were answered."""

import sqlalchemy as sa
from alembic import op

revision = "identity_0002"
down_revision = "identity_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "identity_factors",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("user_id", sa.Text, sa.ForeignKey("identity_users.id", ondelete="CASCADE"), nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.Column("credential", sa.Text, nullable=True, unique=True),
        sa.Column("last_step", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("used_at", sa.Text, nullable=True),
    )
    op.create_index("identity_factors_by_user", "identity_factors", ["user_id"])
    op.create_table(
        "identity_devices",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("user_id", sa.Text, sa.ForeignKey("identity_users.id", ondelete="CASCADE"), nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("agent", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("seen_at", sa.Text, nullable=False),
        sa.Column("trusted_until", sa.Text, nullable=True),
    )
    op.create_index("identity_devices_by_user", "identity_devices", ["user_id", "seen_at"])
    op.create_table(
        "identity_challenges",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("expires_at", sa.Text, nullable=False),
    )
    op.create_index("identity_challenges_by_expiry", "identity_challenges", ["expires_at"])
