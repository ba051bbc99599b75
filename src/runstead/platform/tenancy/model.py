"""What a tenant is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from runstead.kernel.errors import (
    BadRequestError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    UnavailableError,
)

#: Also the label of a host name, the name of a folder and, with a prefix, of a database schema.
NAME_PATTERN: Final = r"^[a-z][a-z0-9-]{0,30}[a-z0-9]$"
#: Names that people take for the house itself.
RESERVED: Final = frozenset({"www", "api", "admin", "console", "runstead", "mail", "localhost"})


class TenantNotFoundError(NotFoundError):
    """There is no such tenant."""

    code = "E_TENANT"


class TenantDisabledError(ForbiddenError):
    """This tenant is switched off."""

    code = "E_TENANT_DISABLED"


class TenantUnavailableError(UnavailableError):
    """This tenant could not be opened; the server's log says why."""

    code = "E_TENANT_UNAVAILABLE"


class TenantExistsError(ConflictError):
    """There is a tenant of that name already, or there are as many as there may be."""

    code = "E_TENANT_EXISTS"


class TenantAmbiguousError(BadRequestError):
    """The host name names another tenant than the header."""

    code = "E_TENANT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """A house of its own."""

    name: str
    title: str
    #: The plan; empty for none.
    tier: str
    disabled: bool
    created_at: datetime
    created_by: str
