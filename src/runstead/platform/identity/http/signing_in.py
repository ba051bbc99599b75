"""The routes below /auth: signing in and out, links, one's own sessions and password."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, delete, get, post
from litestar.params import FromPath, JSONBody

from runstead.kernel.errors import NotFoundError
from runstead.platform.http.scope import actor_of
from runstead.platform.identity.accounts import Accounts
from runstead.platform.identity.actor import ANONYMOUS
from runstead.platform.identity.errors import SignInError
from runstead.platform.identity.http.cookies import (
    device_cookie,
    device_of,
    no_cookies,
    session_cookies,
    site_of,
    visitor_of,
)
from runstead.platform.identity.http.schemas import (
    Join,
    Login,
    Me,
    NewPassword,
    PasskeyOffer,
    PasskeyProof,
    Proof,
    Reset,
    SessionView,
)
from runstead.platform.identity.model import Session
from runstead.platform.identity.permissions import guard
from runstead.platform.identity.sessions import SignedIn
from runstead.platform.identity.sign_in import Beside, PasskeyAnswer

#: Answers that sign somebody in are nobody else's.
_ONCE = {"Cache-Control": "no-store"}
_AnyRequest = Request[Any, Any, Any]


def signing_in(accounts: Accounts) -> list[Any]:
    """The handlers."""
    return [*_doors(accounts), *_links(accounts), *_self(accounts)]


def _doors(accounts: Accounts) -> list[Any]:
    @post(
        "/login",
        summary="Sign in with a name and a password",
        guards=[guard("server.public")],
        status_code=200,
    )
    async def login(request: _AnyRequest, data: JSONBody[Login]) -> Response[Me]:
        await end_old(accounts, request)
        beside = Beside(data.code, _answer(request, data.passkey), device_of(request))
        _user, signed_in, secret = await accounts.sign_in.with_password(
            data.name, data.password, visitor_of(request.scope), beside
        )
        return await welcome(accounts, request, signed_in, secret, trust=data.trust == "yes")

    @post(
        "/passkey/options",
        summary="Begin to sign in with a passkey",
        guards=[guard("server.public")],
        status_code=200,
    )
    async def passkey_options(request: _AnyRequest) -> Response[PasskeyOffer]:
        options, state = await accounts.factors.begin_sign_in(site_of(request.scope))
        return Response(PasskeyOffer(options=options, state=state), headers=_ONCE)

    @post("/passkey", summary="Sign in with a passkey", guards=[guard("server.public")], status_code=200)
    async def passkey(request: _AnyRequest, data: JSONBody[PasskeyProof]) -> Response[Me]:
        await end_old(accounts, request)
        answer = PasskeyAnswer(site_of(request.scope), data.state, data.credential)
        _user, signed_in, secret = await accounts.sign_in.with_passkey(answer, visitor_of(request.scope))
        return await welcome(accounts, request, signed_in, secret)

    @post("/logout", summary="Sign out", guards=[guard("server.public")], status_code=200)
    async def logout(request: _AnyRequest) -> Response[Me]:
        await end_old(accounts, request)
        request.scope["state"]["actor"] = ANONYMOUS
        return Response(_me(request.scope, None), cookies=no_cookies(request.scope), headers=_ONCE)

    @get("/me", summary="Who am I?", guards=[guard("server.public")])
    async def me(request: _AnyRequest) -> Response[Me]:
        session: Session | None = request.scope["state"].get("session")
        return Response(_me(request.scope, session), headers=_ONCE)

    return [login, passkey_options, passkey, logout, me]


def _links(accounts: Accounts) -> list[Any]:
    @post("/setup", summary="Make the first administrator", guards=[guard("server.public")])
    async def set_up(request: _AnyRequest, data: JSONBody[Join]) -> Response[Me]:
        user = await accounts.links.accept(
            "setup", data.link, name=data.name, mail=data.mail, password=data.password
        )
        signed_in, secret = await accounts.sessions.begin(user.id, visitor_of(request.scope), method="link")
        return await welcome(accounts, request, signed_in, secret, status=201)

    @post("/join", summary="Use an invitation", guards=[guard("server.public")])
    async def join(request: _AnyRequest, data: JSONBody[Join]) -> Response[Me]:
        user = await accounts.links.accept(
            "invitation", data.link, name=data.name, mail=data.mail, password=data.password
        )
        signed_in, secret = await accounts.sessions.begin(user.id, visitor_of(request.scope), method="link")
        return await welcome(accounts, request, signed_in, secret, status=201)

    @post(
        "/reset", summary="Set another password by a link", guards=[guard("server.public")], status_code=204
    )
    async def reset(data: JSONBody[Reset]) -> None:
        # Nobody is signed in by it: a second factor, where there is one, is still to be shown.
        await accounts.links.reset(data.link, password=data.password)
        accounts.forget()

    return [set_up, join, reset]


def _self(accounts: Accounts) -> list[Any]:
    @post("/prove", summary="Prove again who you are", guards=[guard("self.write")], status_code=204)
    async def prove(request: _AnyRequest, data: JSONBody[Proof]) -> None:
        method = await _proved(accounts, request, data.password, data.code, data.passkey)
        await accounts.sessions.prove(actor_of(request.scope).credential_id, method=method)

    @post("/password", summary="Change your password", guards=[guard("self.write")], status_code=200)
    async def password(request: _AnyRequest, data: JSONBody[NewPassword]) -> Response[Me]:
        actor = actor_of(request.scope)
        method = await _proved(accounts, request, data.current, data.code)
        await accounts.people.set_password(actor.id, data.new)
        accounts.forget()
        if request.scope["state"].get("session") is None:
            return Response(_me(request.scope, None), headers=_ONCE)
        # A new session for this browser too: whoever had copied its cookie is out.
        signed_in, secret = await accounts.sessions.begin(actor.id, visitor_of(request.scope), method=method)
        return await welcome(accounts, request, signed_in, secret)

    @get("/sessions", summary="Where you are signed in", guards=[guard("self.read")])
    async def sessions(request: _AnyRequest) -> list[SessionView]:
        actor = actor_of(request.scope)
        found = await accounts.sessions.list(actor.id)
        return [SessionView(**one.as_json(), current=one.id == actor.credential_id) for one in found]

    @delete("/sessions", summary="Sign out everywhere else", guards=[guard("self.write")], status_code=204)
    async def end_others(request: _AnyRequest) -> None:
        actor = actor_of(request.scope)
        await accounts.sessions.end_others(actor.id, actor.credential_id)

    @delete(
        "/sessions/{session_id:str}", summary="Sign out there", guards=[guard("self.write")], status_code=204
    )
    async def end(request: _AnyRequest, session_id: FromPath[str]) -> None:
        if not await accounts.sessions.end(session_id, user_id=actor_of(request.scope).id, reason="revoked"):
            raise NotFoundError(f"there is no session {session_id[:64]!r} of yours")

    return [prove, password, sessions, end_others, end]


def _answer(request: _AnyRequest, proof: PasskeyProof | None) -> PasskeyAnswer | None:
    if proof is None:
        return None
    return PasskeyAnswer(site_of(request.scope), proof.state, proof.credential)


async def _proved(
    accounts: Accounts,
    request: _AnyRequest,
    password: str,
    code: str | None,
    passkey: PasskeyProof | None = None,
) -> str:
    actor = actor_of(request.scope)
    beside = Beside(code, _answer(request, passkey))
    user, method = await accounts.sign_in.check(actor.name, password, visitor_of(request.scope), beside)
    if user.id != actor.id:
        raise SignInError
    return method


async def end_old(accounts: Accounts, request: _AnyRequest) -> None:
    """End the session that the browser had before."""
    old: Session | None = request.scope["state"].get("session")
    if old is not None:
        await accounts.sessions.end(old.id)


async def welcome(
    accounts: Accounts,
    request: _AnyRequest,
    signed_in: SignedIn,
    secret: str,
    *,
    status: int = 200,
    trust: bool = False,
) -> Response[Me]:
    """The answer that signs somebody in: the session's cookies, and one by which the browser is known again."""
    device, suspicious = await accounts.devices.signed_in(
        signed_in.actor.id,
        visitor_of(request.scope),
        secret=device_of(request),
        # Only a browser in which a second factor was shown can be trusted to need none.
        trust=trust and "+" in signed_in.session.method,
    )
    cookies = [
        *session_cookies(accounts, request.scope, signed_in, secret),
        device_cookie(request.scope, device),
    ]
    request.scope["state"]["actor"] = signed_in.actor
    me = _me(request.scope, signed_in.session, suspicious=suspicious)
    return Response(me, status_code=status, cookies=cookies, headers=_ONCE)


def _me(scope: Any, session: Session | None, *, suspicious: bool = False) -> Me:
    actor = actor_of(scope)
    limited = session is not None and actor.scopes is not None
    return Me(
        kind=actor.kind,
        id=actor.id,
        name=actor.name,
        mail=actor.mail or None,
        roles=sorted(actor.roles),
        groups=sorted(actor.groups),
        session=None if session is None else session.id,
        notice="second_factor" if limited else "suspicious" if suspicious else "",
    )
