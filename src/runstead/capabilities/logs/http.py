"""The hot routes as plain ASGI: taking batches, searching, and the hints for senders."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec

from runstead.capabilities.logs.decoding import NDJSON
from runstead.capabilities.logs.errors import BadQueryError, SignatureError
from runstead.capabilities.logs.ingest import Batch
from runstead.capabilities.logs.model import (
    BATCH_BYTES_MAX,
    BATCH_EVENTS_MAX,
    LEVELS,
    Level,
    Project,
    Query,
    StoredEvent,
    moment_of,
)
from runstead.capabilities.logs.openapi import components, paths
from runstead.capabilities.logs.queries import parse_query
from runstead.capabilities.logs.service import LogsService
from runstead.capabilities.logs.settings import LogsSettings
from runstead.capabilities.logs.signature import Signed
from runstead.kernel.capability import ASGIApp, Receive, Scope, Send
from runstead.kernel.clock import rfc3339
from runstead.kernel.errors import ForbiddenError
from runstead.kernel.limits import PAGE_ROWS_MAX
from runstead.platform.http import (
    BodyLimit,
    MethodNotAllowedError,
    actor_of,
    body_limit,
    bytes_response,
    header_of,
    json_response,
    read_body,
    request_id_of,
    set_route,
    stream,
)
from runstead.platform.identity import Actor, Resource, allow, granted_ids, require

LOG_PATH: Final = "/api/log"
CONFIG_PATH: Final = "/config"

#: Seconds that senders may keep the hints.
CONFIG_SECONDS: Final = 300

_encode = msgspec.json.Encoder().encode

Handler = Callable[[Scope, Receive], Awaitable[ASGIApp]]


class LogsDispatcher:
    """Serves ``/api/log`` and ``/config``."""

    def __init__(self, service: LogsService) -> None:
        self._service = service
        hints = _encode(sampling_hints(service.settings))
        etag = f'"{hashlib.sha256(hints).hexdigest()[:32]}"'
        headers = {"ETag": etag, "Cache-Control": f"public, max-age={CONFIG_SECONDS}"}
        self._etag = etag
        self._hints = bytes_response(200, hints, "application/json", headers)
        self._same = _empty(304, headers)
        self._handlers: Mapping[str, Mapping[str, Handler]] = {
            LOG_PATH: {"POST": self._take, "GET": self._search, "HEAD": self._search},
            CONFIG_PATH: {"GET": self._config, "HEAD": self._config},
        }

    @property
    def body_limits(self) -> tuple[BodyLimit, ...]:
        """What the host must let through."""
        return (body_limit(LOG_PATH, BATCH_BYTES_MAX),)

    def match(self, scope: Scope) -> ASGIApp | None:
        """The application for this request."""
        if scope["type"] != "http":
            return None
        handlers = self._handlers.get(scope["path"])
        if handlers is None:
            return None

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            set_route(scope, scope["path"])
            method = scope["method"]
            handler = handlers.get(method)
            if handler is None:
                raise MethodNotAllowedError(headers={"Allow": ", ".join(handlers)})
            answer = await handler(scope, receive)
            await answer(scope, receive, _without_body(send) if method == "HEAD" else send)

        return app

    def openapi_paths(self) -> Mapping[str, Any]:
        """What does not change."""
        return paths()

    def openapi_components(self) -> Mapping[str, Any]:
        """What the paths refer to."""
        return components()

    async def _take(self, scope: Scope, receive: Receive) -> ASGIApp:
        self._service.limits.admit_request(_address_of(scope))
        body = await read_body(receive, BATCH_BYTES_MAX)
        project = await self._sender(scope, body)
        batch = Batch(
            body=body,
            content_type=header_of(scope, b"content-type") or "",
            content_encoding=header_of(scope, b"content-encoding") or "",
            idempotency_key=header_of(scope, b"idempotency-key"),
            partial=_partial(scope["query_string"]),
            request_id=request_id_of(scope),
        )
        answer = await self._service.ingest.take(project, batch)
        return json_response(200, answer.body, answer.headers)

    async def _search(self, scope: Scope, receive: Receive) -> ASGIApp:
        project = None
        if header_of(scope, b"x-project-key") is not None:
            self._service.limits.admit_request(_address_of(scope))
            project = await self._sender(scope, await read_body(receive, 0))
        query, slug = parse_query(scope["query_string"])
        if project is None:
            query = await self._permitted(actor_of(scope), query, slug)
        if slug is not None:
            if project is not None and project.slug != slug:
                raise ForbiddenError("This key reads its own project only.")
            project = await self._service.projects.get(slug)
        if project is not None:
            query = replace(query, project_id=project.id)
        if NDJSON in (header_of(scope, b"accept") or "") and scope["method"] == "GET":
            return await self._export(query)
        found, cursor = await self._service.search(query)
        page = {
            "logs": [event_json(one) for one in found],
            "limit": query.limit,
            "next_cursor": None if cursor is None else str(cursor),
        }
        return json_response(200, page)

    async def _permitted(self, actor: Actor, query: Query, slug: str | None) -> Query:
        """The query, narrowed to the projects that somebody may read."""
        if allow(actor, "logs.read").allowed:
            return query
        slugs = granted_ids(actor, "logs.read", "log")
        if slug is not None or not slugs:
            require(actor, "logs.read", None if slug is None else Resource("log", slug))
        known = {one.slug: one.id for one in await self._service.projects.all()}
        return replace(query, projects=sorted(known[one] for one in slugs if one in known))

    async def _export(self, query: Query) -> ASGIApp:
        """Every event that matches, as one stream of lines."""
        pages = self._service.export(replace(query, limit=PAGE_ROWS_MAX))
        # The first page before the status: a query that fails gets an error, not half an answer.
        first = await anext(pages)

        async def lines() -> AsyncIterator[bytes]:
            yield _lines(first)
            async for page in pages:
                yield _lines(page)

        return stream(lines(), NDJSON)

    async def _config(self, scope: Scope, _receive: Receive) -> ASGIApp:
        known = header_of(scope, b"if-none-match") or ""
        tags = {tag.strip().removeprefix("W/") for tag in known.split(",")}
        return self._same if tags & {self._etag, "*"} else self._hints

    async def _sender(self, scope: Scope, body: bytes) -> Project:
        key, signature = header_of(scope, b"x-project-key"), header_of(scope, b"x-signature")
        if key is None or signature is None:
            raise SignatureError(
                "This needs X-Project-Key, and X-Signature: the hex HMAC-SHA256 of the raw body.",
                headers={"WWW-Authenticate": 'Signature realm="runstead logs"'},
            )
        signed = Signed(signature, header_of(scope, b"x-timestamp") or "")
        return await self._service.ingest.authenticate(key, signed, body)


def event_json(stored: StoredEvent) -> dict[str, Any]:
    """An event on the wire."""
    event = stored.event
    return {
        "id": event.id,
        "project": stored.project,
        "ts": rfc3339(moment_of(event.ts)),
        "level": Level(event.level).label,
        "message": event.message,
        "source": event.source,
        "env": event.env,
        "context": msgspec.Raw(event.context.encode()),
        "fingerprint": event.fingerprint,
        "group": event.group,
        "request_id": event.request_id or None,
        "user_id": event.user_id or None,
        "tags": event.tags.strip(",") or None,
        "created_at": rfc3339(moment_of(stored.created_at)),
    }


def _lines(events: Sequence[StoredEvent]) -> bytes:
    return b"".join(_encode(event_json(event)) + b"\n" for event in events)


def sampling_hints(settings: LogsSettings) -> dict[str, Any]:
    """What well-behaved senders go by."""
    return {
        "sampling": {level: getattr(settings, f"sample_{level}") for level in LEVELS},
        "batch": {"events_max": BATCH_EVENTS_MAX, "bytes_max": BATCH_BYTES_MAX, "flush_seconds": 5},
        "refresh_seconds": CONFIG_SECONDS,
    }


def _partial(query_string: bytes) -> bool:
    match query_string:
        case b"" | b"partial=false" | b"partial=0":
            return False
        case b"partial=true" | b"partial=1":
            return True
    problem = {"field": "query", "message": "allowed: partial=true or partial=false"}
    raise BadQueryError(
        "Only partial=true or partial=false may stand behind the path.", details={"errors": [problem]}
    )


def _address_of(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else "unknown"


def _empty(status: int, headers: Mapping[str, str]) -> ASGIApp:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def respond(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": b""})

    return respond


def _without_body(send: Send) -> Send:
    async def send_head(message: Any) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return send_head
