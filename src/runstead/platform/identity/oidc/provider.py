"""Speaking with a provider: its description, its keys, its token endpoint."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec

from runstead.kernel.secret import Secret
from runstead.platform.identity.oidc.errors import ProviderRefusedError, ProviderUnavailableError
from runstead.platform.identity.settings import Provider

if TYPE_CHECKING:
    import httpx

SECONDS_MAX: Final = 10.0
ANSWER_BYTES_MAX: Final = 1024 * 1024
#: Seconds that description and keys are believed.
BELIEVED_SECONDS: Final = 3600.0
#: Seconds between two fetches of keys because of an unknown one: whoever sends made-up tokens must not drive us.
KEYS_SECONDS_MIN: Final = 30.0

OpenSecret = Callable[[str], Awaitable[Secret]]

#: Known providers → their issuers.
ISSUERS: Final[Mapping[str, str]] = {
    "google": "https://accounts.google.com",
    "microsoft": "https://login.microsoftonline.com/common/v2.0",
    "apple": "https://appleid.apple.com",
}


class ProviderClient:
    """One provider. Everything that it says is bounded, in time and size, and never redirected."""

    def __init__(
        self, settings: Provider, *, secret: OpenSecret, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self.settings = settings
        self.issuer = (settings.issuer or ISSUERS.get(settings.kind, "")).rstrip("/")
        self._secret = secret
        self._transport = transport
        self._described: dict[str, Any] | None = None
        self._described_at = float("-inf")
        self._keys: dict[str, Any] | None = None
        self._keys_at = float("-inf")
        self._turn = asyncio.Lock()

    async def description(self) -> dict[str, Any]:
        """The provider's metadata (OpenID Connect Discovery 1.0, section 3).

        :raises ProviderUnavailableError: it cannot be had, or is another's.
        """
        async with self._turn:
            if self._described is None or time.monotonic() - self._described_at > BELIEVED_SECONDS:
                found = await self._get(f"{self.issuer}/.well-known/openid-configuration")
                self._check(found)
                self._described, self._described_at = found, time.monotonic()
        return self._described

    async def keys(self, *, afresh: bool = False) -> dict[str, Any]:
        """The provider's public keys.

        :param afresh: one is missing; they are fetched again unless they just were.
        """
        address = (await self.description())["jwks_uri"]
        async with self._turn:
            age = time.monotonic() - self._keys_at
            if self._keys is None or age > (KEYS_SECONDS_MIN if afresh else BELIEVED_SECONDS):
                self._keys, self._keys_at = await self._get(address), time.monotonic()
        return self._keys

    async def redeem(self, code: str, *, verifier: str, redirect_uri: str) -> dict[str, Any]:
        """Tokens for a code (RFC 6749 section 4.1.3, RFC 7636 section 4.5).

        :raises ProviderRefusedError: the code is not (or no longer) good.
        :raises ProviderUnavailableError: no sensible answer.
        """
        import httpx

        described = await self.description()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        auth = None
        settings = self.settings
        if not settings.client_secret:
            form["client_id"] = settings.client_id
        else:
            secret = await self._client_secret(described)
            methods = described.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
            if "client_secret_basic" in methods and settings.kind != "apple":
                auth = httpx.BasicAuth(settings.client_id, secret)
            else:
                form |= {"client_id": settings.client_id, "client_secret": secret}
        status, answer = await self._ask("POST", described["token_endpoint"], data=form, auth=auth)
        if status in (400, 401, 403):
            raise ProviderRefusedError(
                f"the provider refused the code: {str(answer.get('error', status))[:100]}"
            )
        if status != 200 or not isinstance(answer.get("id_token"), str):
            raise ProviderUnavailableError(f"the token endpoint answered {status} without an ID token")
        return answer

    async def userinfo(self, access_token: str) -> dict[str, Any]:
        """What the provider tells of whoever signed in; empty when it tells nothing."""
        address = (await self.description()).get("userinfo_endpoint")
        if not isinstance(address, str) or not access_token:
            return {}
        headers = {"Authorization": f"Bearer {access_token}"}
        status, answer = await self._ask("GET", address, headers=headers)
        return answer if status == 200 else {}

    async def _client_secret(self, described: Mapping[str, Any]) -> str:
        secret = (await self._secret(self.settings.client_secret.removeprefix("secret://"))).reveal()
        if not secret.startswith("-----BEGIN"):
            return secret
        # Apple takes no password but a token signed by our key, which it knows.
        from joserfc import jwt
        from joserfc.jwk import ECKey

        now = int(time.time())
        claims = {
            "iss": self.settings.apple_team_id,
            "iat": now,
            "exp": now + 300,
            "aud": described["issuer"],
            "sub": self.settings.client_id,
        }
        header = {"alg": "ES256", "kid": self.settings.apple_key_id}
        return jwt.encode(header, claims, ECKey.import_key(secret))

    def _check(self, found: dict[str, Any]) -> None:
        issuer = str(found.get("issuer", ""))
        # Microsoft's common issuer has a template for one.
        if issuer.rstrip("/") != self.issuer and "{tenantid}" not in issuer:
            raise ProviderUnavailableError(f"{self.issuer} says that it is {issuer!r}")
        if "{tenantid}" in issuer and self.settings.kind != "microsoft":
            raise ProviderUnavailableError(f"{self.issuer} speaks for everybody")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if not is_safe_address(str(found.get(name, ""))):
                raise ProviderUnavailableError(f"{self.issuer}: {name} is not an https address")

    async def _get(self, address: str) -> dict[str, Any]:
        status, answer = await self._ask("GET", address)
        if status != 200:
            raise ProviderUnavailableError(f"{address} answered {status}")
        return answer

    async def _ask(self, method: str, address: str, **options: Any) -> tuple[int, dict[str, Any]]:
        if not is_safe_address(address):
            raise ProviderUnavailableError(f"{address[:200]} is not an https address")
        # Loaded where somebody signs in through others: 4 MB that most servers do not need.
        import httpx

        # A client for each: sign-ins are rare, and connections kept for hours break.
        try:
            async with (
                asyncio.timeout(SECONDS_MAX),
                httpx.AsyncClient(transport=self._transport, timeout=SECONDS_MAX) as client,
                client.stream(
                    method,
                    address,
                    headers={"Accept": "application/json", **options.pop("headers", {})},
                    **options,
                ) as answer,
            ):
                body = b""
                async for piece in answer.aiter_bytes():
                    body += piece
                    if len(body) > ANSWER_BYTES_MAX:
                        raise ProviderUnavailableError(f"{address} answers too much")
                decoded = msgspec.json.decode(body) if body else {}
        except (httpx.HTTPError, TimeoutError, OSError) as error:
            raise ProviderUnavailableError(f"{address} cannot be reached: {error}") from error
        except msgspec.DecodeError as error:
            raise ProviderUnavailableError(f"{address} does not answer in JSON") from error
        return answer.status_code, decoded if isinstance(decoded, dict) else {}


def is_safe_address(address: str) -> bool:
    """HTTPS, or this machine (for development)."""
    parts = urlsplit(address)
    return parts.scheme == "https" or (
        parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")
    )
