"""Everything of a tenant as one archive: its rows as lines of JSON, its objects as files. Sealed values stay sealed."""

from __future__ import annotations

import asyncio
import base64
import io
import tarfile
import tempfile
from collections.abc import AsyncIterator
from datetime import date, datetime
from pathlib import Path
from typing import IO, Any, Final

import msgspec
import sqlalchemy as sa

from runstead.platform.storage.sql import Database
from runstead.platform.tenancy.model import Tenant
from runstead.platform.tenancy.service import House

PIECE_BYTES: Final = 256 * 1024
ROWS_AT_ONCE: Final = 1000
FORMAT: Final = 1


async def archive(tenant: Tenant, house: House) -> AsyncIterator[bytes]:
    """A gzipped tar, piece by piece; the tables are of one moment."""
    with tempfile.TemporaryFile() as file:
        with tarfile.open(fileobj=file, mode="w:gz", compresslevel=6) as tar:
            _add(
                tar,
                "tenant.json",
                msgspec.json.encode({"format": FORMAT, "name": tenant.name, "title": tenant.title}),
            )
            await _add_tables(tar, house.db)
            await _add_objects(tar, house.objects)
        file.seek(0)
        while piece := await asyncio.to_thread(file.read, PIECE_BYTES):
            yield piece


async def _add_tables(tar: tarfile.TarFile, db: Database) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for path in await db.read(lambda connection: _written(connection, Path(folder))):
            await asyncio.to_thread(tar.add, path, f"tables/{path.name}")


def _written(connection: sa.Connection, folder: Path) -> list[Path]:
    """Each table as a file of lines."""
    found = sa.MetaData()
    found.reflect(connection)
    paths = []
    for table in found.sorted_tables:
        # Shadow tables of the search index hold nothing that the events do not.
        if "_fts" in table.name:
            continue
        path = folder / f"{table.name}.ndjson"
        with path.open("wb") as lines:
            _write_rows(connection, table, lines)
        paths.append(path)
    return paths


def _write_rows(connection: sa.Connection, table: sa.Table, lines: IO[bytes]) -> None:
    result = connection.execution_options(yield_per=ROWS_AT_ONCE).execute(table.select())
    for row in result.mappings():
        lines.write(msgspec.json.encode({name: _plain(value) for name, value in row.items()}) + b"\n")


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | memoryview):
        return {"base64": base64.b64encode(bytes(value)).decode()}
    if isinstance(value, date | datetime):
        return value.isoformat()
    return value if isinstance(value, str | int | float | bool | None) else str(value)


async def _add_objects(tar: tarfile.TarFile, objects: Any) -> None:
    after = None
    while True:
        page = await objects.list("", after=after, limit=ROWS_AT_ONCE)
        for info in page:
            _add(tar, f"objects/{info.key}", await objects.get(info.key))
        if len(page) < ROWS_AT_ONCE:
            return
        after = page[-1].key


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))
