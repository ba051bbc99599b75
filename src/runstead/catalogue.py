"""What there is: commands, sections of the configuration, tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from runstead.platform.config import SectionSpec

#: ``runstead NAME …`` → where its commands are, imported when they are called, and the line that the list shows.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "serve": ("runstead.serve:serve", "Run the server."),
    "demo": ("runstead.demo:demo", "Walk through all five capabilities against the running server."),
    "import": ("runstead.importing:import_", "Take over hooks of adnanh/webhook, or a crontab."),
    "apps": ("runstead.capabilities.apps.cli:app", "Web apps in JavaScript."),
    "endpoints": ("runstead.capabilities.endpoints.cli:app", "Declared HTTP routes that run programs."),
    "jobs": ("runstead.capabilities.jobs.cli:app", "Commands with live output."),
    "schedules": ("runstead.capabilities.jobs.schedules.cli:app", "Commands that start by the clock."),
    "templates": ("runstead.capabilities.jobs.templates.cli:app", "Named commands with typed parameters."),
    "logs": ("runstead.capabilities.logs.cli:app", "Log events: send, search, projects."),
    "records": ("runstead.capabilities.records.cli:app", "Immutable records of runs."),
    "audit": ("runstead.platform.audit.cli:app", "Who did what: read, export, verify."),
    "limits": ("runstead.platform.limits.cli:app", "Rates: what holds, whom to shut out."),
    "secrets": ("runstead.platform.secrets.cli:app", "Secrets: put in, change, who uses them."),
    "privacy": ("runstead.platform.privacy.cli:app", "What is known of people: copy out, erase."),
    "tenants": ("runstead.platform.tenancy.cli:app", "Houses of their own: make, change, remove."),
    "users": ("runstead.platform.identity.cli:users", "People: invite, change, disable."),
    "groups": ("runstead.platform.identity.cli:groups", "Groups of people, and grants on single things."),
}


def sections() -> Mapping[str, SectionSpec]:
    """What may stand in the configuration beside the platform's own sections."""
    from runstead.capabilities import apps, endpoints, jobs, logs, records
    from runstead.platform import audit, limits, secrets, tenancy
    from runstead.platform.identity.settings import SECTION as IDENTITY

    return {
        "identity": IDENTITY,
        "secrets": secrets.SECTION,
        "limits": limits.SECTION,
        "tenants": tenancy.SECTION,
        "audit": audit.SECTION,
        "apps": apps.SECTION,
        "endpoints": endpoints.SECTION,
        "runs": endpoints.RUNS_SECTION,
        "jobs": jobs.SECTION,
        "logs": logs.SECTION,
        "records": records.SECTION,
    }


def migrations() -> Mapping[str, Path]:
    """Branch → folder of its revisions: of all capabilities, for a database that knows more than we do is refused."""
    from runstead.capabilities import apps, jobs, logs
    from runstead.platform import audit, limits, secrets, tenancy
    from runstead.platform.identity.tables import MIGRATIONS as IDENTITY
    from runstead.platform.storage import sql

    return {
        "platform": sql.MIGRATIONS,
        "identity": IDENTITY,
        "secrets": secrets.MIGRATIONS,
        "limits": limits.MIGRATIONS,
        "tenancy": tenancy.MIGRATIONS,
        "audit": audit.MIGRATIONS,
        "apps": apps.MIGRATIONS,
        "jobs": jobs.MIGRATIONS,
        "logs": logs.MIGRATIONS,
    }
