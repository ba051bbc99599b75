"""The real application in a test, without a socket: ``async with running(capability) as client``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from runstead.kernel.capability import Capability
from runstead.kernel.secret import Secret
from runstead.platform.config.settings import ServerSettings
from runstead.platform.http import build_app
from runstead.platform.http.app import Layer
from runstead.platform.http.middleware.authentication import Witness
from runstead.platform.identity import Identity
from runstead.platform.identity.accounts import Accounts
from runstead.platform.identity.http import identity_routes
from runstead.platform.observability import Health, Metrics

ADMIN_TOKEN: Final = "test-admin-token"  # noqa: S105 - it opens nothing but the application in the test
OPERATOR_PASSWORD: Final = "test-operator-password"  # noqa: S105

#: Ready-made headers for the three who may ask.
AS_ADMINISTRATOR: Final[Mapping[str, str]] = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
AS_OPERATOR: Final[Mapping[str, str]] = {"X-Master-Password": OPERATOR_PASSWORD}
AS_ANYONE: Final[Mapping[str, str]] = {}


@asynccontextmanager
async def running(
    *capabilities: Capability,
    admin_token: str | None = ADMIN_TOKEN,
    master_password: str | None = OPERATOR_PASSWORD,
    settings: ServerSettings | None = None,
    routes: Sequence[Any] = (),
    health: Health | None = None,
    metrics: Metrics | None = None,
    headers: Mapping[str, str] | None = None,
    accounts: Accounts | None = None,
    witness: Witness | None = None,
    rates: Layer | None = None,
) -> AsyncIterator[httpx.AsyncClient]:
    """Open the capabilities in order and hand out a client of the application that serves them.

    :param headers: sent with every request, such as :data:`AS_ADMINISTRATOR`.
    """
    app = build_app(
        capabilities=capabilities,
        settings=settings or ServerSettings(access_log=False),
        identity=Identity(
            admin_token=Secret(admin_token) if admin_token else None,
            master_password=Secret(master_password) if master_password else None,
            accounts=accounts,
        ),
        health=health or Health(),
        metrics=metrics or Metrics(),
        witness=witness,
        rates=rates,
        routes=[*routes, *(identity_routes(accounts) if accounts else ())],
    )
    async with AsyncExitStack() as stack:
        for capability in capabilities:
            if capability.lifespan is not None:
                await stack.enter_async_context(capability.lifespan())
        yield await stack.enter_async_context(
            httpx.AsyncClient(
                transport=httpx.ASGITransport(app), base_url="http://127.0.0.1", headers=dict(headers or {})
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One request and what must come of it: a row of a test table.

    Begin each table with those who may not: nobody, the wrong role, then the right one.
    """

    name: str
    url: str
    status: int
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    content: bytes | None = None
    #: Texts that the body must hold.
    contains: Sequence[str] = ()
    #: Texts that it must not hold.
    lacks: Sequence[str] = ()

    def __str__(self) -> str:
        """The name of the row in pytest's output: ``ids=str``."""
        return self.name

    async def run(self, client: httpx.AsyncClient) -> httpx.Response:
        """Send the request and assert what is expected of the answer."""
        response = await client.request(
            self.method, self.url, headers=dict(self.headers), json=self.json, content=self.content
        )
        story = f"{self.name}: {self.method} {self.url} → {response.status_code}\n{response.text[:2000]}"
        assert response.status_code == self.status, f"expected {self.status}; {story}"  # noqa: S101 - a test helper
        for text in self.contains:
            assert text in response.text, f"{text!r} is missing; {story}"  # noqa: S101 - a test helper
        for text in self.lacks:
            assert text not in response.text, f"{text!r} must not be there; {story}"  # noqa: S101 - a test helper
        return response
