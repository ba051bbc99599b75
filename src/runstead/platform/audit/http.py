"""The routes below /api/audit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Router, get
from litestar.params import QueryParameter

from runstead.kernel.limits import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX
from runstead.platform.audit.export import FORMATS
from runstead.platform.audit.store import Filter
from runstead.platform.audit.trail import Audit
from runstead.platform.http import ByteStream, guard
from runstead.platform.http.scope import actor_of

_TEXT = 512
Actor = Annotated[str, QueryParameter(max_length=_TEXT, description="As user:ID or machine:administrator.")]
Action = Annotated[
    str, QueryParameter(max_length=64, description="user.create, or user. for all that begins so.")
]
Resource = Annotated[str, QueryParameter(max_length=_TEXT, description="As app:hello.")]
Outcome = Annotated[Literal["", "success", "failure", "denied"], QueryParameter()]
Severity = Annotated[Literal["", "info", "notice", "warning", "alert"], QueryParameter()]
Address = Annotated[str, QueryParameter(max_length=64)]
RequestId = Annotated[str, QueryParameter(max_length=128)]
Moment = Annotated[str, QueryParameter(max_length=40, description="RFC 3339, in UTC.")]


class AuditEntry(msgspec.Struct, kw_only=True):
    """One act."""

    seq: int
    at: str
    action: str
    outcome: str
    severity: str
    actor: str
    resource: str
    address: str
    request_id: str
    details: dict[str, Any]
    hash: str


class AuditPage(msgspec.Struct):
    """Acts, the newest first."""

    entries: list[AuditEntry]
    next_cursor: int | None


class Verification(msgspec.Struct, kw_only=True):
    """Whether the trail is as it was written."""

    whole: bool
    entries: int
    broken_at: int | None
    reason: str


def history_route(audit: Audit) -> Any:
    """One's own sign-ins, out of the trail."""

    @get(
        "/auth/history",
        summary="Your sign-ins, the newest first",
        guards=[guard("self.read")],
        tags=["sign-in"],
    )
    async def history(
        request: Request[Any, Any, Any],
        limit: Annotated[int, QueryParameter(ge=1, le=PAGE_ROWS_MAX)] = PAGE_ROWS_DEFAULT,
        cursor: Annotated[int | None, QueryParameter(ge=1, le=2**62)] = None,
    ) -> AuditPage:
        mine = Filter(actor=str(actor_of(request.scope)), action="identity.")
        found = await audit.query(mine, limit=limit, before=cursor)
        more = found[-1].seq if len(found) == limit else None
        return AuditPage([AuditEntry(**one.as_json()) for one in found], more)

    return history


def audit_routes(audit: Audit) -> Router:
    """The router."""

    @get("/", summary="What was done, the newest first", guards=[guard("audit.read")])
    async def list_entries(
        actor: Actor = "",
        action: Action = "",
        resource: Resource = "",
        outcome: Outcome = "",
        severity: Severity = "",
        address: Address = "",
        request_id: RequestId = "",
        since: Moment = "",
        until: Moment = "",
        limit: Annotated[int, QueryParameter(ge=1, le=PAGE_ROWS_MAX)] = PAGE_ROWS_DEFAULT,
        cursor: Annotated[int | None, QueryParameter(ge=1, le=2**62)] = None,
    ) -> AuditPage:
        wanted = Filter(
            actor=actor,
            action=action,
            resource=resource,
            outcome=outcome,
            severity=severity,
            address=address,
            request_id=request_id,
            since=since,
            until=until,
        )
        found = await audit.query(wanted, limit=limit, before=cursor)
        more = found[-1].seq if len(found) == limit else None
        return AuditPage([AuditEntry(**one.as_json()) for one in found], more)

    @get(
        "/export",
        summary="All of it as a stream of lines",
        guards=[guard("audit.export")],
        opt={"content_types": [content_type for _, content_type in FORMATS.values()]},
    )
    async def export(
        form: Annotated[Literal["ndjson", "cef", "ocsf"], QueryParameter(name="format")] = "ndjson",
        actor: Actor = "",
        action: Action = "",
        resource: Resource = "",
        request_id: RequestId = "",
        address: Address = "",
        since: Moment = "",
        until: Moment = "",
    ) -> ByteStream:
        wanted = Filter(
            actor=actor,
            action=action,
            resource=resource,
            request_id=request_id,
            address=address,
            since=since,
            until=until,
        )
        await audit.write("audit.export", details={"format": form} | _given(wanted))
        return ByteStream(_lines(audit, wanted, form), content_type=FORMATS[form][1])

    @get("/verify", summary="Whether the trail is as it was written", guards=[guard("audit.verify")])
    async def verify() -> Verification:
        verdict = await audit.verify()
        return Verification(
            whole=verdict.whole, entries=verdict.entries, broken_at=verdict.broken_at, reason=verdict.reason
        )

    return Router(path="/api/audit", route_handlers=[list_entries, export, verify], tags=["audit"])


async def _lines(audit: Audit, wanted: Filter, form: str) -> AsyncIterator[bytes]:
    line_of = FORMATS[form][0]
    async for page in audit.export(wanted):
        yield b"".join(line_of(one) for one in page)


def _given(wanted: Filter) -> dict[str, str]:
    names = ("actor", "action", "resource", "request_id", "address", "since", "until")
    return {name: value for name in names if (value := getattr(wanted, name))}
