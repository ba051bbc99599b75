"""The routes of records as plain ASGI: authorise, parse, call the service, render."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl

from runstead.capabilities.records.access import READ, REINDEX, WRITE, Access
from runstead.capabilities.records.errors import InvalidRecordError
from runstead.capabilities.records.model import (
    MOMENT_RULE,
    NAME_RULE,
    RECORD_BYTES_MAX,
    Scope,
    is_name,
    parse_moment,
)
from runstead.capabilities.records.openapi import COMPONENTS, PATHS
from runstead.capabilities.records.service import RecordsService, Stored
from runstead.kernel.capability import ASGIApp, Receive, Send
from runstead.kernel.capability import Scope as AsgiScope
from runstead.kernel.limits import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX
from runstead.platform.http import (
    BodyLimit,
    MethodNotAllowedError,
    actor_of,
    body_limit,
    bytes_response,
    header_of,
    json_response,
    read_body,
    set_route,
)

ROOT: Final = "/v1/artifacts"
REINDEX_PATH: Final = "/admin/records/reindex"

#: Parameters of one query; more are none of ours.
_QUERY_FIELDS_MAX: Final = 50

_READING: Final = ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class Call:
    """A request, as far as the handlers need it."""

    asgi: AsgiScope
    receive: Receive
    #: The segments of the path that are parameters.
    arguments: tuple[str, ...]
    query: Mapping[str, str]
    #: Who asks, for the envelope.
    sender: str

    @property
    def scope(self) -> Scope:
        organization, project, service, *_ = self.arguments
        return Scope.parse(organization, project, service)


Handler = Callable[[Call], Awaitable[ASGIApp]]


@dataclass(frozen=True, slots=True)
class Route:
    """What one path does."""

    template: str
    methods: tuple[str, ...]
    action: str
    handler: Handler


class RecordsDispatcher:
    """Serves ``/v1/artifacts``. Paths below it that are nobody's are left to the router, which answers 404."""

    def __init__(self, service: RecordsService, access: Access) -> None:
        self._service = service
        self._access = access
        whose = ROOT + "/{organization}/{project}/{service}"
        self._ingest = Route(ROOT, ("POST",), WRITE, self._take_in)
        self._list = Route(whose, _READING, READ, self._list_runs)
        self._latest = Route(whose + "/latest", _READING, READ, self._read_latest)
        self._run = Route(whose + "/runs/{run_id}", _READING, READ, self._read_run)
        self._reindex = Route(REINDEX_PATH, ("POST",), REINDEX, self._rebuild)

    @property
    def body_limits(self) -> tuple[BodyLimit, ...]:
        """What the host must let through."""
        return (body_limit(ROOT, RECORD_BYTES_MAX),)

    def match(self, scope: AsgiScope) -> ASGIApp | None:
        """The application for this request."""
        if scope["type"] != "http":
            return None
        path: str = scope["path"]
        if not path.startswith((ROOT, REINDEX_PATH)):
            return None
        if path == REINDEX_PATH:
            return self._app(self._reindex, ())
        match [part for part in path.split("/") if part][2:]:
            case []:
                return self._app(self._ingest, ())
            case [_, _, _] as arguments:
                return self._app(self._list, tuple(arguments))
            case [*arguments, "latest"] if len(arguments) == 3:
                return self._app(self._latest, tuple(arguments))
            case [*arguments, "runs", run_id] if len(arguments) == 3:
                return self._app(self._run, (*arguments, run_id))
        return None

    def openapi_paths(self) -> Mapping[str, Any]:
        """What does not change."""
        return PATHS

    def openapi_components(self) -> Mapping[str, Any]:
        """What the paths refer to."""
        return COMPONENTS

    def _app(self, route: Route, arguments: tuple[str, ...]) -> ASGIApp:
        async def app(scope: AsgiScope, receive: Receive, send: Send) -> None:
            set_route(scope, route.template)
            if scope["method"] not in route.methods:
                raise MethodNotAllowedError(headers={"Allow": ", ".join(route.methods)})
            authorization = header_of(scope, b"authorization")
            sender = self._access.admit(actor_of(scope), route.action, authorization, arguments[:3])
            call = Call(scope, receive, arguments, _query(scope), str(sender))
            answer = await route.handler(call)
            await answer(scope, receive, _without_body(send) if scope["method"] == "HEAD" else send)

        return app

    async def _take_in(self, call: Call) -> ASGIApp:
        body = await read_body(call.receive, RECORD_BYTES_MAX)
        accepted = await self._service.ingest_body(body, actor=call.sender)
        answer = {"accepted": True, "run_id": accepted.run_id, "location": accepted.location}
        if accepted.duplicate:
            answer["duplicate"] = True
        scope = accepted.scope
        # No quoting: every character of a name is unreserved in URLs.
        url = f"{ROOT}/{scope.organization}/{scope.project}/{scope.service}/runs/{accepted.run_id}"
        return json_response(200 if accepted.duplicate else 202, answer, {"Location": url})

    async def _read_latest(self, call: Call) -> ASGIApp:
        return _record(await self._service.latest(call.scope), call)

    async def _read_run(self, call: Call) -> ASGIApp:
        scope, run_id = call.scope, _name("run_id", call.arguments[3])
        return _record(await self._service.read(scope, run_id), call)

    async def _list_runs(self, call: Call) -> ASGIApp:
        commit = call.query.get("commit")
        page = await self._service.runs(
            call.scope,
            commit_sha=None if commit is None else _name("commit", commit),
            since=_moment("since", call.query.get("since")),
            until=_moment("until", call.query.get("until")),
            cursor=call.query.get("cursor"),
            limit=_limit(call.query.get("limit")),
        )
        return json_response(200, {"runs": page.runs, "next_cursor": page.next_cursor})

    async def _rebuild(self, call: Call) -> ASGIApp:
        progress = await self._service.reindex(
            after=call.query.get("cursor"), limit=_limit(call.query.get("limit"))
        )
        return json_response(200, progress)


def _query(scope: AsgiScope) -> Mapping[str, str]:
    try:
        text = scope.get("query_string", b"").decode("ascii")
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_QUERY_FIELDS_MAX))
    except ValueError:
        raise InvalidRecordError(
            [("query", f"allowed: at most {_QUERY_FIELDS_MAX} parameters in ASCII")]
        ) from None


def _name(field: str, text: str) -> str:
    if not is_name(text):
        raise InvalidRecordError([(field, f"allowed: {NAME_RULE}")])
    return text


def _moment(field: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    # A plus that nobody escaped arrives as a space.
    moment = parse_moment(text.replace(" ", "+"))
    if moment is None:
        raise InvalidRecordError([(field, f"allowed: {MOMENT_RULE}")])
    return moment


def _limit(text: str | None) -> int:
    if text is None:
        return PAGE_ROWS_DEFAULT
    if text.isascii() and text.isdigit() and len(text) <= 9 and 1 <= int(text) <= PAGE_ROWS_MAX:
        return int(text)
    raise InvalidRecordError([("limit", f"allowed: 1 to {PAGE_ROWS_MAX}")])


def _record(stored: Stored, call: Call) -> ASGIApp:
    """The envelope as it is kept, or 304 when the client has it."""
    etag = f'"{stored.etag}"'
    # A proxy may keep it, but who may read is asked each time.
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if matches(header_of(call.asgi, b"if-none-match"), etag):
        return _not_modified(headers)
    return bytes_response(200, stored.data, "application/json", headers)


def matches(if_none_match: str | None, etag: str) -> bool:
    """Whether ``If-None-Match`` names this ETag, compared weakly (RFC 9110 section 13.1.2)."""
    given = [one.strip().removeprefix("W/") for one in (if_none_match or "").split(",")]
    return given == ["*"] or etag in given


def _not_modified(headers: Mapping[str, str]) -> ASGIApp:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def respond(_scope: AsgiScope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 304, "headers": raw})
        await send({"type": "http.response.body", "body": b""})

    return respond


def _without_body(send: Send) -> Send:
    async def send_head(message: Any) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return send_head
