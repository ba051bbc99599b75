"""People, groups, sessions, tokens and links, as values."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from runstead.kernel.clock import rfc3339

NAME_CHARS_MAX: Final = 64
MAIL_CHARS_MAX: Final = 254
PASSWORD_CHARS_MAX: Final = 1024

#: What every API token begins with, so that scanners recognise a leaked one.
TOKEN_PREFIX: Final = "rst_"  # noqa: S105 - the beginning of all of them

#: Letters, digits and a few signs; begins with a letter or digit.
NAME_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
MAIL_PATTERN: Final = r"^[^@\s\x00-\x1f]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,186}[A-Za-z0-9])?$"

LinkKind = Literal["setup", "invitation", "reset"]


def key_of(text: str) -> str:
    """What two names that a person takes for one have in common (Unicode TR 36: compatibility forms, no case)."""
    return unicodedata.normalize("NFKC", text).casefold().strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody who can sign in."""

    id: str
    name: str
    mail: str | None
    mail_verified: bool
    roles: tuple[str, ...]
    disabled: bool
    epoch: int
    created_at: datetime
    updated_at: datetime
    #: Whether there is one at all; some sign in through others only.
    has_password: bool

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "mail": self.mail,
            "mail_verified": self.mail_verified,
            "roles": list(self.roles),
            "status": "disabled" if self.disabled else "active",
            "has_password": self.has_password,
            "created_at": rfc3339(self.created_at),
            "updated_at": rfc3339(self.updated_at),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """People, and other groups, who have roles and own things together."""

    id: str
    name: str
    roles: tuple[str, ...]
    #: ``user:ID`` or ``group:ID``.
    members: tuple[str, ...]
    created_at: datetime

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "roles": list(self.roles),
            "members": list(self.members),
            "created_at": rfc3339(self.created_at),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredGrant:
    """A permission on one thing, and who gave it to whom."""

    id: str
    subject: str
    permission: str
    kind: str
    resource_id: str
    created_by: str
    created_at: datetime

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "subject": self.subject,
            "permission": self.permission,
            "resource": f"{self.kind}:{self.resource_id}",
            "created_by": self.created_by,
            "created_at": rfc3339(self.created_at),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Somebody who is signed in, in one browser."""

    id: str
    user_id: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    proved_at: datetime
    #: How they proved who they are: ``password``, ``password+totp``, ``passkey``, ``oidc:NAME``, ``link``.
    method: str
    address: str
    agent: str

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "created_at": rfc3339(self.created_at),
            "seen_at": rfc3339(self.seen_at),
            "expires_at": rfc3339(self.expires_at),
            "method": self.method,
            "address": self.address,
            "agent": self.agent,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A program's credential to act for a person."""

    id: str
    user_id: str
    name: str
    scopes: tuple[str, ...] | None
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "scopes": None if self.scopes is None else list(self.scopes),
            "created_at": rfc3339(self.created_at),
            "expires_at": rfc3339(self.expires_at),
            "used_at": None if self.used_at is None else rfc3339(self.used_at),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Something that opens one door once."""

    id: str
    kind: LinkKind
    user_id: str
    mail: str | None
    roles: tuple[str, ...]
    expires_at: datetime
