"""Whose a job is: the one who started it. Those from before are nobody's, so only who may on all jobs may on them."""

import sqlalchemy as sa
from alembic import op

revision = "jobs_0002"
down_revision = "jobs_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs_jobs", sa.Column("owner", sa.Text, nullable=True))
