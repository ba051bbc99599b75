"""Urgency and pauses between attempts also for what starts by the clock, and whose secrets plans and templates name."""

import sqlalchemy as sa
from alembic import op

revision = "jobs_0005"
down_revision = "jobs_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs_schedules", sa.Column("retry_seconds", sa.Float, nullable=True))
    op.add_column("jobs_schedules", sa.Column("priority", sa.Integer, nullable=True))
    op.add_column("jobs_schedules", sa.Column("secrets_of", sa.Text, nullable=True))
    op.add_column("jobs_templates", sa.Column("secrets_of", sa.Text, nullable=True))
