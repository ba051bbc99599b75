"""From "sign in with …" to a session."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from runstead.kernel.clock import Clock
from runstead.kernel.errors import NotFoundError, RunsteadError
from runstead.kernel.trail import Trail
from runstead.platform.identity.challenges import ChallengeError, Challenges
from runstead.platform.identity.high_entropy import fits, hash_of, new_secret
from runstead.platform.identity.oidc.errors import ProviderRefusedError
from runstead.platform.identity.oidc.id_token import Expected, UnknownKeyError, claims_of
from runstead.platform.identity.oidc.linking import Linking, Person
from runstead.platform.identity.oidc.provider import OpenSecret, ProviderClient
from runstead.platform.identity.settings import Provider
from runstead.platform.storage.sql import Database

if TYPE_CHECKING:
    import httpx

#: Only paths of this server: "//host" and "/\\host" would lead elsewhere, and so would what browsers drop on the way.
_LOCAL_PATH: Final = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]{0,1000}|/")


@dataclass(frozen=True, slots=True)
class Departure:
    """Where the browser goes, and what it keeps to prove on its return that it is the same one."""

    address: str
    browser_secret: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """Who came back, and where they wanted to go."""

    user_id: str
    next_path: str


class Providers:
    """The providers through which people may sign in.

    Against what: the state is sealed, good once, for ten minutes and for one browser (a cookie proves it), so that nobody is
    signed in by a link of somebody else's; the code is of use to nobody without the verifier (PKCE, RFC 7636), which never
    leaves the server; the nonce ties the ID token to this sign-in; the answer's issuer is compared (RFC 9207), so that
    providers cannot be mixed up.
    """

    def __init__(
        self,
        db: Database,
        *,
        settings: Sequence[Provider],
        challenges: Challenges,
        linking: Linking,
        secret: OpenSecret,
        trail: Trail,
        clock: Clock,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._db = db
        self._challenges = challenges
        self._linking = linking
        self._trail = trail
        self._clock = clock
        self._clients = {
            one.name: ProviderClient(one, secret=secret, transport=transport) for one in settings
        }

    def offered(self) -> Sequence[Provider]:
        """What people can choose from."""
        return [client.settings for client in self._clients.values()]

    async def depart(
        self, name: str, *, redirect_uri: str, next_path: str = "/", link_to: str = ""
    ) -> Departure:
        """Send somebody to a provider.

        :param link_to: the id of somebody signed in, who wants to sign in this way from now on.
        :raises NotFoundError: there is no such provider.
        """
        client = self._client(name)
        described = await client.description()
        secret, nonce, verifier = new_secret(), new_secret(), new_secret()
        state = self._challenges.issue(
            f"oidc:{name}",
            browser=hash_of(secret),
            nonce=nonce,
            verifier=verifier,
            redirect_uri=redirect_uri,
            next=next_path if _LOCAL_PATH.fullmatch(next_path) else "/",
            link_to=link_to,
        )
        settings = client.settings
        asked = {
            "response_type": "code",
            "client_id": settings.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(settings.scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": _challenge_of(verifier),
            "code_challenge_method": "S256",
        }
        if settings.kind == "apple":
            # Apple tells a name and a mail address by a form only.
            asked["response_mode"] = "form_post"
        address = described["authorization_endpoint"]
        return Departure(f"{address}{'&' if '?' in address else '?'}{urlencode(asked)}", secret)

    async def arrive(self, name: str, answer: Mapping[str, str], *, browser_secret: str) -> Arrival:
        """Somebody comes back.

        :param answer: the parameters of the provider's answer.
        :param browser_secret: what the browser has kept.
        :raises ChallengeError: the state is missing, another's, used or old.
        :raises ProviderRefusedError: the provider says no.
        :raises TokenRefusedError: the ID token is not valid.
        :raises NoAccountError: nobody here goes by that account.
        """
        client = self._client(name)
        try:
            return await self._arrive(client, answer, browser_secret)
        except RunsteadError as error:
            details = {"how": f"oidc:{name}", "why": error.message[:200]}
            await self._db.write(self._trail.note("identity.login", outcome="failure", details=details))
            raise

    async def _arrive(
        self, client: ProviderClient, answer: Mapping[str, str], browser_secret: str
    ) -> Arrival:
        name = client.settings.name
        facts = await self._challenges.redeem(f"oidc:{name}", answer.get("state", ""))
        if not browser_secret or not fits(browser_secret, facts["browser"]):
            raise ChallengeError("This sign-in was begun in another browser.")
        described = await client.description()
        if "iss" in answer and answer["iss"] != described["issuer"]:
            raise ProviderRefusedError("the answer is of another provider")
        if "error" in answer or not answer.get("code"):
            raise ProviderRefusedError(f"the provider says {answer.get('error', 'nothing')[:100]!r}")
        tokens = await client.redeem(
            answer["code"], verifier=facts["verifier"], redirect_uri=facts["redirect_uri"]
        )
        claims = await self._claims(client, tokens, facts["nonce"])
        person = Person(
            provider=client.settings,
            issuer=claims["iss"],
            subject=claims["sub"],
            mail=_text(claims.get("email")).lower(),
            # Apple sends it as a text; Microsoft says nothing of it, so that such addresses count as not verified.
            mail_verified=claims.get("email_verified") in (True, "true"),
            name=_text(claims.get("preferred_username") or claims.get("name")),
        )
        user_id = await self._linking.user_of(person, link_to=facts["link_to"])
        details = {"how": f"oidc:{name}"}
        await self._db.write(self._trail.note("identity.login", actor=f"user:{user_id}", details=details))
        return Arrival(user_id, facts["next"])

    async def _claims(self, client: ProviderClient, tokens: Mapping[str, Any], nonce: str) -> dict[str, Any]:
        access_token = _text(tokens.get("access_token"), 16_000)
        described = await client.description()
        expected = Expected(
            issuer=described["issuer"],
            client_id=client.settings.client_id,
            nonce=nonce,
            now=self._clock.now().timestamp(),
            access_token=access_token,
        )
        try:
            claims = claims_of(tokens["id_token"], await client.keys(), expected)
        except UnknownKeyError:
            # Providers change their keys without a word.
            claims = claims_of(tokens["id_token"], await client.keys(afresh=True), expected)
        if "email" not in claims:
            told = await client.userinfo(access_token)
            if told.get("sub") == claims["sub"]:
                claims = {**told, **claims}
        return claims

    def _client(self, name: str) -> ProviderClient:
        client = self._clients.get(name)
        if client is None:
            raise NotFoundError(f"there is no provider {name[:64]!r}")
        return client


def _challenge_of(verifier: str) -> str:
    """RFC 7636, section 4.2: S256."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def _text(value: object, chars_max: int = 254) -> str:
    return value if isinstance(value, str) and len(value) <= chars_max else ""
