"""The trail, and triggers that keep everybody from changing it."""

import sqlalchemy as sa
from alembic import op

revision = "audit_0001"
down_revision = None
branch_labels = ("audit",)
depends_on = None

_SQLITE = (
    """
    CREATE TRIGGER audit_entries_no_update BEFORE UPDATE ON audit_entries
    BEGIN SELECT RAISE(ABORT, 'an audit entry is never changed'); END
    """,
    """
    CREATE TRIGGER audit_entries_no_delete BEFORE DELETE ON audit_entries
    WHEN OLD.seq > coalesce((SELECT seq FROM audit_marks WHERE name = 'checkpoint'), 0)
    BEGIN SELECT RAISE(ABORT, 'an audit entry is removed by retention alone'); END
    """,
)
_POSTGRESQL = (
    """
    CREATE FUNCTION audit_entries_keep() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF TG_OP = 'DELETE' AND OLD.seq <= coalesce((SELECT seq FROM audit_marks WHERE name = 'checkpoint'), 0) THEN
        RETURN OLD;
      END IF;
      RAISE EXCEPTION 'an audit entry is never changed, and removed by retention alone';
    END $$
    """,
    """
    CREATE TRIGGER audit_entries_keep BEFORE UPDATE OR DELETE ON audit_entries
    FOR EACH ROW EXECUTE FUNCTION audit_entries_keep()
    """,
)


def upgrade() -> None:
    op.create_table(
        "audit_entries",
        sa.Column(
            "seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False
        ),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("severity", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("resource", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("details", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
    )
    op.create_index("audit_entries_by_actor", "audit_entries", ["actor", "seq"])
    op.create_index("audit_entries_by_action", "audit_entries", ["action", "seq"])
    op.create_index("audit_entries_by_request", "audit_entries", ["request_id"])
    op.create_table(
        "audit_marks",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("seal", sa.Text, nullable=False),
    )
    # There from the beginning, so that the first two who append meet at a row that they can lock.
    marks = sa.table("audit_marks", *(sa.column(name) for name in ("name", "seq", "hash", "seal")))
    op.execute(marks.insert().values(name="head", seq=0, hash="0" * 64, seal=""))
    for statement in _SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRESQL:
        op.execute(statement)
