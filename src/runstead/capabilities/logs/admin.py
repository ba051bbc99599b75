"""The administrator's routes: projects, maintenance, purging."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Response, Router, delete, get, patch, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET, Meta, UnsetType

from runstead.capabilities.logs.maintenance import Purge
from runstead.capabilities.logs.model import (
    MINUTE_CAP_MAX,
    NAME_CHARS_MAX,
    RETENTION_DAYS_MAX,
    SLUG_PATTERN,
    SLUG_RULE,
    Credentials,
    Project,
    is_slug,
)
from runstead.capabilities.logs.service import LogsService
from runstead.kernel.clock import rfc3339
from runstead.kernel.errors import BadRequestError
from runstead.platform.http import guard

Slug = Annotated[str, Meta(pattern=SLUG_PATTERN, description=SLUG_RULE)]
Name = Annotated[str, Meta(min_length=1, max_length=NAME_CHARS_MAX)]
MinuteCap = Annotated[int, Meta(ge=1, le=MINUTE_CAP_MAX, description="Events a minute.")]
RetentionDays = Annotated[int, Meta(ge=1, le=RETENTION_DAYS_MAX, description="Days that events are kept.")]

#: Credentials are shown once, and by no cache again.
_ONCE = {"Cache-Control": "no-store"}


class NewProject(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A project to be made. What is left out is the server's default."""

    slug: Slug
    name: Name | None = None
    minute_cap: MinuteCap | None = None
    retention_days: RetentionDays | None = None


class ProjectChange(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What is to be changed; null means the server's default from now on."""

    name: Name | UnsetType = UNSET
    minute_cap: MinuteCap | UnsetType | None = UNSET
    retention_days: RetentionDays | UnsetType | None = UNSET


class ProjectView(msgspec.Struct, kw_only=True):
    """A project."""

    slug: str
    name: str
    minute_cap: int
    retention_days: int
    created_at: str
    updated_at: str


class ProjectList(msgspec.Struct):
    """Every project, by slug."""

    projects: list[ProjectView]


class ProjectCredentials(msgspec.Struct, kw_only=True):
    """What a sender needs. It is shown once and cannot be read again."""

    slug: str
    project_key: str
    hmac_secret: str


class MaintenanceReport(msgspec.Struct, kw_only=True):
    """What a run did."""

    deleted_events: int
    deleted_projects: int
    deleted_receipts: int
    forgotten_limits: int
    #: False: the time was over before the work was; run it again.
    complete: bool


class MaintenanceView(msgspec.Struct, kw_only=True):
    """How maintenance is."""

    running: bool
    started_at: str | None
    finished_at: str | None
    last_error: str | None
    last_report: MaintenanceReport | None


def routes(service: LogsService) -> Router:
    """The routes below /admin."""
    return Router(
        path="/admin",
        guards=[guard("logs.admin")],
        tags=["logs"],
        route_handlers=[*_projects(service), *_project(service), *_maintenance(service)],
    )


def _projects(service: LogsService) -> list[Any]:
    @post(
        "/projects",
        summary="Make a project",
        responses={409: ResponseSpec(None, description="The slug is another's.")},
    )
    async def create_project(data: JSONBody[NewProject]) -> Response[ProjectCredentials]:
        if not is_slug(data.slug):
            raise BadRequestError(f"The slug does not fit, allowed: {SLUG_RULE}.")
        settings = {"minute_cap": data.minute_cap, "retention_days": data.retention_days}
        credentials = await service.projects.create(
            slug=data.slug, name=_clean(data.name or data.slug), settings=settings
        )
        return Response(_shown(data.slug, credentials), status_code=201, headers=_ONCE)

    @get("/projects", summary="All projects")
    async def list_projects() -> ProjectList:
        return ProjectList([_view(project) for project in await service.projects.all()])

    return [create_project, list_projects]


def _project(service: LogsService) -> list[Any]:
    @get("/projects/{slug:str}", summary="One project")
    async def get_project(slug: FromPath[str]) -> ProjectView:
        return _view(await service.projects.get(slug))

    @patch("/projects/{slug:str}", summary="Change a project's name, cap or retention")
    async def change_project(slug: FromPath[str], data: JSONBody[ProjectChange]) -> ProjectView:
        values = {name: value for name, value in msgspec.structs.asdict(data).items() if value is not UNSET}
        if "name" in values:
            values["name"] = _clean(values["name"])
        return _view(await service.projects.change(slug, values))

    @delete(
        "/projects/{slug:str}",
        summary="End a project and delete its events",
        responses={409: ResponseSpec(None, description="The server's own project stays.")},
    )
    async def delete_project(slug: FromPath[str]) -> None:
        await service.projects.delete(slug)
        service.maintenance.begin()

    @post("/projects/{slug:str}/rotate", summary="Replace a project's key and secret", status_code=200)
    async def rotate_project(slug: FromPath[str]) -> Response[ProjectCredentials]:
        return Response(_shown(slug, await service.projects.rotate(slug)), headers=_ONCE)

    return [get_project, change_project, delete_project, rotate_project]


def _maintenance(service: LogsService) -> list[Any]:
    running = {409: ResponseSpec(None, description="It is running already.")}

    @get("/maintain", summary="How maintenance of logs is")
    async def maintenance_state() -> MaintenanceView:
        return msgspec.convert(await service.maintenance.state(), MaintenanceView)

    @post("/maintain", summary="Delete what is old, now", status_code=200, responses=running)
    async def maintain() -> MaintenanceReport:
        return msgspec.convert((await service.maintenance.run()).to_json(), MaintenanceReport)

    @post("/purge", summary="Delete more than what is old", status_code=200, responses=running)
    async def purge(
        project: Annotated[
            str | None, QueryParameter(pattern=SLUG_PATTERN, description="Of this project only.")
        ] = None,
        older_than_days: Annotated[
            int | None,
            QueryParameter(
                ge=0,
                le=RETENTION_DAYS_MAX,
                description="Default: as long as each project keeps its events. 0: all.",
            ),
        ] = None,
    ) -> MaintenanceReport:
        report = await service.maintenance.purge(Purge(slug=project, older_than_days=older_than_days))
        return msgspec.convert(report.to_json(), MaintenanceReport)

    return [maintenance_state, maintain, purge]


def _clean(name: str) -> str:
    return name.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _shown(slug: str, credentials: Credentials) -> ProjectCredentials:
    return ProjectCredentials(
        slug=slug,
        project_key=credentials.project_key.reveal(),
        hmac_secret=credentials.hmac_secret.reveal(),
    )


def _view(project: Project) -> ProjectView:
    return ProjectView(
        slug=project.slug,
        name=project.name,
        minute_cap=project.minute_cap,
        retention_days=project.retention_days,
        created_at=rfc3339(project.created_at),
        updated_at=rfc3339(project.updated_at),
    )
