"""The output of a job: a page of it, or live as Server-Sent Events or over a WebSocket (RFC 6455)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
from litestar import MediaType, Request, WebSocket, get, websocket
from litestar.exceptions import WebSocketDisconnect
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter
from litestar.response import Response

from runstead.capabilities.jobs.access import permitted
from runstead.capabilities.jobs.model import Job
from runstead.capabilities.jobs.output.lines import Line, Missed
from runstead.capabilities.jobs.service import JobsService
from runstead.kernel.clock import parse_rfc3339
from runstead.kernel.errors import NotFoundError
from runstead.platform.http import SseEvent, draining_event, guard, sse

#: Lines of one page of a log that is not streamed.
LOG_PAGE_LINES_MAX: Final = 10_000
#: A browser without further word reconnects after so long.
_RETRY_MS: Final = 1000

Tail = Annotated[
    int | None, QueryParameter(ge=0, le=LOG_PAGE_LINES_MAX, description="The last so many lines.")
]
From = Annotated[int | None, QueryParameter(name="from", ge=0, description="From this line on.")]
Since = Annotated[
    str | None,
    QueryParameter(
        pattern=r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?"
        r"(Z|[+ -]([01]\d|2[0-3]):[0-5]\d)$",
        description="From the first line on that is not older: RFC 3339, as 2026-01-31T12:00:00Z.",
    ),
]
Attempt = Annotated[int | None, QueryParameter(ge=1, le=1_000_000, description="Default: the newest.")]


@dataclass(frozen=True, slots=True)
class _View:
    """Which lines somebody wants to see."""

    service: JobsService
    job: Job
    attempt: int | None
    start: int
    #: Lines that there were when they asked.
    total: int

    def follow(self) -> AsyncGenerator[list[Line] | Missed]:
        return self.service.follow(self.job.id, seq=self.start, attempt=self.attempt)

    async def end(self) -> bytes:
        return msgspec.json.encode((await self.service.get(self.job.id)).as_json())


async def _view(
    service: JobsService,
    connection: Any,
    job_id: str,
    *,
    tail: int | None,
    from_: int | None,
    since: str | None,
    attempt: int | None,
) -> _View:
    job = await permitted(service, connection, job_id, "jobs.read")
    total = await service.count_lines(job, attempt)
    last_seen = connection.headers.get("last-event-id", "")
    if last_seen.isascii() and last_seen.isdigit() and len(last_seen) < 19:
        start = int(last_seen) + 1
    elif tail is not None:
        start = total - tail + 1
    elif since is not None:
        start = await service.first_since(job, _seconds(since), attempt) or total + 1
    else:
        start = from_ or 1
    return _View(service, job, attempt, max(1, start), total)


def _seconds(moment: str) -> float:
    try:
        # A plus in a query is a blank.
        return parse_rfc3339(moment.replace(" ", "+")).timestamp()
    except (ValueError, OverflowError) as error:
        raise NotFoundError(f"there is no such time: {moment}", details={"field": "since"}) from error


def log_handlers(service: JobsService) -> list[Any]:
    """The routes below one job."""

    @get(
        "/{job_id:str}/logs",
        guards=[guard("jobs.read", each=True)],
        summary="Its output: live as text/event-stream or over a WebSocket, else a page as JSON or plain text",
        description="Streams `line` events (`id` is the sequence number), `missed` when lines were passed over, and `end`. "
        'A WebSocket gets the same as `{"event", "data"}`, a message each.',
        responses={200: ResponseSpec(dict[str, Any], generate_examples=False, media_type=MediaType.JSON)},
        media_type=MediaType.JSON,
    )
    async def get_logs(
        request: Request[Any, Any, Any],
        job_id: FromPath[str],
        tail: Tail = None,
        from_: From = None,
        since: Since = None,
        attempt: Attempt = None,
        limit: Annotated[int, QueryParameter(ge=1, le=LOG_PAGE_LINES_MAX)] = 1000,
    ) -> Any:
        view = await _view(service, request, job_id, tail=tail, from_=from_, since=since, attempt=attempt)
        accept = request.headers.get("accept", "")
        if "text/event-stream" in accept:
            return sse(_events(view))
        lines = await _page(view, min(limit, view.total - view.start + 1))
        if "text/plain" in accept:
            text = "".join(f"{line.text}\n" for line in lines)
            return Response(text, media_type="text/plain; charset=utf-8")
        more = lines[-1].seq + 1 if lines and lines[-1].seq < view.total else None
        return Response({"lines": [line.as_json() for line in lines], "total": view.total, "next_from": more})

    @websocket("/{job_id:str}/logs", guards=[guard("jobs.read", each=True)])
    async def watch_logs(
        socket: WebSocket[Any, Any, Any],
        job_id: FromPath[str],
        tail: Tail = None,
        from_: From = None,
        since: Since = None,
        attempt: Attempt = None,
    ) -> None:
        view = await _view(service, socket, job_id, tail=tail, from_=from_, since=since, attempt=attempt)
        await socket.accept()
        sending = asyncio.create_task(_send(socket, view))
        gone = asyncio.create_task(_until_gone(socket))
        tasks: set[asyncio.Task[Any]] = {sending, gone}
        if (draining := draining_event(socket.scope)) is not None:
            # The server stops: the watcher comes back to the next one.
            tasks.add(asyncio.create_task(draining.wait()))
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if not sending.cancelled():
            sending.result()
        if gone.cancelled():
            # Only now that nobody waits for a message: granian closes no socket that somebody reads.
            await socket.close()

    return [get_logs, watch_logs]


async def _events(view: _View) -> AsyncIterator[SseEvent | bytes]:
    yield b"retry: %d\n\n" % _RETRY_MS
    async with contextlib.aclosing(view.follow()) as following:
        async for found in following:
            if isinstance(found, Missed):
                yield SseEvent(event="missed", data=f'{{"missed":{found.lines}}}')
            else:
                yield b"".join([line.event for line in found])
    yield SseEvent(event="end", data=(await view.end()).decode())


async def _send(socket: WebSocket[Any, Any, Any], view: _View) -> None:
    async with contextlib.aclosing(view.follow()) as following:
        async for found in following:
            if isinstance(found, Missed):
                await socket.send_text(f'{{"event":"missed","data":{{"missed":{found.lines}}}}}')
                continue
            for line in found:
                await socket.send_text(f'{{"event":"line","data":{line.json.decode()}}}')
    await socket.send_text(f'{{"event":"end","data":{(await view.end()).decode()}}}')


async def _until_gone(socket: WebSocket[Any, Any, Any]) -> None:
    """What a watcher says is of no interest; that it goes is."""
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            await socket.receive_data(mode="text")


async def _page(view: _View, count: int) -> list[Line]:
    lines: list[Line] = []
    if count <= 0:
        return lines
    async with contextlib.aclosing(view.follow()) as following:
        async for found in following:
            if not isinstance(found, Missed):
                lines += found
            if len(lines) >= count:
                break
    return lines[:count]
