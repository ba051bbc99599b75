"""One way to SQLite and PostgreSQL: one grouped writer, pooled readers, migrations, outbox."""
