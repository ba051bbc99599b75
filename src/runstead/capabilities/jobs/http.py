"""The routes below /api/scripts."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Router, delete, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.response import Response
from msgspec import UNSET, Meta, Struct, UnsetType

from runstead.capabilities.jobs.access import permitted
from runstead.capabilities.jobs.command import COMMAND_CHARS_MAX, COMMAND_PATTERN
from runstead.capabilities.jobs.model import RETRY_SECONDS, RETRY_SECONDS_MAX, Status
from runstead.capabilities.jobs.newjob import NewJob, again_as
from runstead.capabilities.jobs.output.http import log_handlers
from runstead.capabilities.jobs.ports import Secrets
from runstead.capabilities.jobs.secrets import permit
from runstead.capabilities.jobs.service import GRACE_SECONDS_DEFAULT, JobsService
from runstead.capabilities.jobs.settings import TIMEOUT_SECONDS_CEILING
from runstead.kernel.limits import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX
from runstead.platform.http import actor_of, guard

#: A job id, which is what a cursor is.
_UUID = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"

_Name = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=128)]
_Text = Annotated[str, Meta(pattern=r"^[^\x00]*$", max_length=32_768)]

_Command = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=COMMAND_CHARS_MAX,
        description="Split by shell rules, run without a shell.",
        extra_json_schema={"pattern": COMMAND_PATTERN},
    ),
]
_Timeout = Annotated[
    float, Meta(gt=0, le=TIMEOUT_SECONDS_CEILING, description="Seconds; the default is 8 h.")
]
_Env = Annotated[
    dict[_Name, _Text],
    Meta(max_length=100, description="secret://ID is replaced by the secret when the program starts."),
]
_Labels = Annotated[
    dict[Annotated[str, Meta(min_length=1, max_length=64)], Annotated[str, Meta(max_length=256)]],
    Meta(max_length=20),
]
_Retries = Annotated[int, Meta(ge=0, le=100, description="Further attempts when one fails.")]
_Priority = Annotated[int, Meta(ge=-100, le=100, description="Those with more go first.")]


class StartJob(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A command to run."""

    command: _Command
    timeout: _Timeout | None = None
    name: Annotated[
        str, Meta(max_length=128, description="What people call it; default: the script's name.")
    ] = ""
    env: _Env = {}
    working_dir: Annotated[str, Meta(max_length=4096, description="Relative to jobs.working_dir.")] | None = (
        None
    )
    labels: _Labels = {}
    retries: _Retries = 0
    retry_seconds: Annotated[
        float,
        Meta(
            ge=0, le=RETRY_SECONDS_MAX, description="Before the first of them; doubled each time, up to 1 h."
        ),
    ] = RETRY_SECONDS
    priority: _Priority = 0

    def wanted(self) -> NewJob:
        return NewJob(
            command=self.command,
            name=self.name,
            timeout_seconds=self.timeout,
            env=self.env,
            working_dir=self.working_dir,
            labels=self.labels,
            retries=self.retries,
            retry_seconds=self.retry_seconds,
            priority=self.priority,
        )


class RerunJob(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """What is to be different. Variables are added to those of the job."""

    command: _Command | UnsetType = UNSET
    timeout: _Timeout | UnsetType = UNSET
    env: _Env = {}
    labels: _Labels | UnsetType = UNSET
    retries: _Retries | UnsetType = UNSET
    priority: _Priority | UnsetType = UNSET


class KillJob(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How to end a job."""

    signal: Literal["TERM", "INT", "HUP", "QUIT", "USR1", "USR2", "KILL"] = "TERM"
    grace_seconds: Annotated[float, Meta(ge=0, le=3600, description="Until KILL follows.")] = (
        GRACE_SECONDS_DEFAULT
    )


def routes(service: JobsService, *, secrets: Secrets | None) -> Router:
    """Everything that one may do with jobs."""

    @post("/", guards=[guard("jobs.start")], summary="Start a command", status_code=201)
    async def start_job(
        request: Request[Any, Any, Any], data: JSONBody[StartJob]
    ) -> Response[dict[str, Any]]:
        return await _started(request, data.wanted())

    async def _started(request: Request[Any, Any, Any], wanted: NewJob) -> Response[dict[str, Any]]:
        actor = actor_of(request.scope)
        await permit(actor, wanted.env or {}, secrets)
        job = await service.start(replace(wanted, owner=str(actor)))
        return Response(job.as_json(), status_code=201, headers={"Location": f"/api/scripts/{job.id}"})

    @get("/", guards=[guard("jobs.read")], summary="Jobs, the newest first")
    async def list_jobs(
        status: FromQuery[Status | None] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=PAGE_ROWS_MAX)] = PAGE_ROWS_DEFAULT,
        cursor: Annotated[str | None, QueryParameter(pattern=_UUID)] = None,
    ) -> dict[str, Any]:
        jobs, next_cursor = await service.page(status=status, limit=limit, cursor=cursor)
        return {"jobs": [job.as_json() for job in jobs], "limit": limit, "next_cursor": next_cursor}

    @get("/{job_id:str}", guards=[guard("jobs.read", each=True)], summary="One job with its attempts")
    async def get_job(request: Request[Any, Any, Any], job_id: FromPath[str]) -> dict[str, Any]:
        job = await permitted(service, request, job_id, "jobs.read")
        return {**job.as_json(), "attempts": await service.attempts(job.id)}

    @post(
        "/{job_id:str}/kill",
        guards=[guard("jobs.kill", each=True)],
        summary="End a job and all that it started",
        status_code=200,
    )
    async def kill_job(
        request: Request[Any, Any, Any], job_id: FromPath[str], data: JSONBody[KillJob | None] = None
    ) -> dict[str, Any]:
        job, how = await permitted(service, request, job_id, "jobs.kill"), data or KillJob()
        return (await service.kill(job.id, signal_name=how.signal, grace_seconds=how.grace_seconds)).as_json()

    @post(
        "/{job_id:str}/restart",
        guards=[guard("jobs.restart", each=True)],
        summary="A new attempt of a job that has ended",
        status_code=200,
    )
    async def restart_job(request: Request[Any, Any, Any], job_id: FromPath[str]) -> dict[str, Any]:
        job = await permitted(service, request, job_id, "jobs.restart")
        return (await service.restart(job.id)).as_json()

    @post(
        "/{job_id:str}/rerun",
        guards=[guard("jobs.start"), guard("jobs.read", each=True)],
        summary="A new job like this one, with what is to be different",
        status_code=201,
    )
    async def rerun_job(
        request: Request[Any, Any, Any], job_id: FromPath[str], data: JSONBody[RerunJob | None] = None
    ) -> Response[dict[str, Any]]:
        job = await permitted(service, request, job_id, "jobs.read")
        return await _started(request, again_as(job, msgspec.structs.asdict(data or RerunJob())))

    @delete(
        "/{job_id:str}",
        guards=[guard("jobs.delete", each=True)],
        summary="Remove a job that has ended, and its logs",
        status_code=204,
    )
    async def delete_job(request: Request[Any, Any, Any], job_id: FromPath[str]) -> None:
        job = await permitted(service, request, job_id, "jobs.delete")
        await service.delete(job.id)

    return Router(
        path="/api/scripts",
        route_handlers=[
            start_job,
            list_jobs,
            get_job,
            *log_handlers(service),
            kill_job,
            restart_job,
            rerun_job,
            delete_job,
        ],
        tags=["jobs"],
    )
