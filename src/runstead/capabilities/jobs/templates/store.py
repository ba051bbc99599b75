"""The table of templates."""

from __future__ import annotations

from datetime import datetime

import msgspec
import sqlalchemy as sa

from runstead.capabilities.jobs.store import metadata
from runstead.capabilities.jobs.templates.model import (
    TEMPLATES_MAX,
    Definition,
    Template,
    TemplateExistsError,
    TemplateNotFoundError,
)
from runstead.kernel.clock import parse_rfc3339, rfc3339
from runstead.kernel.trail import NoTrail, Trail
from runstead.platform.storage.sql import Database

templates = sa.Table(
    "jobs_templates",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("definition", sa.Text, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    # None: those of the owner.
    sa.Column("secrets_of", sa.Text, nullable=True),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("updated_at", sa.Text, nullable=False),
)


class TemplateStore:
    """Templates by name."""

    def __init__(self, db: Database, trail: Trail | None = None) -> None:
        self._db = db
        self._trail = trail or NoTrail()

    async def insert(self, template: Template) -> None:
        """:raises TemplateExistsError: there is one of that name, or there are :data:`TEMPLATES_MAX`."""
        traced = self._trail.note("template.create", resource=f"template:{template.name}")

        def work(connection: sa.Connection) -> None:
            count = connection.scalar(sa.select(sa.func.count()).select_from(templates)) or 0
            if count >= TEMPLATES_MAX:
                raise TemplateExistsError(f"there are {TEMPLATES_MAX} templates already")
            if connection.execute(templates.select().where(templates.c.name == template.name)).first():
                raise TemplateExistsError(f"there is a template {template.name} already")
            connection.execute(
                templates.insert().values(
                    name=template.name,
                    definition=_encoded(template.definition),
                    owner=template.owner,
                    secrets_of=template.secrets_of,
                    created_at=rfc3339(template.created_at),
                    updated_at=rfc3339(template.updated_at),
                )
            )
            traced(connection)

        await self._db.write(work)

    async def replace(self, name: str, definition: Definition, *, by: str, at: datetime) -> None:
        """:raises TemplateNotFoundError: there is none."""
        values = {"definition": _encoded(definition), "secrets_of": by, "updated_at": rfc3339(at)}
        await self._change("template.change", name, templates.update().values(**values))

    async def delete(self, name: str) -> None:
        """:raises TemplateNotFoundError: there is none."""
        await self._change("template.delete", name, templates.delete())

    async def _change(self, action: str, name: str, statement: sa.Update | sa.Delete) -> None:
        traced = self._trail.note(action, resource=f"template:{name}")

        def work(connection: sa.Connection) -> None:
            if not connection.execute(statement.where(templates.c.name == name)).rowcount:
                raise _unknown(name)
            traced(connection)

        await self._db.write(work)

    async def get(self, name: str) -> Template:
        """:raises TemplateNotFoundError: there is none."""
        query = templates.select().where(templates.c.name == name)
        row = await self._db.read(lambda connection: connection.execute(query).mappings().first())
        if row is None:
            raise _unknown(name)
        return _template(row)

    async def all(self) -> list[Template]:
        """Every template by name."""
        query = templates.select().order_by(templates.c.name)
        return await self._db.read(
            lambda connection: [_template(row) for row in connection.execute(query).mappings()]
        )


def _unknown(name: str) -> TemplateNotFoundError:
    return TemplateNotFoundError(f"there is no template {name[:64]!r}")


def _encoded(definition: Definition) -> str:
    return msgspec.json.encode(definition).decode()


def _template(row: sa.RowMapping) -> Template:
    return Template(
        name=row["name"],
        definition=msgspec.json.decode(row["definition"], type=Definition),
        owner=row["owner"],
        secrets_of=row["owner"] if row["secrets_of"] is None else row["secrets_of"],
        created_at=parse_rfc3339(row["created_at"]),
        updated_at=parse_rfc3339(row["updated_at"]),
    )
