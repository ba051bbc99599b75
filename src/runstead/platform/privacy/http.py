"""The routes below /api/privacy."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from litestar import Response, Router, get, post
from litestar.params import FromPath

from runstead.platform.http import guard
from runstead.platform.privacy.service import Privacy


class ClassView(msgspec.Struct, kw_only=True):
    """A class of data that the server keeps."""

    name: str
    description: str
    kind: Literal["personal", "secret", "content"]
    retention: str
    erasure: Literal["removed", "anonymised", "kept"]
    reason: str


class ClassList(msgspec.Struct):
    """All classes of data."""

    classes: list[ClassView]


class Outcome(msgspec.Struct, kw_only=True):
    """What became of one class of data."""

    data: str
    outcome: Literal["removed", "anonymised", "kept"]
    count: int
    reason: str


class ErasureReport(msgspec.Struct, kw_only=True):
    """What an erasure did. Where a part failed, ask again."""

    account: str | None
    complete: bool
    outcomes: list[Outcome]
    failed: list[str]


def privacy_routes(privacy: Privacy) -> Router:
    """The router."""

    @get(
        "/classes",
        summary="What is kept, for how long, and what erasure does to it",
        guards=[guard("privacy.read")],
    )
    async def classes() -> ClassList:
        fields = ClassView.__struct_fields__
        return ClassList(
            [ClassView(**{name: getattr(one, name) for name in fields}) for one in privacy.classes()]
        )

    @get("/people/{who:str}", summary="What is known of somebody", guards=[guard("privacy.export")])
    async def copy(who: FromPath[str]) -> Response[dict[str, Any]]:
        return Response(await privacy.copy(who), headers={"Cache-Control": "no-store"})

    @post(
        "/people/{who:str}/erase",
        summary="Erase somebody from the whole server",
        guards=[guard("privacy.erase")],
        status_code=200,
    )
    async def erase(who: FromPath[str]) -> ErasureReport:
        report = await privacy.erase(who)
        return ErasureReport(
            account=report.person.id or None,
            complete=not report.failed,
            outcomes=[
                Outcome(data=one.data.name, outcome=one.data.erasure, count=one.count, reason=one.data.reason)
                for one in report.done
            ],
            failed=report.failed,
        )

    return Router(path="/api/privacy", route_handlers=[classes, copy, erase], tags=["privacy"])
