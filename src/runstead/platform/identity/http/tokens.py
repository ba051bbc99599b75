"""The routes of one's own API tokens."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, Router, delete, get, post
from litestar.params import FromPath, JSONBody

from runstead.kernel.errors import ForbiddenError
from runstead.platform.http.scope import actor_of
from runstead.platform.identity.accounts import Accounts
from runstead.platform.identity.http.schemas import NewToken, TokenView
from runstead.platform.identity.permissions import guard

_ONCE = {"Cache-Control": "no-store"}
_AnyRequest = Request[Any, Any, Any]


def token_routes(accounts: Accounts) -> Router:
    """The router."""

    @post("/", summary="Make a token", guards=[guard("self.write")])
    async def create_token(request: _AnyRequest, data: JSONBody[NewToken]) -> Response[TokenView]:
        actor = actor_of(request.scope)
        if actor.scopes is not None:
            raise ForbiddenError("a token with scopes makes no further tokens")
        token, text = await accounts.tokens.create(
            actor.id, name=data.name, scopes=data.scopes, days=data.days
        )
        return Response(TokenView(**token.as_json(), token=text), status_code=201, headers=_ONCE)

    @get("/", summary="Your tokens", guards=[guard("self.read")])
    async def list_tokens(request: _AnyRequest) -> list[TokenView]:
        found = await accounts.tokens.list(actor_of(request.scope).id)
        return [TokenView(**one.as_json()) for one in found]

    @delete("/{token_id:str}", summary="End a token", guards=[guard("self.write")])
    async def revoke_token(request: _AnyRequest, token_id: FromPath[str]) -> None:
        await accounts.tokens.revoke(token_id, user_id=actor_of(request.scope).id)

    return Router(
        path="/api/tokens", route_handlers=[create_token, list_tokens, revoke_token], tags=["people"]
    )
