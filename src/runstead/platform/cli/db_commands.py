"""``runstead db``: the schema and the backup of the database. None of it needs a server."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from runstead.platform.cli.config_commands import ConfigOption, ProfileOption, load_settings
from runstead.platform.cli.errors import CliError, ExitCode
from runstead.platform.cli.host import composition
from runstead.platform.cli.output import Output
from runstead.platform.cli.version import JsonFlag

if TYPE_CHECKING:
    from runstead.platform.config import Settings
    from runstead.platform.storage.sql import Database, Pending

app = App(name="db", help="Look after the database: its schema and its backup.")


@app.command
def status(*, config: ConfigOption = None, profile: ProfileOption = None, json: JsonFlag = False) -> None:
    """Tell whether the database is there and has the tables that this version needs.

    Example: `runstead db status --json`
    """
    from runstead.platform.storage.sql import pending

    async def compare(database: Database) -> Pending:
        return await pending(database, composition().migration_folders)

    database = _database(load_settings(config, profile))
    if database.path is not None and not database.path.exists():
        facts: dict[str, Any] = {"database": database.url, "state": "absent", "current": [], "missing": []}
    else:
        found = asyncio.run(_with(database, compare))
        facts = {
            "database": database.url,
            "state": "up to date" if found.up_to_date else "behind",
            "current": list(found.current),
            "missing": list(found.missing),
        }
    Output(json=json).value(facts)


@app.command
def upgrade(*, config: ConfigOption = None, profile: ProfileOption = None, json: JsonFlag = False) -> None:
    """Bring the tables to what this version needs. The server does the same when it starts.

    Example: `runstead db upgrade --json`, best after `runstead db backup`
    """
    from runstead.platform.storage.sql import migrate

    async def run(database: Database) -> list[str]:
        return await migrate(database, composition().migration_folders)

    done = asyncio.run(_with(_database(load_settings(config, profile)), run))
    output = Output(json=json)
    if json:
        output.value({"applied": done})
    else:
        output.line(f"applied: {', '.join(done)}" if done else "up to date")


@app.command
def backup(
    target: Annotated[
        Path | None, Parameter(help="The file to write; default: backups/ in the data folder.")
    ] = None,
    *,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    json: JsonFlag = False,
) -> None:
    """Copy the SQLite database while the server runs. Never replaces a file.

    It copies rows only: objects, run folders and keys lie beside the database in the data folder.

    Example: `runstead db backup /backup/runstead-$(date +%F).db`
    """
    from runstead.platform.cli.sqlite_backup import back_up

    settings = load_settings(config, profile)
    source = _database(settings).path
    if source is None:
        raise CliError(
            'PostgreSQL has a tool of its own: pg_dump --format=custom --file=runstead.dump "$RUNSTEAD_DATABASE_URL"'
        )
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    path = (target or settings.storage.data_dir / "backups" / f"runstead-{stamp}.db").absolute()
    size = back_up(source, path)
    output = Output(json=json)
    if json:
        output.value({"file": str(path), "bytes": size})
    else:
        output.line(f"{path} ({size} bytes)")


def _database(settings: Settings) -> Database:
    from runstead.platform.storage.sql import Database

    try:
        return Database(settings.storage.database_url, readers=1)
    except ValueError as error:
        raise CliError(f"storage.database_url: {error}", exit_code=ExitCode.USAGE) from error


async def _with(database: Database, act: Any) -> Any:
    from runstead.kernel.errors import RunsteadError

    try:
        async with database:
            return await act(database)
    except RunsteadError as error:
        raise CliError(error.message) from error
