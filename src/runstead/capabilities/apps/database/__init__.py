"""A database for each app: a file of its own on SQLite, a schema and a role of its own on PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from runstead.capabilities.apps.database.calls import DatabaseCalls
from runstead.capabilities.apps.database.limits import DatabaseSettings
from runstead.capabilities.apps.database.sessions import AppDatabases
from runstead.capabilities.apps.database.sqlite import SqliteDatabases
from runstead.capabilities.apps.ports import Secrets

__all__ = ["AppDatabases", "DatabaseCalls", "DatabaseSettings", "app_databases", "remove_all_databases"]


def app_databases(
    url: str, folder: Path, settings: DatabaseSettings, *, secrets: Secrets | None
) -> AppDatabases:
    """As the server's own database is, so are those of its apps.

    :param url: of the server's own.
    :param folder: where files go.
    """
    if url.startswith("sqlite"):
        return AppDatabases(SqliteDatabases(folder, settings), settings)
    # Only here: the driver is 10 MB of a server that does not use it.
    from runstead.capabilities.apps.database.postgres import PostgresDatabases

    return AppDatabases(PostgresDatabases(url, settings, secrets=secrets), settings)


def remove_all_databases(url: str) -> None:
    """Remove the databases of all apps of a house on PostgreSQL. Blocks.

    :param url: of the house's own.
    """
    from runstead.capabilities.apps.database.postgres import PostgresDatabases

    PostgresDatabases(url, DatabaseSettings(), secrets=None).remove_all()
