"""The routes of second factors, passkeys and known browsers."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, delete, get, post, put
from litestar.params import FromPath, JSONBody

from runstead.kernel.clock import rfc3339
from runstead.platform.http.scope import actor_of
from runstead.platform.identity.accounts import Accounts
from runstead.platform.identity.factors.service import RECOVERY
from runstead.platform.identity.http.cookies import site_of
from runstead.platform.identity.http.schemas import (
    DeviceView,
    FactorsView,
    FactorView,
    NewPasskey,
    PasskeyOffer,
    RecoveryCodes,
    TotpOffer,
    TotpProof,
)
from runstead.platform.identity.model import Session, User
from runstead.platform.identity.permissions import guard

_ONCE = {"Cache-Control": "no-store"}
_AnyRequest = Request[Any, Any, Any]


def factor_handlers(accounts: Accounts) -> list[Any]:
    """The handlers below /auth."""
    return [*_codes(accounts), *_passkeys(accounts), *_all(accounts), *_devices(accounts)]


def _codes(accounts: Accounts) -> list[Any]:
    @post(
        "/factors/totp",
        summary="Begin to set up one-time codes",
        guards=[guard("self.factors")],
        status_code=200,
    )
    async def begin_totp(request: _AnyRequest) -> Response[TotpOffer]:
        user = await _me(accounts, request)
        secret, uri, state = accounts.factors.begin_totp(user, issuer=site_of(request.scope).id)
        return Response(TotpOffer(secret=secret, uri=uri, state=state), headers=_ONCE)

    @put("/factors/totp", summary="Set up one-time codes by a first code", guards=[guard("self.factors")])
    async def finish_totp(request: _AnyRequest, data: JSONBody[TotpProof]) -> Response[RecoveryCodes]:
        user = await _me(accounts, request)
        codes = await accounts.factors.finish_totp(user, data.state, data.code, name=data.name)
        await _stronger(accounts, request, "totp")
        return Response(RecoveryCodes(list(codes)), headers=_ONCE)

    @post(
        "/factors/recovery-codes",
        summary="Make other recovery codes",
        guards=[guard("self.factors")],
        status_code=200,
    )
    async def recovery_codes(request: _AnyRequest) -> Response[RecoveryCodes]:
        codes = await accounts.factors.new_recovery_codes(actor_of(request.scope).id)
        return Response(RecoveryCodes(list(codes)), headers=_ONCE)

    return [begin_totp, finish_totp, recovery_codes]


def _passkeys(accounts: Accounts) -> list[Any]:
    @post(
        "/factors/passkey",
        summary="Begin to set up a passkey",
        guards=[guard("self.factors")],
        status_code=200,
    )
    async def begin_passkey(request: _AnyRequest) -> Response[PasskeyOffer]:
        user = await _me(accounts, request)
        options, state = await accounts.factors.begin_passkey(user, site_of(request.scope))
        return Response(PasskeyOffer(options=options, state=state), headers=_ONCE)

    @put("/factors/passkey", summary="Set up a passkey", guards=[guard("self.factors")])
    async def finish_passkey(request: _AnyRequest, data: JSONBody[NewPasskey]) -> FactorsView:
        user = await _me(accounts, request)
        await accounts.factors.finish_passkey(
            user, site_of(request.scope), data.state, data.credential, name=data.name
        )
        await _stronger(accounts, request, "passkey")
        return await _shown(accounts, user.id)

    return [begin_passkey, finish_passkey]


def _all(accounts: Accounts) -> list[Any]:
    @get("/factors", summary="Your second factors", guards=[guard("self.read")])
    async def list_factors(request: _AnyRequest) -> FactorsView:
        return await _shown(accounts, actor_of(request.scope).id)

    @delete("/factors/{factor_id:str}", summary="Take a factor away", guards=[guard("self.factors")])
    async def remove_factor(request: _AnyRequest, factor_id: FromPath[str]) -> None:
        user_id = actor_of(request.scope).id
        await accounts.factors.remove(user_id, factor_id)
        await accounts.devices.trust_no_more(user_id)

    return [list_factors, remove_factor]


def _devices(accounts: Accounts) -> list[Any]:
    @get("/devices", summary="Browsers from which you have signed in", guards=[guard("self.read")])
    async def list_devices(request: _AnyRequest) -> list[DeviceView]:
        return [
            DeviceView(
                id=one.id,
                agent=one.agent,
                address=one.address,
                created_at=rfc3339(one.created_at),
                seen_at=rfc3339(one.seen_at),
                trusted_until=rfc3339(one.trusted_until) if one.trusted_until else None,
            )
            for one in await accounts.devices.list(actor_of(request.scope).id)
        ]

    @delete("/devices/{device_id:str}", summary="Know a browser no more", guards=[guard("self.write")])
    async def forget_device(request: _AnyRequest, device_id: FromPath[str]) -> None:
        await accounts.devices.forget(actor_of(request.scope).id, device_id)

    return [list_devices, forget_device]


async def _me(accounts: Accounts, request: _AnyRequest) -> User:
    return await accounts.people.get(actor_of(request.scope).id)


async def _stronger(accounts: Accounts, request: _AnyRequest, factor: str) -> None:
    """The session that set a factor up has just shown it."""
    session: Session | None = request.scope["state"].get("session")
    if session is not None:
        method = f"{session.method.partition('+')[0]}+{factor}"
        await accounts.sessions.prove(session.id, method=method)


async def _shown(accounts: Accounts, user_id: str) -> FactorsView:
    found = await accounts.factors.list(user_id)
    views = [
        FactorView(
            id=one.id,
            kind="totp" if one.kind == "totp" else "passkey",
            name=one.name,
            created_at=rfc3339(one.created_at),
            used_at=rfc3339(one.used_at) if one.used_at else None,
        )
        for one in found
        if one.kind != RECOVERY
    ]
    return FactorsView(views, sum(one.kind == RECOVERY for one in found))
