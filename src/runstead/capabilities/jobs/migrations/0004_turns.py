"""Urgent jobs, retries that wait, which server runs a job, where parts of long logs begin, and templates."""

import sqlalchemy as sa
from alembic import op

revision = "jobs_0004"
down_revision = "jobs_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs_jobs", sa.Column("retry_seconds", sa.Float, nullable=True))
    op.add_column("jobs_jobs", sa.Column("priority", sa.Integer, nullable=True))
    op.add_column("jobs_jobs", sa.Column("template", sa.Text, nullable=True))
    op.add_column("jobs_jobs", sa.Column("rerun_of", sa.Text, nullable=True))
    op.add_column("jobs_jobs", sa.Column("secrets_of", sa.Text, nullable=True))
    op.add_column("jobs_jobs", sa.Column("node", sa.Text, nullable=True))
    op.add_column("jobs_attempts", sa.Column("read_bytes", sa.BigInteger, nullable=True))
    op.add_column("jobs_attempts", sa.Column("written_bytes", sa.BigInteger, nullable=True))
    op.create_table(
        "jobs_log_places",
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Column("attempt", sa.Integer, primary_key=True),
        sa.Column("first_seq", sa.BigInteger, primary_key=True),
        sa.Column("first_at", sa.Float, nullable=False),
        sa.Column("start", sa.BigInteger, nullable=False),
        sa.Column("packed_start", sa.BigInteger, nullable=True),
    )
    op.create_table(
        "jobs_templates",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("definition", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("updated_at", sa.Text, nullable=False),
    )
