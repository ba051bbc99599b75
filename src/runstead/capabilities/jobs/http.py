"""The routes below /api/scripts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import msgspec
from litestar import MediaType, Request, Router, delete, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.response import Response
from msgspec import Meta, Struct

from runstead.capabilities.jobs.command import COMMAND_CHARS_MAX
from runstead.capabilities.jobs.errors import JobNotFoundError
from runstead.capabilities.jobs.model import Job, Status
from runstead.capabilities.jobs.newjob import NewJob
from runstead.capabilities.jobs.secrets import permit
from runstead.capabilities.jobs.service import GRACE_SECONDS_DEFAULT, JobsService
from runstead.capabilities.jobs.settings import TIMEOUT_SECONDS_CEILING
from runstead.capabilities.jobs.tee import Line, Missed
from runstead.kernel.ids import is_uuid
from runstead.kernel.limits import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX
from runstead.platform.http import SseEvent, actor_of, guard, sse
from runstead.platform.identity import Resource, require

#: A job id, which is what a cursor is.
_UUID = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
#: Lines of one page of a log that is not streamed.
LOG_PAGE_LINES_MAX = 10_000
#: A browser without further word reconnects after so long.
_RETRY_MS = 1000

_Name = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=128)]
_Text = Annotated[str, Meta(pattern=r"^[^\x00]*$", max_length=32_768)]

#: For readers of the API description, the plain part of what is taken: quotes match, and nothing outside them asks for a shell.
#: What is refused is decided by ``split_command``, which names the column.
_COMMAND_PATTERN = (
    r"""^[A-Za-z0-9_./-](?:[^&|;`<>$\\'"\x00\r\n]|\\[^\x00]|'[^'\x00]*'|"(?:[^"\\\x00]|\\[^\x00])*")*$"""
)


class StartJob(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A command to run."""

    command: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=COMMAND_CHARS_MAX,
            description="Split by shell rules, run without a shell.",
            extra_json_schema={"pattern": _COMMAND_PATTERN},
        ),
    ]
    timeout: (
        Annotated[float, Meta(gt=0, le=TIMEOUT_SECONDS_CEILING, description="Seconds; the default is 8 h.")]
        | None
    ) = None
    name: Annotated[
        str, Meta(max_length=128, description="What people call it; default: the script's name.")
    ] = ""
    env: Annotated[
        dict[_Name, _Text],
        Meta(max_length=100, description="secret://ID is replaced by the secret when the program starts."),
    ] = {}
    working_dir: Annotated[str, Meta(max_length=4096, description="Relative to jobs.working_dir.")] | None = (
        None
    )
    labels: Annotated[
        dict[Annotated[str, Meta(min_length=1, max_length=64)], Annotated[str, Meta(max_length=256)]],
        Meta(max_length=20),
    ] = {}
    retries: Annotated[int, Meta(ge=0, le=100, description="Further attempts when one fails.")] = 0


class KillJob(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How to end a job."""

    signal: Literal["TERM", "INT", "HUP", "QUIT", "USR1", "USR2", "KILL"] = "TERM"
    grace_seconds: Annotated[float, Meta(ge=0, le=3600, description="Until KILL follows.")] = (
        GRACE_SECONDS_DEFAULT
    )


def routes(service: JobsService) -> Router:
    """Everything that one may do with jobs."""

    @post("/", guards=[guard("jobs.start")], summary="Start a command", status_code=201)
    async def start_job(
        request: Request[Any, Any, Any], data: JSONBody[StartJob]
    ) -> Response[dict[str, Any]]:
        await permit(actor_of(request.scope), data.env, service.secrets)
        job = await service.start(
            NewJob(
                command=data.command,
                name=data.name,
                timeout_seconds=data.timeout,
                env=data.env,
                working_dir=data.working_dir,
                labels=data.labels,
                retries=data.retries,
                owner=str(actor_of(request.scope)),
            )
        )
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
        job = await _permitted(service, request, job_id, "jobs.read")
        return {**job.as_json(), "attempts": await service.attempts(job.id)}

    @get(
        "/{job_id:str}/logs",
        guards=[guard("jobs.read", each=True)],
        summary="Its output: live as text/event-stream, else a page as JSON or plain text",
        description="Streams `line` events (`id` is the sequence number), `missed` when lines were passed over, and `end`.",
        responses={200: ResponseSpec(dict[str, Any], generate_examples=False, media_type=MediaType.JSON)},
        media_type=MediaType.JSON,
    )
    async def get_logs(
        request: Request[Any, Any, Any],
        job_id: FromPath[str],
        tail: Annotated[int | None, QueryParameter(ge=0, le=LOG_PAGE_LINES_MAX)] = None,
        from_: Annotated[int | None, QueryParameter(name="from", ge=0)] = None,
        attempt: Annotated[int | None, QueryParameter(ge=1, le=1_000_000)] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=LOG_PAGE_LINES_MAX)] = 1000,
    ) -> Any:
        job = await _permitted(service, request, job_id, "jobs.read")
        total = await service.count_lines(job, attempt)
        start = max(1, total - tail + 1) if tail is not None else max(1, from_ or 1)
        accept = request.headers.get("accept", "")
        if "text/event-stream" in accept:
            last = request.headers.get("last-event-id", "")
            start = int(last) + 1 if last.isascii() and last.isdigit() and len(last) < 19 else start
            return sse(_events(service, job.id, start, attempt))
        lines = await _page(service, job.id, start, attempt, min(limit, total - start + 1))
        if "text/plain" in accept:
            return Response(
                "".join(f"{line.text}\n" for line in lines), media_type="text/plain; charset=utf-8"
            )
        more = lines[-1].seq + 1 if lines and lines[-1].seq < total else None
        return Response({"lines": [line.as_json() for line in lines], "total": total, "next_from": more})

    @post(
        "/{job_id:str}/kill",
        guards=[guard("jobs.kill", each=True)],
        summary="End a job and all that it started",
        status_code=200,
    )
    async def kill_job(
        request: Request[Any, Any, Any], job_id: FromPath[str], data: JSONBody[KillJob | None] = None
    ) -> dict[str, Any]:
        job, how = await _permitted(service, request, job_id, "jobs.kill"), data or KillJob()
        return (await service.kill(job.id, signal_name=how.signal, grace_seconds=how.grace_seconds)).as_json()

    @post(
        "/{job_id:str}/restart",
        guards=[guard("jobs.restart", each=True)],
        summary="A new attempt of a job that has ended",
        status_code=200,
    )
    async def restart_job(request: Request[Any, Any, Any], job_id: FromPath[str]) -> dict[str, Any]:
        job = await _permitted(service, request, job_id, "jobs.restart")
        return (await service.restart(job.id)).as_json()

    @delete(
        "/{job_id:str}",
        guards=[guard("jobs.delete", each=True)],
        summary="Remove a job that has ended, and its logs",
        status_code=204,
    )
    async def delete_job(request: Request[Any, Any, Any], job_id: FromPath[str]) -> None:
        job = await _permitted(service, request, job_id, "jobs.delete")
        await service.delete(job.id)

    return Router(
        path="/api/scripts",
        route_handlers=[start_job, list_jobs, get_job, get_logs, kill_job, restart_job, delete_job],
        tags=["jobs"],
    )


def _known(job_id: str) -> str:
    if not is_uuid(job_id):
        raise JobNotFoundError(f"there is no job {job_id[:64]!r}")
    return job_id


async def _permitted(service: JobsService, request: Request[Any, Any, Any], job_id: str, action: str) -> Job:
    """The job, for who may do this to it."""
    actor, job_id = actor_of(request.scope), _known(job_id)
    try:
        job = await service.get(job_id)
    except JobNotFoundError:
        # Whoever may on all jobs learns that there is none; nobody else does.
        require(actor, action)
        raise
    require(actor, action, Resource("job", job.id, job.owner))
    return job


async def _events(
    service: JobsService, job_id: str, start: int, attempt: int | None
) -> AsyncIterator[SseEvent]:
    encode = msgspec.json.encode
    retry: int | None = _RETRY_MS
    async for one in service.follow(job_id, seq=start, attempt=attempt):
        if isinstance(one, Missed):
            yield SseEvent(event="missed", data=f'{{"missed":{one.lines}}}', retry_ms=retry)
        else:
            yield SseEvent(event="line", id=str(one.seq), data=encode(one.as_json()).decode(), retry_ms=retry)
        retry = None
    job = await service.get(job_id)
    yield SseEvent(event="end", data=encode(job.as_json()).decode())


async def _page(service: JobsService, job_id: str, start: int, attempt: int | None, count: int) -> list[Line]:
    lines: list[Line] = []
    if count <= 0:
        return lines
    following = service.follow(job_id, seq=start, attempt=attempt)
    async for one in following:
        if isinstance(one, Line):
            lines.append(one)
        if len(lines) >= count:
            break
    await following.aclose()
    return lines
