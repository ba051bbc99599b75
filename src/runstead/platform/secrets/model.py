"""What a secret is, but for its value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from runstead.kernel.errors import ConflictError, NotFoundError, UnprocessableError

#: Of everybody on this server.
SERVER_SCOPE: Final = "server"

ID_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
SCOPE_PATTERN: Final = r"^(server|app:[a-z0-9][a-z0-9_/-]{0,127}|user:[A-Za-z0-9-]{1,64})$"
VALUE_BYTES_MAX: Final = 64 * 1024
DESCRIPTION_CHARS_MAX: Final = 1000
SECRETS_PER_SCOPE_MAX: Final = 1000

#: What a value that stands for a secret begins with.
REFERENCE: Final = "secret://"


class SecretNotFoundError(NotFoundError):
    """There is no such secret."""

    code = "E_SECRET"


class SecretExpiredError(UnprocessableError):
    """This secret has expired."""

    code = "E_SECRET_EXPIRED"


class SecretExistsError(ConflictError):
    """There is a secret of that id already: change it instead."""

    code = "E_SECRET_EXISTS"


class TooManySecretsError(ConflictError):
    """There are as many secrets here as there may be."""

    code = "E_TOO_MANY"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretEntry:
    """A secret without its value."""

    scope: str
    id: str
    description: str
    version: int
    created_at: datetime
    created_by: str
    updated_at: datetime
    expires_at: datetime | None
    used_at: datetime | None
    uses: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretUse:
    """Who used a secret, how often, when last."""

    used_by: str
    count: int
    used_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretVersion:
    """That there was a value, not which."""

    version: int
    created_at: datetime
    created_by: str


def named(scopes: Sequence[str], secret_id: str) -> SecretNotFoundError:
    """The error that names what was looked for and where."""
    return SecretNotFoundError(f"there is no secret {secret_id[:128]!r} in {', '.join(scopes)}")
