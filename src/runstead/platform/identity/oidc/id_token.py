"""Checking an ID token (OpenID Connect Core 1.0, section 3.1.3.7; RFC 8725 for what goes wrong with JWTs)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from typing import Any, Final

from runstead.platform.identity.oidc.errors import TokenRefusedError

#: Public keys only: a symmetric algorithm would take the provider's public key for a password, ``none`` would take anything.
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
#: Seconds that clocks may differ.
LEEWAY_SECONDS: Final = 60
#: An ID token that was made longer ago was not made for this sign-in.
AGE_SECONDS_MAX: Final = 600


class UnknownKeyError(TokenRefusedError):
    """It is not signed by a key that the provider has published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a token must say."""

    issuer: str
    client_id: str
    nonce: str
    #: Seconds since 1970.
    now: float
    #: To what at_hash belongs, where it is there.
    access_token: str = ""


def claims_of(token: str, keys: dict[str, Any], expected: Expected) -> dict[str, Any]:
    """The claims of a valid token.

    :param keys: a JWK set (RFC 7517).
    :raises UnknownKeyError: the keys may have changed since they were fetched.
    :raises TokenRefusedError: says what is wrong with it.
    """
    header, claims = _verified(token, keys)
    _check_parties(claims, expected)
    _check_times(claims, expected.now)
    if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), expected.nonce.encode()):
        raise TokenRefusedError("the nonce is another one")
    if "at_hash" in claims and expected.access_token:
        _check_access_token(claims["at_hash"], header["alg"], expected.access_token)
    return claims


def _verified(token: str, keys: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    from joserfc import jws, jwt
    from joserfc.errors import BadSignatureError, InvalidKeyIdError, JoseError
    from joserfc.jwk import KeySet

    usable = [
        key
        for key in keys.get("keys", ())
        if isinstance(key, dict) and key.get("kty") in ("RSA", "EC", "OKP") and key.get("use", "sig") == "sig"
    ]
    try:
        header = jws.extract_compact(token.encode()).headers()
        if header.get("alg") not in ALGORITHMS:
            raise TokenRefusedError(f"signed by {header.get('alg')!r}, allowed: {', '.join(ALGORITHMS)}")
        kid = header.get("kid")
        if kid is not None:
            usable = [key for key in usable if key.get("kid") == kid]
        if not usable:
            raise UnknownKeyError(
                f"signed by the key {str(kid)[:64]!r}, which the provider has not published"
            )
        found = jwt.decode(token, KeySet.import_key_set({"keys": usable}), algorithms=ALGORITHMS)
    except InvalidKeyIdError as error:
        raise UnknownKeyError from error
    except BadSignatureError as error:
        # Not every provider names its keys: a new one may look like this.
        raise UnknownKeyError("the signature does not fit") from error
    except (JoseError, ValueError, KeyError, TypeError) as error:
        raise TokenRefusedError(f"it is no valid token: {error}") from error
    return dict(found.header), dict(found.claims)


def _check_parties(claims: dict[str, Any], expected: Expected) -> None:
    issuer = expected.issuer
    if "{tenantid}" in issuer:
        # Microsoft's common issuer names the organization of whoever signs in.
        issuer = issuer.replace("{tenantid}", str(claims.get("tid", "")))
    if claims.get("iss") != issuer:
        raise TokenRefusedError(f"issued by {claims.get('iss')!r}, expected: {issuer!r}")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if expected.client_id not in audiences:
        raise TokenRefusedError(f"made for {audience!r}, not for {expected.client_id!r}")
    party = claims.get("azp")
    if (len(audiences) > 1 and party is None) or (party is not None and party != expected.client_id):
        raise TokenRefusedError(f"made for {audience!r} on behalf of {party!r}")
    if not isinstance(claims.get("sub"), str) or not 1 <= len(claims["sub"]) <= 255:
        raise TokenRefusedError("it names nobody")


def _check_times(claims: dict[str, Any], now: float) -> None:
    ends, made, begins = claims.get("exp"), claims.get("iat"), claims.get("nbf", 0)
    for value in (ends, made, begins):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TokenRefusedError("it lacks a time")
    if now >= ends + LEEWAY_SECONDS:  # type: ignore[operator]
        raise TokenRefusedError("it has expired")
    if now < max(made, begins) - LEEWAY_SECONDS:
        raise TokenRefusedError("it is of the future")
    if now - made > AGE_SECONDS_MAX + LEEWAY_SECONDS:  # type: ignore[operator]
        raise TokenRefusedError("it was made too long ago")


def _check_access_token(at_hash: object, algorithm: str, access_token: str) -> None:
    """Core, section 3.1.3.6: the left half of the hash."""
    digest = hashlib.new(
        f"sha{algorithm[2:]}" if algorithm != "EdDSA" else "sha512", access_token.encode()
    ).digest()
    wanted = base64.urlsafe_b64encode(digest[: len(digest) // 2]).decode().rstrip("=")
    if not hmac.compare_digest(str(at_hash).encode(), wanted.encode()):
        raise TokenRefusedError("it belongs to another access token")
