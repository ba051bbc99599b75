"""The routes below /api/schedules."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from litestar import Request, Response, Router, delete, get, patch, post, put
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, Struct

from runstead.capabilities.jobs.access import found
from runstead.capabilities.jobs.http import StartJob
from runstead.capabilities.jobs.ports import Secrets
from runstead.capabilities.jobs.schedules.cron import CRON_CHARS_MAX, next_times
from runstead.capabilities.jobs.schedules.model import Plan, Schedule
from runstead.capabilities.jobs.schedules.service import Schedules
from runstead.capabilities.jobs.secrets import permit
from runstead.kernel.clock import Clock, rfc3339
from runstead.platform.http import actor_of, guard
from runstead.platform.identity import Resource, allow

_AnyRequest = Request[Any, Any, Any]
_REFUSED = {
    409: ResponseSpec(None, description="There are as many as there may be."),
    422: ResponseSpec(None, description="That is no cron expression, or no time zone."),
}
#: For readers of the API description: the plain part of what is taken.
_PLAIN = {
    "pattern": r"^(\*|\*/[1-9]|[1-5]?[0-9]) (\*|\*/[1-9]|1?[0-9]|2[0-3]) (\*|[1-9]|1[0-9]|2[0-8]) (\*|[1-9]|1[0-2]) (\*|[0-6])$"
}
_PLAIN_ZONE = {"pattern": "^(UTC|(Europe/(Berlin|London|Paris))|America/New_York|Asia/Tokyo)$"}
Cron = Annotated[
    str,
    Meta(
        extra_json_schema=_PLAIN,
        min_length=1,
        max_length=CRON_CHARS_MAX,
        description="Five fields (minute hour day month weekday), six with seconds first, or @daily and its like.",
    ),
]
Zone = Annotated[
    str, Meta(min_length=1, max_length=64, description="As Europe/Berlin.", extra_json_schema=_PLAIN_ZONE)
]


class NewSchedule(StartJob, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A command, and when it is to start."""

    cron: Cron
    time_zone: Zone = "UTC"
    missed: Annotated[
        Literal["skip", "once"],
        Meta(description="Of times that fell into an absence of the server: none is made up for, or one."),
    ] = "skip"
    overlap: Annotated[
        Literal["skip", "queue", "kill"],
        Meta(
            description="When the run before has not ended: leave this one out, wait, or end the one before."
        ),
    ] = "skip"
    status: Literal["active", "paused"] = "active"


class ChangeSchedule(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whether it fires; its plan stays, with the values that are shown to nobody."""

    status: Literal["active", "paused"]


class ScheduleView(Struct, kw_only=True):
    """A schedule, and its next times."""

    id: str
    name: str
    cron: str
    time_zone: str
    command: str
    timeout: float | None
    #: Names alone: values may be secrets.
    env: list[str]
    working_dir: str | None
    labels: dict[str, str]
    retries: int
    retry_seconds: float
    priority: int
    missed: str
    overlap: str
    status: str
    owner: str
    created_at: str
    next: list[str]
    last_at: str | None
    last_job: str | None
    last_result: str


class ScheduleList(Struct):
    """Schedules, the oldest first."""

    schedules: list[ScheduleView]


class Times(Struct):
    """When an expression would fire."""

    next: list[str]


def schedule_routes(schedules: Schedules, *, secrets: Secrets | None, clock: Clock) -> Router:
    """The router."""
    handlers = [*_reading(schedules, clock), *_writing(schedules, secrets, clock)]
    return Router(path="/api/schedules", route_handlers=handlers, tags=["jobs"])


def _reading(schedules: Schedules, clock: Clock) -> list[Any]:
    @get("/", summary="Schedules", guards=[guard("schedules.read", each=True)])
    async def list_schedules(request: _AnyRequest) -> ScheduleList:
        actor = actor_of(request.scope)
        shown = [
            one for one in await schedules.all() if allow(actor, "schedules.read", _resource(one)).allowed
        ]
        return ScheduleList([_view(one, clock) for one in shown])

    @get(
        "/times",
        summary="When an expression would fire: its next ten times",
        guards=[guard("schedules.read", each=True)],
        # No schema says which texts are cron expressions.
        include_in_schema=False,
    )
    async def times(
        cron: Annotated[str, QueryParameter(max_length=CRON_CHARS_MAX)] = "@daily",
        time_zone: Annotated[str, QueryParameter(max_length=64)] = "UTC",
    ) -> Times:
        return Times([rfc3339(one) for one in next_times(cron, time_zone, clock.now())])

    @get("/{schedule_id:str}", summary="One schedule", guards=[guard("schedules.read", each=True)])
    async def get_schedule(request: _AnyRequest, schedule_id: FromPath[str]) -> ScheduleView:
        return _view(await _permitted(schedules, request, schedule_id, "schedules.read"), clock)

    return [list_schedules, times, get_schedule]


def _writing(schedules: Schedules, secrets: Secrets | None, clock: Clock) -> list[Any]:
    @post(
        "/",
        summary="Start a command by the clock",
        guards=[guard("jobs.start"), guard("schedules.create")],
        responses=_REFUSED,
    )
    async def create_schedule(request: _AnyRequest, data: JSONBody[NewSchedule]) -> Response[ScheduleView]:
        actor = actor_of(request.scope)
        await permit(actor, data.env, secrets)
        made = await schedules.create(_plan(data, by=str(actor)), owner=str(actor))
        headers = {"Location": f"/api/schedules/{made.id}"}
        return Response(_view(made, clock), status_code=201, headers=headers)

    @put(
        "/{schedule_id:str}",
        summary="Another plan",
        guards=[guard("schedules.write", each=True)],
        responses=_REFUSED,
    )
    async def replace_schedule(
        request: _AnyRequest, schedule_id: FromPath[str], data: JSONBody[NewSchedule]
    ) -> ScheduleView:
        await _permitted(schedules, request, schedule_id, "schedules.write")
        actor = actor_of(request.scope)
        await permit(actor, data.env, secrets)
        return _view(await schedules.replace(schedule_id, _plan(data, by=str(actor))), clock)

    @patch("/{schedule_id:str}", summary="Pause it, or go on", guards=[guard("schedules.write", each=True)])
    async def change_schedule(
        request: _AnyRequest, schedule_id: FromPath[str], data: JSONBody[ChangeSchedule]
    ) -> ScheduleView:
        await _permitted(schedules, request, schedule_id, "schedules.write")
        return _view(await schedules.enable(schedule_id, enabled=data.status == "active"), clock)

    @delete("/{schedule_id:str}", summary="Start it no more", guards=[guard("schedules.write", each=True)])
    async def delete_schedule(request: _AnyRequest, schedule_id: FromPath[str]) -> None:
        await _permitted(schedules, request, schedule_id, "schedules.write")
        await schedules.delete(schedule_id)

    @post("/{schedule_id:str}/run", summary="Start it now", guards=[guard("schedules.run", each=True)])
    async def run_schedule(request: _AnyRequest, schedule_id: FromPath[str]) -> dict[str, Any]:
        await _permitted(schedules, request, schedule_id, "schedules.run")
        return (await schedules.run_now(schedule_id)).as_json()

    return [create_schedule, replace_schedule, change_schedule, delete_schedule, run_schedule]


async def _permitted(schedules: Schedules, request: _AnyRequest, schedule_id: str, action: str) -> Schedule:
    return await found(request, action, schedules.get(schedule_id), _resource)


def _resource(schedule: Schedule) -> Resource:
    return Resource("schedule", schedule.id, schedule.owner)


def _plan(data: NewSchedule, *, by: str) -> Plan:
    return Plan(
        name=data.name,
        cron=data.cron,
        time_zone=data.time_zone,
        command=data.command,
        timeout_seconds=data.timeout,
        env=data.env,
        working_dir=data.working_dir,
        labels=data.labels,
        retries=data.retries,
        retry_seconds=data.retry_seconds,
        priority=data.priority,
        missed=data.missed,
        overlap=data.overlap,
        enabled=data.status == "active",
        secrets_of=by,
    )


def _view(one: Schedule, clock: Clock) -> ScheduleView:
    plan = one.plan
    upcoming = next_times(plan.cron, plan.time_zone, clock.now()) if plan.enabled else []
    return ScheduleView(
        id=one.id,
        name=plan.name,
        cron=plan.cron,
        time_zone=plan.time_zone,
        command=plan.command,
        timeout=plan.timeout_seconds,
        env=sorted(plan.env),
        working_dir=plan.working_dir,
        labels=dict(plan.labels),
        retries=plan.retries,
        retry_seconds=plan.retry_seconds,
        priority=plan.priority,
        missed=plan.missed,
        overlap=plan.overlap,
        status="active" if plan.enabled else "paused",
        owner=one.owner,
        created_at=rfc3339(one.created_at),
        next=[rfc3339(moment) for moment in upcoming],
        last_at=None if one.last_at is None else rfc3339(one.last_at),
        last_job=one.last_job,
        last_result=one.last_result,
    )
