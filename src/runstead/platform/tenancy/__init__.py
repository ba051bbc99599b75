"""Several houses in one server: each tenant has a database, objects, people, keys and limits of its own."""

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
