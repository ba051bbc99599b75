"""What the routes of people take and give."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from runstead.platform.identity.model import (
    MAIL_CHARS_MAX,
    MAIL_PATTERN,
    NAME_CHARS_MAX,
    NAME_PATTERN,
    PASSWORD_CHARS_MAX,
)

Name = Annotated[str, Meta(pattern=NAME_PATTERN, max_length=NAME_CHARS_MAX)]
Mail = Annotated[str, Meta(pattern=MAIL_PATTERN, max_length=MAIL_CHARS_MAX)]
Password = Annotated[str, Meta(min_length=1, max_length=PASSWORD_CHARS_MAX)]
Code = Annotated[
    str, Meta(min_length=1, max_length=64, description="Of the second factor, where there is one.")
]
LinkText = Annotated[str, Meta(min_length=1, max_length=200, description="As the link shows it after the #.")]
RoleName = Literal["viewer", "tester", "designer", "developer", "editor", "administrator"]
Roles = Annotated[list[RoleName], Meta(max_length=10)]
Subject = Annotated[
    str, Meta(pattern=r"^(user|group):[A-Za-z0-9-]{1,64}$", description="user:ID or group:ID")
]
Permission = Annotated[
    str,
    Meta(
        pattern=r"^(owner|[a-z]{1,32}\.(\*|[a-z_]{1,32}))$",
        description="An action such as apps.write, all of an area as apps.*, or owner.",
    ),
]


class _OfLines(msgspec.Struct):
    """What is matched by patterns. Python's ``$`` also matches before a final line break, JSON Schema's does not."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, str) and value.endswith("\n"):
                raise ValueError(f"{name} ends with a line break")


class PasskeyProof(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A browser's answer to a challenge, as JSON."""

    state: Annotated[str, Meta(min_length=1, max_length=4000, description="As it came with the options.")]
    credential: dict[str, Any]


class Login(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A proof of who somebody is."""

    name: Annotated[str, Meta(min_length=1, max_length=MAIL_CHARS_MAX, description="Name or mail address.")]
    password: Password
    code: Code | None = None
    passkey: PasskeyProof | None = None
    trust: Annotated[
        Literal["no", "yes"], Meta(description="yes: this browser needs no second factor for some days.")
    ] = "no"


class Proof(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The same once more, of whoever is signed in."""

    password: Password
    code: Code | None = None
    passkey: PasskeyProof | None = None


class NewPassword(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Another password."""

    current: Password
    new: Password
    code: Code | None = None


class Join(_OfLines, forbid_unknown_fields=True, kw_only=True):
    """Somebody uses an invitation, or the set-up link of the first start."""

    link: LinkText
    name: Name
    password: Password
    mail: Mail | None = None


class Reset(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Somebody uses a reset link."""

    link: LinkText
    password: Password


class Me(msgspec.Struct, kw_only=True):
    """Who asks."""

    kind: str
    id: str
    name: str
    mail: str | None
    roles: list[str]
    groups: list[str]
    session: str | None
    #: ``second_factor``: they must set one up first; ``suspicious``: neither browser nor network was seen before.
    notice: Literal["", "second_factor", "suspicious"] = ""


class UserView(msgspec.Struct, kw_only=True):
    """Somebody who can sign in."""

    id: str
    name: str
    mail: str | None
    mail_verified: bool
    roles: list[str]
    status: Literal["active", "disabled"]
    has_password: bool
    created_at: str
    updated_at: str


class UserPage(msgspec.Struct):
    """People, in the order in which they were made."""

    users: list[UserView]
    next_cursor: str | None


class NewUser(_OfLines, forbid_unknown_fields=True, kw_only=True):
    """Somebody to be made. They set their own password by a reset link."""

    name: Name
    mail: Mail | None = None
    roles: Roles = []


class UserChange(_OfLines, forbid_unknown_fields=True, kw_only=True):
    """What is to be changed."""

    name: Name | UnsetType = UNSET
    mail: Mail | UnsetType | None = UNSET
    roles: Roles | UnsetType = UNSET
    status: Literal["active", "disabled"] | UnsetType = UNSET


class NewLink(_OfLines, forbid_unknown_fields=True, kw_only=True):
    """An invitation."""

    mail: Mail | None = None
    roles: Roles = []


class LinkView(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A link that is open. Its text is shown once, where it is made."""

    id: str
    kind: str
    user_id: str
    mail: str | None
    roles: list[str]
    expires_at: str
    url: str | None = None


class GroupView(msgspec.Struct, kw_only=True):
    """A group and its direct members."""

    id: str
    name: str
    roles: list[str]
    members: list[str]
    created_at: str


class NewGroup(_OfLines, forbid_unknown_fields=True, kw_only=True):
    """A group to be made."""

    name: Name
    roles: Roles = []


class GroupChange(_OfLines, forbid_unknown_fields=True, kw_only=True):
    """What is to be changed."""

    name: Name | UnsetType = UNSET
    roles: Roles | UnsetType = UNSET


class NewGrant(_OfLines, forbid_unknown_fields=True, kw_only=True):
    """A permission on one thing."""

    subject: Subject
    permission: Permission
    resource: Annotated[
        str,
        Meta(
            pattern=r"^(app|endpoint|job|template|schedule|log|record|secret):[!-~]{1,200}$",
            description="KIND:ID, as app:hello",
        ),
    ]


class GrantView(msgspec.Struct, kw_only=True):
    """A permission on one thing, and who gave it."""

    id: str
    subject: str
    permission: str
    resource: str
    created_by: str
    created_at: str


class GrantPage(msgspec.Struct):
    """Grants, the oldest first."""

    grants: list[GrantView]
    next_cursor: str | None


class SessionView(msgspec.Struct, kw_only=True):
    """Somewhere where somebody is signed in."""

    id: str
    created_at: str
    seen_at: str
    expires_at: str
    method: str
    address: str
    agent: str
    current: bool


class NewToken(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A token to be made."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    scopes: Annotated[list[Permission], Meta(max_length=50)] | None = None
    days: Annotated[int, Meta(ge=1, le=3650)] = 90


class TokenView(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An API token. Its text is shown once, where it is made."""

    id: str
    name: str
    scopes: list[str] | None
    created_at: str
    expires_at: str
    used_at: str | None
    token: str | None = None


class RoleView(msgspec.Struct):
    """A role and what it allows: on everything, and on one's own."""

    name: str
    description: str
    on_any: list[str]
    on_own: list[str]


class FactorName(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What a factor is to be called."""

    name: Annotated[str, Meta(max_length=100)] = ""


class TotpOffer(msgspec.Struct, kw_only=True):
    """The secret for an authenticator app, shown once, also as the text of a QR code."""

    secret: str
    uri: str
    state: str


class TotpProof(FactorName, forbid_unknown_fields=True, kw_only=True):
    """The first code of an authenticator app."""

    state: Annotated[str, Meta(min_length=1, max_length=4000)]
    code: Code


class NewPasskey(FactorName, forbid_unknown_fields=True, kw_only=True):
    """A browser's answer to a challenge, as JSON."""

    state: Annotated[str, Meta(min_length=1, max_length=4000)]
    credential: dict[str, Any]


class PasskeyOffer(msgspec.Struct, kw_only=True):
    """What the browser's ``navigator.credentials`` takes, in its JSON form."""

    options: dict[str, Any]
    state: str


class RecoveryCodes(msgspec.Struct):
    """Each works once instead of a one-time code. Shown once."""

    recovery_codes: list[str]


class FactorView(msgspec.Struct, kw_only=True):
    """One that is set up."""

    id: str
    kind: Literal["totp", "passkey"]
    name: str
    created_at: str
    used_at: str | None


class FactorsView(msgspec.Struct):
    """What is set up, and how many recovery codes are left."""

    factors: list[FactorView]
    recovery_codes_left: int


class DeviceView(msgspec.Struct, kw_only=True):
    """A browser that is known."""

    id: str
    agent: str
    address: str
    created_at: str
    seen_at: str
    trusted_until: str | None
