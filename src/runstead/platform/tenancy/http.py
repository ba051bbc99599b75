"""The routes below /api/tenants, of the house itself."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, Router, delete, get, patch, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET, Meta, UnsetType

from runstead.kernel.clock import rfc3339
from runstead.kernel.errors import ConflictError
from runstead.kernel.trail import Trail
from runstead.platform.http import ByteStream, guard
from runstead.platform.storage.sql import Database
from runstead.platform.tenancy.export import archive
from runstead.platform.tenancy.model import NAME_PATTERN, Tenant
from runstead.platform.tenancy.service import Tenants

Title = Annotated[str, Meta(max_length=200)]
Tier = Annotated[str, Meta(max_length=32)]
_TAKEN = {
    409: ResponseSpec(None, description="The name is taken, reserved, or there are as many as there may be.")
}


class TenantView(msgspec.Struct, kw_only=True):
    """A house of its own."""

    name: str
    title: str
    tier: str
    status: Literal["active", "disabled"]
    created_at: str
    created_by: str


class NewTenantView(TenantView, kw_only=True):
    """A tenant that was just made. The link is shown once."""

    setup_url: str | None


class TenantList(msgspec.Struct):
    """All tenants, by name."""

    tenants: list[TenantView]


class NewTenant(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A tenant to be made."""

    name: Annotated[str, Meta(pattern=NAME_PATTERN)]
    title: Title = ""
    tier: Tier = ""


class TenantChange(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What is to be changed."""

    title: Title | UnsetType = UNSET
    tier: Tier | UnsetType = UNSET
    status: Literal["active", "disabled"] | UnsetType = UNSET


class UsageOfHour(msgspec.Struct, kw_only=True):
    """What a tenant asked within an hour."""

    hour: str
    rule: str
    subject: str
    allowed: int
    refused: int


class TenantUsage(msgspec.Struct):
    """What a tenant asked, the latest hour first."""

    usage: list[UsageOfHour]


def tenant_routes(tenants: Tenants, db: Database, trail: Trail) -> Router:
    """The router."""
    handlers = [*_all(tenants), *_one(tenants), _exporting(tenants, db, trail)]
    return Router(path="/api/tenants", route_handlers=handlers, tags=["tenants"])


def _all(tenants: Tenants) -> list[Any]:
    @get("/", summary="All tenants", guards=[guard("tenants.read")])
    async def list_tenants() -> TenantList:
        return TenantList([TenantView(**_facts(one)) for one in tenants.list()])

    @post("/", summary="Make a tenant", guards=[guard("tenants.write")], responses=_TAKEN)
    async def create_tenant(data: JSONBody[NewTenant]) -> Response[NewTenantView]:
        if data.name.endswith("\n"):
            raise ConflictError("a name has no line breaks")
        tenant, setup = await tenants.create(data.name, title=data.title, tier=data.tier)
        view = NewTenantView(**_facts(tenant), setup_url=setup)
        return Response(view, status_code=201, headers={"Cache-Control": "no-store"})

    return [list_tenants, create_tenant]


def _one(tenants: Tenants) -> list[Any]:
    @get("/{name:str}", summary="One tenant", guards=[guard("tenants.read")])
    async def get_tenant(name: FromPath[str]) -> TenantView:
        return TenantView(**_facts(tenants.get(name)))

    @patch("/{name:str}", summary="Change a tenant", guards=[guard("tenants.write")], responses=_TAKEN)
    async def change_tenant(name: FromPath[str], data: JSONBody[TenantChange]) -> TenantView:
        changed = await tenants.change(
            name,
            title=None if data.title is UNSET else data.title,
            tier=None if data.tier is UNSET else data.tier,
            disabled=None if data.status is UNSET else data.status == "disabled",
        )
        return TenantView(**_facts(changed))

    @delete(
        "/{name:str}",
        summary="Remove a tenant with everything of it, for good",
        guards=[guard("tenants.write")],
        responses={409: ResponseSpec(None, description="confirm is not the name.")},
    )
    async def remove_tenant(
        name: FromPath[str],
        confirm: Annotated[str, QueryParameter(max_length=64, description="The name once more.")] = "",
    ) -> None:
        tenants.get(name)
        if confirm != name:
            raise ConflictError("everything of the tenant will be gone: repeat its name in confirm")
        await tenants.remove(name)

    @get("/{name:str}/usage", summary="What a tenant asked, by hour", guards=[guard("tenants.read")])
    async def usage(
        name: FromPath[str],
        since: Annotated[str, QueryParameter(max_length=40, description="RFC 3339.")] = "",
    ) -> TenantUsage:
        found = await tenants.house(name).usage(since)
        fields = UsageOfHour.__struct_fields__
        return TenantUsage([UsageOfHour(**{key: getattr(one, key) for key in fields}) for one in found])

    return [get_tenant, change_tenant, remove_tenant, usage]


def _exporting(tenants: Tenants, db: Database, trail: Trail) -> Any:
    @get(
        "/{name:str}/export",
        summary="Everything of a tenant as one archive",
        guards=[guard("tenants.export")],
        opt={"content_types": ["application/gzip"]},
    )
    async def export(name: FromPath[str]) -> ByteStream:
        tenant, house = tenants.get(name), tenants.house(name)
        await db.write(trail.note("tenant.export", resource=f"tenant:{name}"))
        headers = {"Content-Disposition": f'attachment; filename="{name}.tar.gz"'}
        return ByteStream(archive(tenant, house), content_type="application/gzip", headers=headers)

    return export


def _facts(tenant: Tenant) -> dict[str, Any]:
    return {
        "name": tenant.name,
        "title": tenant.title,
        "tier": tenant.tier,
        "status": "disabled" if tenant.disabled else "active",
        "created_at": rfc3339(tenant.created_at),
        "created_by": tenant.created_by,
    }
