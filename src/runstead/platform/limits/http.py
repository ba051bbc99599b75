"""The routes below /api/limits."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import Router, delete, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta

from runstead.kernel.clock import rfc3339
from runstead.kernel.limits import PAGE_ROWS_MAX
from runstead.platform.http.moments import Moment, moment_of
from runstead.platform.identity import guard
from runstead.platform.limits.addresses import ListedAddress
from runstead.platform.limits.limiter import Limiter

#: Networks as the description shows them; IPv6 ones are taken as well.
_BYTE = r"(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_NETWORK = rf"^({_BYTE}\.){{3}}{_BYTE}/(3[0-2]|[12][0-9]|[1-9])$"


class RuleView(msgspec.Struct, kw_only=True):
    """A rule that holds."""

    name: str
    by: str
    limit: str
    paths: list[str]
    methods: list[str]


class AddressView(msgspec.Struct, kw_only=True):
    """An address that is shut out or exempt."""

    id: str
    kind: Literal["block", "allow"]
    network: str
    reason: str
    created_at: str
    created_by: str
    expires_at: str | None


class LimitsView(msgspec.Struct):
    """What holds."""

    rules: list[RuleView]
    addresses: list[AddressView]


class NewAddress(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An address or a network to be shut out or exempt."""

    kind: Literal["block", "allow"]
    network: Annotated[
        str,
        Meta(
            min_length=2,
            max_length=64,
            description="As 203.0.113.9, 203.0.113.0/24 or 2001:db8::/32.",
            extra_json_schema={"anyOf": [{"format": "ipv4"}, {"format": "ipv6"}, {"pattern": _NETWORK}]},
        ),
    ]
    reason: Annotated[str, Meta(max_length=500)] = ""
    expires_at: Moment | None = None


class HourView(msgspec.Struct, kw_only=True):
    """What somebody asked within an hour."""

    hour: str
    rule: str
    subject: str
    allowed: int
    refused: int


class UsageView(msgspec.Struct):
    """What was asked, the latest hour first."""

    usage: list[HourView]


_Text = Annotated[str, QueryParameter(max_length=300)]
_REFUSED = {
    400: ResponseSpec(None, description="It is no address and no network."),
    409: ResponseSpec(None, description="It is on the list, or the list is full."),
}


def limit_routes(limiter: Limiter) -> Router:
    """The router."""

    @get(
        "/", summary="The rules, and the addresses that are shut out or exempt", guards=[guard("limits.read")]
    )
    async def show() -> LimitsView:
        rules = [
            RuleView(
                name=rule.name,
                by=rule.by,
                limit=rule.limit,
                paths=list(rule.paths),
                methods=list(rule.methods),
            )
            for rule in limiter.rules
        ]
        return LimitsView(rules, [_view(one) for one in await limiter.addresses.list()])

    @post(
        "/addresses",
        summary="Shut an address out, or exempt it",
        guards=[guard("limits.write")],
        responses=_REFUSED,
    )
    async def add(data: JSONBody[NewAddress]) -> AddressView:
        return _view(
            await limiter.addresses.add(
                data.kind,
                data.network,
                reason=data.reason,
                expires_at=moment_of(data.expires_at, "expires_at"),
            )
        )

    @delete(
        "/addresses/{entry_id:str}", summary="Take an address off its list", guards=[guard("limits.write")]
    )
    async def remove(entry_id: FromPath[str]) -> None:
        await limiter.addresses.remove(entry_id)

    @get("/usage", summary="What was asked, by hour", guards=[guard("limits.read")])
    async def usage(
        since: Annotated[str, QueryParameter(max_length=40, description="RFC 3339, in UTC.")] = "",
        rule: _Text = "",
        subject: Annotated[str, QueryParameter(max_length=300, description="As address:203.0.113.9.")] = "",
        limit: Annotated[int, QueryParameter(ge=1, le=PAGE_ROWS_MAX)] = PAGE_ROWS_MAX,
    ) -> UsageView:
        found = await limiter.usage.report(since=since, rule=rule, subject=subject, limit=limit)
        return UsageView([HourView(**{name: getattr(one, name) for name in _HOUR}) for one in found])

    handlers: list[Any] = [show, add, remove, usage]
    return Router(path="/api/limits", route_handlers=handlers, tags=["limits"])


_HOUR = HourView.__struct_fields__


def _view(entry: ListedAddress) -> AddressView:
    return AddressView(
        id=entry.id,
        kind=entry.kind,
        network=entry.network,
        reason=entry.reason,
        created_at=rfc3339(entry.created_at),
        created_by=entry.created_by,
        expires_at=rfc3339(entry.expires_at) if entry.expires_at else None,
    )
