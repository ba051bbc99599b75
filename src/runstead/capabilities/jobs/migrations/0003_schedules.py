"""Commands that start by the clock."""

import sqlalchemy as sa
from alembic import op

revision = "jobs_0003"
down_revision = "jobs_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "jobs_schedules",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("cron", sa.Text, nullable=False),
        sa.Column("time_zone", sa.Text, nullable=False),
        sa.Column("command", sa.Text, nullable=False),
        sa.Column("timeout_seconds", sa.Float, nullable=True),
        sa.Column("env", sa.Text, nullable=False),
        sa.Column("working_dir", sa.Text, nullable=True),
        sa.Column("labels", sa.Text, nullable=False),
        sa.Column("retries", sa.Integer, nullable=False),
        sa.Column("missed", sa.Text, nullable=False),
        sa.Column("overlap", sa.Text, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("next_at", sa.Text, nullable=True),
        sa.Column("last_at", sa.Text, nullable=True),
        sa.Column("last_job", sa.Text, nullable=True),
        sa.Column("last_result", sa.Text, nullable=False),
        sa.Column("waiting", sa.Boolean, nullable=False),
    )
    op.create_index("jobs_schedules_by_time", "jobs_schedules", ["next_at"])
