"""The routes of signing in through others: away, and back again."""

from __future__ import annotations

from typing import Annotated, Any, Final
from urllib.parse import parse_qsl

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.params import FromPath, QueryParameter

from runstead.kernel.errors import RunsteadError
from runstead.platform.http.scope import actor_of
from runstead.platform.identity.accounts import Accounts
from runstead.platform.identity.http.cookies import site_of, visitor_of
from runstead.platform.identity.http.signing_in import end_old, welcome
from runstead.platform.identity.permissions import guard

_AnyRequest = Request[Any, Any, Any]
_COOKIE: Final = "runstead-oidc"
_FORM_BYTES_MAX: Final = 64 * 1024
#: Seconds that somebody may take at the provider; the state is good for as long.
_AWAY_SECONDS: Final = 600


class ProviderView(msgspec.Struct):
    """A provider that people can choose."""

    name: str
    title: str


class LinkOffer(msgspec.Struct):
    """Where to go."""

    url: str


class ProviderList(msgspec.Struct):
    """The providers that people can choose from."""

    providers: list[ProviderView]


def provider_handlers(accounts: Accounts) -> list[Any]:
    """The handlers below /auth."""

    @get("/providers", summary="Through whom one can sign in", guards=[guard("server.public")])
    async def providers() -> ProviderList:
        offered = accounts.providers.offered()
        return ProviderList([ProviderView(one.name, one.title or one.name.title()) for one in offered])

    @get(
        "/login/{name:str}",
        summary="Go to a provider",
        guards=[guard("server.public")],
        include_in_schema=False,
    )
    async def depart(
        request: _AnyRequest,
        name: FromPath[str],
        next_path: Annotated[str, QueryParameter(name="next", max_length=1001)] = "/",
    ) -> Response[bytes]:
        departure = await accounts.providers.depart(
            name,
            redirect_uri=_redirect_uri(request, name),
            next_path=next_path,
        )
        cookie = _cookie(request, departure.browser_secret, _AWAY_SECONDS, cross_site=_posts(accounts, name))
        return _sent_to(departure.address, [cookie])

    @post(
        "/link/{name:str}",
        summary="Begin to link an account of a provider: go to the address that comes back",
        guards=[guard("self.factors")],
        status_code=200,
    )
    async def link(request: _AnyRequest, name: FromPath[str]) -> Response[LinkOffer]:
        # A POST, with the token against forgery: a page of somebody else must not link an account of theirs to this one.
        departure = await accounts.providers.depart(
            name, redirect_uri=_redirect_uri(request, name), link_to=actor_of(request.scope).id
        )
        cookie = _cookie(request, departure.browser_secret, _AWAY_SECONDS, cross_site=_posts(accounts, name))
        return Response(LinkOffer(departure.address), cookies=[cookie], headers={"Cache-Control": "no-store"})

    @get("/callback/{name:str}", guards=[guard("server.public")], include_in_schema=False)
    async def arrive(request: _AnyRequest, name: FromPath[str]) -> Response[Any]:
        return await _arrived(accounts, request, name, dict(request.query_params.items()))

    @post(
        "/callback/{name:str}",
        guards=[guard("server.public")],
        include_in_schema=False,
        opt={"body_max_bytes": _FORM_BYTES_MAX},
    )
    async def arrive_by_form(request: _AnyRequest, name: FromPath[str]) -> Response[Any]:
        body = (await request.body()).decode("utf-8", "replace")
        return await _arrived(accounts, request, name, dict(parse_qsl(body, max_num_fields=20)))

    return [providers, depart, link, arrive, arrive_by_form]


async def _arrived(
    accounts: Accounts, request: _AnyRequest, name: str, answer: dict[str, str]
) -> Response[Any]:
    gone = _cookie(request, "", 0, cross_site=_posts(accounts, name))
    try:
        arrival = await accounts.providers.arrive(
            name, answer, browser_secret=request.cookies.get(_COOKIE, "")[:64]
        )
    except RunsteadError as error:
        # For people: the page says what the code means. What exactly was wrong stands in the trail.
        return _sent_to(f"/auth/sign-in#problem={error.code}", [gone])
    await end_old(accounts, request)
    signed_in, secret = await accounts.sessions.begin(
        arrival.user_id, visitor_of(request.scope), method=f"oidc:{name}"
    )
    welcomed = await welcome(accounts, request, signed_in, secret)
    return _sent_to(arrival.next_path, [*welcomed.cookies, gone])


def _posts(accounts: Accounts, name: str) -> bool:
    return any(one.name == name and one.kind == "apple" for one in accounts.providers.offered())


def _redirect_uri(request: _AnyRequest, name: str) -> str:
    return f"{site_of(request.scope).origin}/auth/callback/{name}"


def _cookie(request: _AnyRequest, value: str, seconds: int, *, cross_site: bool) -> Cookie:
    secure = request.scope.get("scheme") == "https"
    return Cookie(
        key=_COOKIE,
        value=value,
        path="/auth/callback",
        max_age=seconds,
        httponly=True,
        secure=secure,
        # A provider that comes back by a form is another site to the browser.
        samesite="none" if cross_site and secure else "lax",
    )


def _sent_to(address: str, cookies: list[Cookie]) -> Response[bytes]:
    headers = {"Location": address, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return Response(b"", status_code=303, headers=headers, cookies=cookies, media_type="text/plain")
