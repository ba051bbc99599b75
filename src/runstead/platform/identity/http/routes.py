"""All routes of people in one list."""

from __future__ import annotations

from typing import Any

from litestar import Router

from runstead.platform.identity.accounts import Accounts
from runstead.platform.identity.http.administration import administration
from runstead.platform.identity.http.factors import factor_handlers
from runstead.platform.identity.http.oidc import provider_handlers
from runstead.platform.identity.http.page import PAGE_ROUTES
from runstead.platform.identity.http.signing_in import signing_in
from runstead.platform.identity.http.tokens import token_routes


def identity_routes(accounts: Accounts) -> list[Any]:
    """What build_app takes as ``routes``."""
    return [
        Router(
            path="/auth",
            route_handlers=[*signing_in(accounts), *factor_handlers(accounts), *provider_handlers(accounts)],
            tags=["sign-in"],
        ),
        token_routes(accounts),
        *administration(accounts),
        *PAGE_ROUTES,
    ]
