"""Jobs, with the state of their newest attempt, and the attempts before it."""

import sqlalchemy as sa
from alembic import op

revision = "jobs_0001"
down_revision = None
branch_labels = ("jobs",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "jobs_jobs",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("command", sa.Text, nullable=False),
        sa.Column("argv", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("timeout_seconds", sa.Float, nullable=False),
        sa.Column("working_dir", sa.Text, nullable=False),
        sa.Column("env", sa.Text, nullable=False),
        sa.Column("labels", sa.Text, nullable=False),
        sa.Column("retries", sa.Integer, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("retried", sa.Integer, nullable=False),
    )
    op.create_index("jobs_jobs_by_status", "jobs_jobs", ["status", "id"])
    op.create_table(
        "jobs_attempts",
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Column("attempt", sa.Integer, primary_key=True),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("started_at", sa.Text, nullable=True),
        sa.Column("stopped_at", sa.Text, nullable=True),
        sa.Column("exit_code", sa.Integer, nullable=True),
        sa.Column("signal", sa.Text, nullable=True),
        sa.Column("reason", sa.Text, nullable=True),
        sa.Column("cpu_seconds", sa.Float, nullable=True),
        sa.Column("max_rss_bytes", sa.BigInteger, nullable=True),
        sa.Column("lines", sa.BigInteger, nullable=False),
        sa.Column("last_line", sa.Text, nullable=True),
        sa.Column("pid", sa.Integer, nullable=True),
        sa.Column("pid_ticks", sa.BigInteger, nullable=True),
    )
