"""Projects, events with their search index, receipts of batches, and the state of maintenance."""

import sqlalchemy as sa
from alembic import op

revision = "logs_0001"
down_revision = None
branch_labels = ("logs",)
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    _projects()
    _events()
    op.create_table(
        "logs_receipts",
        sa.Column("project_id", _KEY, primary_key=True, autoincrement=False),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("body_hash", sa.Text, nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_index("logs_receipts_by_age", "logs_receipts", ["created_at"])
    op.create_table(
        "logs_state",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("indexed_seq", sa.BigInteger, nullable=False),
        sa.Column("started_at", sa.BigInteger),
        sa.Column("finished_at", sa.BigInteger),
        sa.Column("held_until", sa.BigInteger, nullable=False),
        sa.Column("last_error", sa.Text),
        sa.Column("last_report", sa.Text),
    )
    op.execute("INSERT INTO logs_state (id, indexed_seq, held_until) VALUES (1, 0, 0)")
    if op.get_bind().dialect.name == "sqlite":
        _search_sqlite()
    else:
        _search_postgresql()


def _projects() -> None:
    op.create_table(
        "logs_projects",
        sa.Column("id", _KEY, primary_key=True),
        sa.Column("slug", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("key_hash", sa.Text, nullable=False),
        sa.Column("secret_sealed", sa.Text, nullable=False),
        sa.Column("minute_cap", sa.Integer),
        sa.Column("retention_days", sa.Integer),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("deleted_at", sa.BigInteger),
        sqlite_autoincrement=True,
    )
    op.create_index("logs_projects_slug", "logs_projects", ["slug"], unique=True)
    op.create_index("logs_projects_key_hash", "logs_projects", ["key_hash"], unique=True)


def _events() -> None:
    op.create_table(
        "logs_events",
        sa.Column("seq", _KEY, primary_key=True),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("project_id", _KEY, nullable=False),
        sa.Column("ts", sa.BigInteger, nullable=False),
        sa.Column("level", sa.SmallInteger, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("env", sa.Text, nullable=False),
        sa.Column("context", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("issue", sa.Text, nullable=False),
        sa.Column("issue_version", sa.SmallInteger, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("tags", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("logs_events_by_project", "logs_events", ["project_id", "ts", "seq"])
    op.create_index("logs_events_by_ts", "logs_events", ["ts", "seq"])
    op.create_index("logs_events_by_age", "logs_events", ["project_id", "created_at"])
    op.create_index("logs_events_by_fingerprint", "logs_events", ["fingerprint", "ts"])
    op.create_index("logs_events_by_issue", "logs_events", ["issue", "ts"])
    has_request = sa.text("request_id <> ''")
    op.create_index(
        "logs_events_by_request",
        "logs_events",
        ["request_id", "ts"],
        sqlite_where=has_request,
        postgresql_where=has_request,
    )


def _search_sqlite() -> None:
    # Without content of its own: the texts are in the table. Filled a little later than the table, up to indexed_seq.
    op.execute(
        "CREATE VIRTUAL TABLE logs_search USING fts5"
        "(message, context, content='', tokenize='unicode61 remove_diacritics 0')"
    )


def _search_postgresql() -> None:
    # The same words as on SQLite: every sign separates (the parser would see file names and addresses), and so do the
    # line breaks of JSON, a doubled backslash first. A tsvector has at most 1 MiB, hence the substr.
    signs = "!\"#$%&''()*+,-./:;<=>?@[\\]^_`{|}~"
    context = "substr(context, 1, 65536)"
    for separator in ("\\\\", "\\n", "\\t", "\\r"):
        context = f"replace({context}, '{separator}', ' ')"
    # One sign is written as two quotes.
    spaces = " " * (len(signs) - 1)
    words = [f"translate(lower({text}), '{signs}', '{spaces}')" for text in ("message", context)]
    vector = " || ".join(f"to_tsvector('simple'::regconfig, {text})" for text in words)
    statement = f"ALTER TABLE logs_events ADD COLUMN search tsvector GENERATED ALWAYS AS ({vector}) STORED"
    # SQLAlchemy takes a colon for the beginning of a parameter.
    op.execute(sa.text(statement.replace(":", "\\:")))
    op.execute("CREATE INDEX logs_events_search ON logs_events USING gin (search)")
