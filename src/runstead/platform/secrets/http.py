"""The routes below /editor/api/secrets. No answer ever holds a value."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, delete, get, post, put
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET, Meta, UnsetType

from runstead.kernel.clock import rfc3339
from runstead.kernel.errors import BadRequestError, ForbiddenError
from runstead.kernel.secret import Secret
from runstead.kernel.trail import Trail
from runstead.platform.http.moments import Moment, moment_of
from runstead.platform.http.scope import actor_of
from runstead.platform.identity import Actor, Resource, guard, require
from runstead.platform.secrets.model import (
    DESCRIPTION_CHARS_MAX,
    ID_PATTERN,
    SCOPE_PATTERN,
    SERVER_SCOPE,
    VALUE_BYTES_MAX,
    SecretEntry,
    SecretNotFoundError,
)
from runstead.platform.secrets.opening import MasterKeys
from runstead.platform.secrets.vault import Vault

_AnyRequest = Request[Any, Any, Any]
_EXISTS = {409: ResponseSpec(None, description="There is one already, or there are too many.")}
Scope = Annotated[
    str,
    QueryParameter(
        name="scope",
        max_length=140,
        pattern=SCOPE_PATTERN,
        description="server (of everybody), app:ID or user:ID.",
    ),
]
Value = Annotated[str, Meta(min_length=1, max_length=VALUE_BYTES_MAX)]
Description = Annotated[str, Meta(max_length=DESCRIPTION_CHARS_MAX)]


class _Request(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    pass


class NewSecret(_Request, kw_only=True):
    """A secret to be put in."""

    id: Annotated[str, Meta(pattern=ID_PATTERN)]
    value: Value
    description: Description = ""
    expires_at: Moment | None = None


class SecretChange(_Request, kw_only=True):
    """What is to be changed."""

    value: Value | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    expires_at: Moment | UnsetType | None = UNSET


class Restore(_Request, kw_only=True):
    """Which value is to be the present one again."""

    version: Annotated[int, Meta(ge=1, le=2**31 - 1)]


class SecretView(msgspec.Struct, rename="camel", kw_only=True):
    """A secret, but for its value."""

    id: str
    scope: str
    description: str
    version: int
    created_at: str
    created_by: str
    updated_at: str
    expires_at: str | None
    last_used: str | None
    usage_count: int


class SecretList(msgspec.Struct):
    """The secrets of a scope by id."""

    secrets: list[SecretView]


class UseView(msgspec.Struct, rename="camel", kw_only=True):
    """Who used it."""

    used_by: str
    count: int
    last_used: str


class VersionView(msgspec.Struct, rename="camel", kw_only=True):
    """That there was a value."""

    version: int
    created_at: str
    created_by: str


class UsageView(msgspec.Struct, rename="camel", kw_only=True):
    """Who used a secret, and the values that are kept."""

    id: str
    usage_count: int
    last_used: str | None
    used_by: list[UseView]
    versions: list[VersionView]


class Rotation(msgspec.Struct):
    """The master key's id now, and how many keys were wrapped under it."""

    key: str
    wrapped: int


def secret_routes(vault: Vault, master_keys: MasterKeys, trail: Trail) -> Router:
    """The router."""
    routes = [*_reading(vault), *_writing(vault), _rotating(master_keys, trail)]
    return Router(path="/editor/api/secrets", route_handlers=routes, tags=["secrets"])


def _reading(vault: Vault) -> list[Any]:
    @get("/", summary="The secrets of a scope", guards=[guard("secrets.list", each=True)])
    async def list_secrets(request: _AnyRequest, within: Scope = SERVER_SCOPE) -> SecretList:
        _permit(actor_of(request.scope), "secrets.list", within)
        return SecretList([_view(one) for one in await vault.list(within)])

    @get("/{secret_id:str}", summary="A secret, without its value", guards=[guard("secrets.list", each=True)])
    async def get_secret(
        request: _AnyRequest, secret_id: FromPath[str], within: Scope = SERVER_SCOPE
    ) -> SecretView:
        return _view(await _permitted(vault, request, "secrets.list", secret_id, within))

    @get("/{secret_id:str}/usage", summary="Who uses a secret", guards=[guard("secrets.list", each=True)])
    async def get_usage(
        request: _AnyRequest, secret_id: FromPath[str], within: Scope = SERVER_SCOPE
    ) -> UsageView:
        entry = await _permitted(vault, request, "secrets.list", secret_id, within)
        return UsageView(
            id=entry.id,
            usage_count=entry.uses,
            last_used=rfc3339(entry.used_at) if entry.used_at else None,
            used_by=[
                UseView(used_by=one.used_by, count=one.count, last_used=rfc3339(one.used_at))
                for one in await vault.usage(secret_id, scope=within)
            ],
            versions=[
                VersionView(
                    version=one.version, created_at=rfc3339(one.created_at), created_by=one.created_by
                )
                for one in await vault.versions(secret_id, scope=within)
            ],
        )

    return [list_secrets, get_secret, get_usage]


def _writing(vault: Vault) -> list[Any]:
    @post("/", summary="Put a secret in", guards=[guard("secrets.write", each=True)], responses=_EXISTS)
    async def create_secret(
        request: _AnyRequest, data: JSONBody[NewSecret], within: Scope = SERVER_SCOPE
    ) -> Response[SecretView]:
        actor = actor_of(request.scope)
        _permit(actor, "secrets.write", within, created_by=str(actor))
        entry = await vault.create(
            _line(data.id),
            _value(data.value),
            scope=within,
            description=data.description,
            expires_at=moment_of(data.expires_at, "expiresAt"),
        )
        return Response(_view(entry), status_code=201)

    @put("/{secret_id:str}", summary="Change a secret", guards=[guard("secrets.write", each=True)])
    async def change_secret(
        request: _AnyRequest,
        secret_id: FromPath[str],
        data: JSONBody[SecretChange],
        within: Scope = SERVER_SCOPE,
    ) -> SecretView:
        await _permitted(vault, request, "secrets.write", secret_id, within)
        return _view(
            await vault.update(
                secret_id,
                scope=within,
                value=None if data.value is UNSET else _value(data.value),
                description=None if data.description is UNSET else data.description,
                expires_at=None if data.expires_at is UNSET else moment_of(data.expires_at, "expiresAt"),
                keep_expiry=data.expires_at is UNSET,
            )
        )

    @post(
        "/{secret_id:str}/restore",
        summary="Make an earlier value the present one",
        guards=[guard("secrets.write", each=True)],
        status_code=200,
    )
    async def restore_secret(
        request: _AnyRequest,
        secret_id: FromPath[str],
        data: JSONBody[Restore],
        within: Scope = SERVER_SCOPE,
    ) -> SecretView:
        await _permitted(vault, request, "secrets.write", secret_id, within)
        return _view(await vault.restore(secret_id, data.version, scope=within))

    @delete("/{secret_id:str}", summary="Remove a secret", guards=[guard("secrets.write", each=True)])
    async def delete_secret(
        request: _AnyRequest, secret_id: FromPath[str], within: Scope = SERVER_SCOPE
    ) -> None:
        await _permitted(vault, request, "secrets.write", secret_id, within)
        await vault.delete(secret_id, scope=within)

    return [create_secret, change_secret, restore_secret, delete_secret]


def _rotating(master_keys: MasterKeys, trail: Trail) -> Any:
    @post(
        "/rotate-master-key",
        summary="Make another master key",
        guards=[guard("secrets.rotate")],
        status_code=200,
        responses={409: ResponseSpec(None, description="The key comes from outside and is changed there.")},
    )
    async def rotate_master_key() -> Rotation:
        wrapped = await master_keys.rotate(trail)
        return Rotation(master_keys.keyring.current, wrapped)

    return rotate_master_key


def _permit(actor: Actor, action: str, scope: str, *, secret_id: str = "", created_by: str = "") -> None:
    """A person's secrets are theirs alone; the others belong to whoever put them in."""
    if scope.startswith("user:") and str(actor) != scope:
        raise ForbiddenError("the secrets of a person are theirs alone", details={"action": action})
    owner = scope if scope.startswith("user:") else created_by
    name = secret_id if scope == SERVER_SCOPE else f"{scope}/{secret_id}"
    require(actor, action, Resource("secret", name, owner))


async def _permitted(
    vault: Vault, request: _AnyRequest, action: str, secret_id: str, scope: str
) -> SecretEntry:
    actor = actor_of(request.scope)
    try:
        entry = await vault.get(secret_id, scope=scope)
    except SecretNotFoundError:
        # Whoever may not see any is not told which there are.
        _permit(actor, action, scope, secret_id=secret_id)
        raise
    _permit(actor, action, scope, secret_id=secret_id, created_by=entry.created_by)
    return entry


def _value(text: str) -> Secret:
    if len(text.encode()) > VALUE_BYTES_MAX:
        raise BadRequestError(f"the value has more than {VALUE_BYTES_MAX} bytes")
    return Secret(text)


def _line(text: str) -> str:
    # Python's $ also matches before a final line break.
    if text.endswith("\n"):
        raise BadRequestError("the id ends with a line break")
    return text


def _view(entry: SecretEntry) -> SecretView:
    return SecretView(
        id=entry.id,
        scope=entry.scope,
        description=entry.description,
        version=entry.version,
        created_at=rfc3339(entry.created_at),
        created_by=entry.created_by,
        updated_at=rfc3339(entry.updated_at),
        expires_at=rfc3339(entry.expires_at) if entry.expires_at else None,
        last_used=rfc3339(entry.used_at) if entry.used_at else None,
        usage_count=entry.uses,
    )
