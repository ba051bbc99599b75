"""The section ``[identity]``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from runstead.platform.config import SectionSpec

_ISSUER: Final = re.compile(r"https://[^\s?#]+|http://(127\.0\.0\.1|localhost)(:\d+)?(/[^\s?#]*)?")


class Provider(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An OpenID Connect provider through which people sign in."""

    name: Annotated[
        str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$", description="In addresses: /auth/callback/NAME.")
    ]
    title: Annotated[str, Meta(max_length=64, description="On the button; default: the name.")] = ""
    kind: Annotated[
        Literal["oidc", "google", "microsoft", "apple"],
        Meta(description="google, microsoft and apple know their issuer."),
    ] = "oidc"
    issuer: Annotated[
        str, Meta(max_length=512, description="As https://login.example.org; default: that of the kind.")
    ] = ""
    client_id: Annotated[str, Meta(min_length=1, max_length=256)]
    client_secret: Annotated[
        str,
        Meta(
            pattern=r"^(secret://[A-Za-z0-9][A-Za-z0-9._-]{0,127})?$",
            description="secret://ID of a secret in the vault (for apple: the private key as PEM). Empty: a public client.",
        ),
    ] = ""
    scopes: Annotated[tuple[Annotated[str, Meta(pattern=r"^[!-~]{1,64}$")], ...], Meta(max_length=20)] = (
        "openid",
        "email",
        "profile",
    )
    sign_up: Annotated[bool, Meta(description="Whoever is not known gets an account.")] = False
    roles: Annotated[
        tuple[Literal["viewer", "tester", "designer", "developer", "editor", "administrator"], ...],
        Meta(description="Of accounts that are made by sign_up."),
    ] = ()
    mail_domains: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=253)], ...],
        Meta(max_length=100, description="Only people with a verified mail address of these; empty: of any."),
    ] = ()
    apple_team_id: Annotated[str, Meta(max_length=32)] = ""
    apple_key_id: Annotated[str, Meta(max_length=32)] = ""


class IdentitySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """People, their sessions and tokens."""

    session_idle_minutes: Annotated[
        int, Meta(ge=1, le=60 * 24 * 90, description="A session that nobody uses ends after so many minutes.")
    ] = 12 * 60
    session_days: Annotated[
        int, Meta(ge=1, le=365, description="A session ends after so many days, used or not.")
    ] = 14
    sessions_per_user_max: Annotated[
        int, Meta(ge=1, le=1000, description="Sessions of one person at once; a further one ends the oldest.")
    ] = 10
    link_hours: Annotated[
        int, Meta(ge=1, le=24 * 30, description="Hours that an invitation or a password reset can be used.")
    ] = 72
    lockout_attempts: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="Wrong credentials in a row, of one address or for one account, before a lock.",
        ),
    ] = 10
    lockout_first_seconds: Annotated[
        float, Meta(gt=0, le=3600, description="Length of the first lock; each further failure doubles it.")
    ] = 1.0
    lockout_longest_seconds: Annotated[
        float, Meta(gt=0, le=86_400, description="Length of the longest lock.")
    ] = 900.0
    second_factor: Annotated[
        Literal["optional", "administrators", "everyone"],
        Meta(
            description="Who must have a second factor. Until they have set one up, they can do nothing else. "
            "Whoever signs in through a provider is that provider's business."
        ),
    ] = "optional"
    step_up_minutes: Annotated[
        int,
        Meta(
            ge=1, le=60 * 24 * 30, description="Minutes after a proof for which dangerous acts need no other."
        ),
    ] = 60
    trust_days: Annotated[
        int, Meta(ge=1, le=365, description="Days for which a trusted browser needs no second factor.")
    ] = 30
    breached_passwords: Annotated[
        Path | None,
        Meta(description="File of SHA-1 hashes, sorted, one a line: passwords that are refused."),
    ] = None
    providers: Annotated[
        tuple[Provider, ...],
        Meta(max_length=20, description="Through whom people may sign in: [[identity.providers]]."),
    ] = ()
    token_days_max: Annotated[
        int, Meta(ge=1, le=3650, description="Days that an API token may be valid at most.")
    ] = 365


def _validate(settings: Any, _base: Path) -> Iterator[tuple[str, str]]:
    names = set()
    for number, provider in enumerate(settings.providers):
        where = f"providers[{number}]"
        if provider.kind == "oidc" and not _ISSUER.fullmatch(provider.issuer):
            found = provider.issuer
            yield (
                f"{where}.issuer",
                f"found {found!r}, allowed: https://HOST[/PATH] (http on this machine alone)",
            )
        if provider.name in names:
            yield f"{where}.name", f"found {provider.name!r} twice, allowed: once"
        if "openid" not in provider.scopes:
            yield f"{where}.scopes", "found them without 'openid', allowed: with it"
        names.add(provider.name)


#: ``[identity]``
SECTION: Final = SectionSpec(type=IdentitySettings, validate=_validate)
