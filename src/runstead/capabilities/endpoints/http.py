"""The management routes: look at endpoints and their runs, try one, fetch what a run left."""

from __future__ import annotations

import asyncio
import mimetypes
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath
from typing import IO, Annotated, Any
from urllib.parse import quote

from litestar import Request, Router, get, post
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import Response, Stream

from runstead.capabilities.endpoints.entry import json_schema
from runstead.capabilities.endpoints.model import Call
from runstead.capabilities.endpoints.request import BODY_BYTES_MAX, parse_body
from runstead.capabilities.endpoints.service import EndpointsService
from runstead.kernel.clock import rfc3339
from runstead.kernel.errors import RunsteadError
from runstead.kernel.limits import KIB, PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX
from runstead.platform.http import EventStream, actor_of, guard, request_id_of, sse
from runstead.platform.identity import Resource, allow, require

_AnyRequest = Request[Any, Any, Any]
_CHUNK_BYTES = 256 * KIB

#: Types that a browser may show. Everything else, above all HTML and SVG, which run scripts in our origin, is a download.
_SHOWN = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "application/json", "text/plain"})
_TEXT_SUFFIXES = frozenset({".txt", ".log", ".md", ".csv", ".tsv", ".yaml", ".yml", ".toml"})


def _resource(name: str) -> Resource:
    return Resource("endpoint", name)


def _permit(request: _AnyRequest, name: str, action: str) -> None:
    require(actor_of(request.scope), action, _resource(name))


def content_type_of(path: str) -> tuple[str, bool]:
    """A content type that is safe to serve, and whether it may be shown in place."""
    if PurePosixPath(path).suffix.lower() in _TEXT_SUFFIXES:
        return "text/plain; charset=utf-8", True
    guessed, encoding = mimetypes.guess_type(path, strict=False)
    if guessed in _SHOWN and encoding is None:
        return guessed, True
    return "application/octet-stream", False


def _download(path: str, opened: tuple[IO[bytes], int]) -> Stream:
    file, size = opened
    content_type, shown = content_type_of(path)
    name = quote(PurePosixPath(path).name)
    headers = {
        "Content-Length": str(size),
        "Content-Disposition": f"{'inline' if shown else 'attachment'}; filename*=UTF-8''{name}",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }
    return Stream(_chunks(file, size), media_type=content_type, headers=headers)


async def _chunks(file: IO[bytes], size: int) -> AsyncIterator[bytes]:
    with file:
        left = size
        while left > 0:
            chunk = await asyncio.to_thread(file.read, min(_CHUNK_BYTES, left))
            if not chunk:
                return
            left -= len(chunk)
            yield chunk


def routes(service: EndpointsService) -> Router:
    """The routes below /api/endpoints."""

    @get("/", summary="Declared endpoints with their counters")
    async def list_endpoints(request: _AnyRequest) -> dict[str, Any]:
        actor = actor_of(request.scope)
        shown = [
            one
            for one in service.overview()
            if allow(actor, "endpoints.read", _resource(one["name"])).allowed
        ]
        return {"endpoints": shown}

    @get("/schema", summary="JSON Schema of what a program writes to stdout")
    async def get_schema() -> dict[str, Any]:
        return json_schema()

    @get("/{name:str}/runs", summary="Runs of an endpoint, the newest first")
    async def list_runs(
        request: _AnyRequest,
        name: FromPath[str],
        limit: Annotated[int, QueryParameter(ge=1, le=PAGE_ROWS_MAX)] = PAGE_ROWS_DEFAULT,
        cursor: FromQuery[str | None] = None,
    ) -> dict[str, Any]:
        _permit(request, name, "endpoints.read")
        page, next_cursor = await service.archive.runs(name, limit=limit, cursor=cursor)
        return {"runs": page, "limit": limit, "next_cursor": next_cursor}

    @get("/{name:str}/runs/{run_id:str}", summary="One run: its result and its request")
    async def get_run(request: _AnyRequest, name: FromPath[str], run_id: FromPath[str]) -> dict[str, Any]:
        _permit(request, name, "endpoints.read")
        return await service.archive.run(name, run_id)

    @get(
        "/{name:str}/runs/{run_id:str}/events",
        summary="Follow a run: what it writes to stderr, line by line, and what becomes of it",
        opt={"content_types": ["text/event-stream"]},
    )
    async def follow_run(request: _AnyRequest, name: FromPath[str], run_id: FromPath[str]) -> EventStream:
        _permit(request, name, "endpoints.read")
        await service.archive.run(name, run_id)
        return sse(service.events(name, run_id))

    @get("/{name:str}/runs/{run_id:str}/stdout", summary="What the program wrote to stdout")
    async def get_stdout(request: _AnyRequest, name: FromPath[str], run_id: FromPath[str]) -> Stream:
        _permit(request, name, "endpoints.read")
        return _download("stdout.txt", await service.archive.open_file(name, run_id, "stdout"))

    @get("/{name:str}/runs/{run_id:str}/stderr", summary="What the program wrote to stderr")
    async def get_stderr(request: _AnyRequest, name: FromPath[str], run_id: FromPath[str]) -> Stream:
        _permit(request, name, "endpoints.read")
        return _download("stderr.txt", await service.archive.open_file(name, run_id, "stderr"))

    @get("/{name:str}/runs/{run_id:str}/artifacts", summary="Files that the program left")
    async def list_artifacts(
        request: _AnyRequest, name: FromPath[str], run_id: FromPath[str]
    ) -> dict[str, Any]:
        _permit(request, name, "endpoints.read")
        found = await service.archive.artifacts(name, run_id)
        return {
            "artifacts": [
                {
                    "path": artifact.path,
                    "size": artifact.size,
                    "modified_at": rfc3339(artifact.modified),
                    "content_type": content_type_of(artifact.path)[0],
                }
                for artifact in found
            ]
        }

    @get("/{name:str}/runs/{run_id:str}/artifacts/{artifact:path}", summary="One file that the program left")
    async def get_artifact(
        request: _AnyRequest, name: FromPath[str], run_id: FromPath[str], artifact: FromPath[Path]
    ) -> Stream:
        _permit(request, name, "endpoints.read")
        relative = artifact.as_posix().lstrip("/")
        opened = await service.archive.open_file(name, run_id, "artifacts", *relative.split("/"))
        return _download(relative, opened)

    @post(
        "/{name:str}/try",
        summary="Call an endpoint, also a disabled one",
        status_code=200,
        guards=[guard("endpoints.call", each=True)],
        opt={"body_max_bytes": BODY_BYTES_MAX},
    )
    async def try_endpoint(name: FromPath[str], request: _AnyRequest) -> Response[dict[str, Any]]:
        _permit(request, name, "endpoints.call")
        endpoint = service.get(name)
        code: str | None = RunsteadError.code
        try:
            body = parse_body(await request.body(), request.headers.get("content-type", ""))
            call = Call(entry_ids=body.entry_ids, params=body.params, request_id=request_id_of(request.scope))
            answer = await service.call(endpoint, call)
            code = None
        except RunsteadError as error:
            code = error.code
            raise
        finally:
            service.figures.answered(name, code)
        return Response(answer)

    return Router(
        path="/api/endpoints",
        guards=[guard("endpoints.read", each=True)],
        tags=["endpoints"],
        route_handlers=[
            list_endpoints,
            get_schema,
            list_runs,
            get_run,
            follow_run,
            get_stdout,
            get_stderr,
            list_artifacts,
            get_artifact,
            try_endpoint,
        ],
    )
