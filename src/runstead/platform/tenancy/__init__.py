"""Several houses in one server: each tenant has a database, objects, people, keys and limits of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runstead.kernel.lazy import lazily

if TYPE_CHECKING:
    from runstead.platform.tenancy.door import TenantDoor
    from runstead.platform.tenancy.model import Tenant, TenantNotFoundError
    from runstead.platform.tenancy.service import House, Tenants
    from runstead.platform.tenancy.settings import SECTION, TenancySettings
    from runstead.platform.tenancy.tables import MIGRATIONS

__all__ = [
    "MIGRATIONS",
    "SECTION",
    "House",
    "TenancySettings",
    "Tenant",
    "TenantDoor",
    "TenantNotFoundError",
    "Tenants",
]

if not TYPE_CHECKING:
    __getattr__ = lazily(
        __name__,
        {
            "door": ["TenantDoor"],
            "model": ["Tenant", "TenantNotFoundError"],
            "service": ["House", "Tenants"],
            "settings": ["SECTION", "TenancySettings"],
            "tables": ["MIGRATIONS"],
        },
    )
