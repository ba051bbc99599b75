# ruff: noqa: E501 - a table
"""Who may call what: every operation of the whole server, tried by everybody who can exist.

A route that is not in the table fails the test, and so does a row without its route. Whoever is let through may still get any
answer but 401 and 403: what is asked here is the door, not what lies behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tests.acceptance.house import EVERYBODY, NOBODY, OPERATOR, PEOPLE, ROOT, House, filled, operations

ALL = EVERYBODY
ADMINS = frozenset({"admin", ROOT})
READERS = (PEOPLE - {"granted"}) | {OPERATOR, ROOT}
TESTERS = frozenset({"tester", "designer", "stranger", "owner", "admin", OPERATOR, ROOT})
DEVELOPERS = frozenset({"stranger", "owner", "admin", ROOT})
APP_OWNERS = frozenset({"owner", "granted", "admin", ROOT})
JOB_OWNERS = frozenset({"owner", "admin", OPERATOR, ROOT})
SECRET_OWNERS = frozenset({"owner", "admin", ROOT})

#: Operation → who may.
TABLE: Final[Mapping[str, frozenset[str]]] = {
    "GET /healthz": ALL, "GET /health": ALL, "GET /ready": ALL, "GET /metrics": ALL, "GET /openapi.json": ALL, "GET /config": ALL,
    "GET /hello/{name}": ALL,
    # Log events are signed by projects, which are no actors.
    "POST /api/log": frozenset(),
    "GET /api/log": READERS,
    "POST /wordcount": TESTERS,
    # Signing in.
    "POST /auth/login": ALL, "POST /auth/logout": ALL, "GET /auth/me": ALL, "POST /auth/setup": ALL, "POST /auth/join": ALL, "POST /auth/reset": ALL,
    "GET /auth/providers": ALL, "POST /auth/link/{name}": PEOPLE, "POST /auth/passkey/options": ALL, "POST /auth/passkey": ALL,
    "GET /auth/factors": PEOPLE, "DELETE /auth/factors/{factor_id}": PEOPLE, "POST /auth/factors/totp": PEOPLE, "PUT /auth/factors/totp": PEOPLE,
    "POST /auth/factors/passkey": PEOPLE, "PUT /auth/factors/passkey": PEOPLE, "POST /auth/factors/recovery-codes": PEOPLE,
    "GET /auth/devices": PEOPLE, "DELETE /auth/devices/{device_id}": PEOPLE,
    "DELETE /api/users/{user_id}/factors": ADMINS,
    "POST /auth/prove": PEOPLE, "POST /auth/password": PEOPLE,
    "GET /auth/sessions": PEOPLE, "DELETE /auth/sessions": PEOPLE, "DELETE /auth/sessions/{session_id}": PEOPLE,
    "GET /api/tokens": PEOPLE, "POST /api/tokens": PEOPLE, "DELETE /api/tokens/{token_id}": PEOPLE,
    # People.
    "GET /api/users": ADMINS, "POST /api/users": ADMINS, "GET /api/users/{user_id}": ADMINS, "PATCH /api/users/{user_id}": ADMINS,
    "DELETE /api/users/{user_id}": ADMINS, "POST /api/users/{user_id}/reset": ADMINS, "DELETE /api/users/{user_id}/sessions": ADMINS,
    "GET /api/groups": ADMINS, "POST /api/groups": ADMINS, "GET /api/groups/{group_id}": ADMINS, "PATCH /api/groups/{group_id}": ADMINS,
    "DELETE /api/groups/{group_id}": ADMINS, "PUT /api/groups/{group_id}/members/{member}": ADMINS, "DELETE /api/groups/{group_id}/members/{member}": ADMINS,
    "GET /api/grants": ADMINS, "POST /api/grants": ADMINS, "DELETE /api/grants/{grant_id}": ADMINS,
    "GET /api/links": ADMINS, "POST /api/links": ADMINS, "DELETE /api/links/{link_id}": ADMINS, "GET /api/roles": ADMINS,
    "GET /api/audit": ADMINS, "GET /api/audit/export": ADMINS, "GET /api/audit/verify": ADMINS,
    "GET /editor/api/secrets": DEVELOPERS, "POST /editor/api/secrets": DEVELOPERS, "GET /editor/api/secrets/{secret_id}": DEVELOPERS,
    "GET /editor/api/secrets/{secret_id}/usage": DEVELOPERS, "PUT /editor/api/secrets/{secret_id}": SECRET_OWNERS, "POST /editor/api/secrets/{secret_id}/restore": SECRET_OWNERS,
    "DELETE /editor/api/secrets/{secret_id}": SECRET_OWNERS, "POST /editor/api/secrets/rotate-master-key": ADMINS,
    "GET /api/limits": ADMINS, "GET /api/limits/usage": ADMINS, "POST /api/limits/addresses": ADMINS, "DELETE /api/limits/addresses/{entry_id}": ADMINS,
    "GET /api/tenants": ADMINS, "POST /api/tenants": ADMINS, "GET /api/tenants/{name}": ADMINS, "PATCH /api/tenants/{name}": ADMINS,
    "DELETE /api/tenants/{name}": ADMINS, "GET /api/tenants/{name}/export": ADMINS, "GET /api/tenants/{name}/usage": ADMINS,
    "GET /api/privacy/classes": ADMINS, "GET /api/privacy/people/{who}": ADMINS, "POST /api/privacy/people/{who}/erase": ADMINS,
    "GET /auth/history": PEOPLE,
    # Apps.
    "GET /api/apps": READERS | {"granted"},
    "GET /api/apps/{app_id}": READERS | {"granted"},
    "GET /api/apps/{app_id}/versions": READERS | {"granted"},
    "GET /api/apps/{app_id}/versions/{number}": READERS | {"granted"},
    "GET /api/apps/{app_id}/diff": READERS | {"granted"}, "POST /api/apps/{app_id}/rollback": APP_OWNERS,
    "GET /api/apps/{app_id}/routes": READERS | {"granted"},
    "PUT /api/apps/{app_id}": APP_OWNERS, "DELETE /api/apps/{app_id}": APP_OWNERS, "POST /api/apps/{app_id}/check": APP_OWNERS,
    "GET /api/apps/{app_id}/database": APP_OWNERS, "POST /api/apps/{app_id}/eval": APP_OWNERS, "POST /api/apps/{app_id}/test": (TESTERS - {OPERATOR}) | {"granted"},
    "GET /api/apps/{app_id}/logs": READERS | {"granted"}, "GET /api/apps/{app_id}/deliveries": READERS | {"granted"},
    "GET /api/apps/{app_id}/timers": READERS | {"granted"}, "GET /api/apps/{app_id}/streams": READERS | {"granted"},
    "GET /api/apps/{app_id}/assets": READERS | {"granted"}, "GET /api/apps/{app_id}/assets/{name}": READERS | {"granted"},
    "PUT /api/apps/{app_id}/assets/{name}": APP_OWNERS, "DELETE /api/apps/{app_id}/assets/{name}": APP_OWNERS,
    "PUT /api/apps/{app_id}/privileged": ADMINS, "PUT /api/apps/{app_id}/owner": APP_OWNERS,
    # Endpoints.
    "GET /api/endpoints": READERS, "GET /api/endpoints/schema": READERS, "GET /api/endpoints/{name}/runs": READERS,
    "GET /api/endpoints/{name}/runs/{run_id}": READERS, "GET /api/endpoints/{name}/runs/{run_id}/artifacts": READERS,
    "GET /api/endpoints/{name}/runs/{run_id}/artifacts/{artifact}": READERS,
    "GET /api/endpoints/{name}/runs/{run_id}/stderr": READERS, "GET /api/endpoints/{name}/runs/{run_id}/stdout": READERS,
    "GET /api/endpoints/{name}/runs/{run_id}/events": READERS,
    "POST /api/endpoints/{name}/try": TESTERS,
    # Jobs.
    "GET /api/scripts": READERS | {"narrow"}, "POST /api/scripts": DEVELOPERS | {OPERATOR},
    "GET /api/scripts/{job_id}": READERS | {"narrow"}, "GET /api/scripts/{job_id}/logs": READERS | {"narrow"},
    "POST /api/scripts/{job_id}/kill": JOB_OWNERS, "POST /api/scripts/{job_id}/restart": JOB_OWNERS, "POST /api/scripts/{job_id}/rerun": DEVELOPERS | {OPERATOR}, "DELETE /api/scripts/{job_id}": JOB_OWNERS,
    "GET /api/schedules": TESTERS, "GET /api/schedules/{schedule_id}": TESTERS,
    "POST /api/schedules": DEVELOPERS | {OPERATOR}, "PUT /api/schedules/{schedule_id}": JOB_OWNERS, "DELETE /api/schedules/{schedule_id}": JOB_OWNERS,
    "PATCH /api/schedules/{schedule_id}": JOB_OWNERS,
    "POST /api/schedules/{schedule_id}/run": JOB_OWNERS,
    "GET /api/templates": TESTERS, "GET /api/templates/{template}": TESTERS, "POST /api/templates": DEVELOPERS | {OPERATOR},
    "PUT /api/templates/{template}": JOB_OWNERS, "DELETE /api/templates/{template}": JOB_OWNERS, "POST /api/templates/{template}/run": TESTERS,
    # Logs.
    **dict.fromkeys(("GET /admin/maintain", "POST /admin/maintain", "GET /admin/projects", "POST /admin/projects", "GET /admin/projects/{slug}", "DELETE /admin/projects/{slug}", "PATCH /admin/projects/{slug}", "POST /admin/projects/{slug}/rotate", "POST /admin/purge"), ADMINS),
    # Records.
    "POST /admin/records/reindex": ADMINS | {OPERATOR},
    "POST /v1/artifacts": DEVELOPERS | {OPERATOR},
    "GET /v1/artifacts/{organization}/{project}/{service}": READERS,
    "GET /v1/artifacts/{organization}/{project}/{service}/latest": READERS,
    "GET /v1/artifacts/{organization}/{project}/{service}/runs/{run_id}": READERS,
}  # fmt: skip

#: Bodies without which an operation is refused before it is known what it is about.
BODIES: Final[Mapping[str, dict[str, Any]]] = {
    "PUT /api/apps/{app_id}": {"content": b"function init() {}"},
    "PUT /api/apps/{app_id}/assets/{name}": {"content": b"text"},
    "POST /api/apps/{app_id}/eval": {"json": {"code": "1"}},
    "POST /api/apps/{app_id}/rollback": {"json": {"version": 1}},
    "GET /api/apps/{app_id}/diff": {"params": {"from": 1, "to": 1}},
    "PUT /api/apps/{app_id}/owner": {"json": {"owner": "user:nobody"}},
    "POST /api/apps/{app_id}/check": {"content": b"function init() {}"},
    "PUT /api/schedules/{schedule_id}": {"json": {"cron": "@yearly", "command": "true"}},
    "PATCH /api/schedules/{schedule_id}": {"json": {"status": "paused"}},
    "PUT /api/templates/{template}": {"json": {"command": "true"}},
    "PUT /editor/api/secrets/{secret_id}": {"json": {}},
    "POST /editor/api/secrets/{secret_id}/restore": {"json": {"version": 1}},
}


async def test_everybody_gets_through_their_doors_and_through_no_other(world: House) -> None:
    described = operations(world.paths)
    assert described - set(TABLE) == set(), "not in the table: say who may call them"
    assert set(TABLE) - described == set(), "in the table, and nowhere else"

    wrong = []
    # What removes comes last, parts before wholes, and those who may come after those who may not, the owner first of them: they succeed.
    for operation in sorted(TABLE, key=lambda one: (one.startswith("DELETE") and 9 - one.count("/"), one)):
        method, path = operation.split(" ")
        may = TABLE[operation]
        for name in sorted(EVERYBODY, key=lambda one: (one in may, one != "owner", one)):
            url = filled(path, world.values)
            options = BODIES.get(operation, {})
            if path.endswith("/owner"):
                # To whom it belongs already: the others are still to be asked.
                options = {"json": {"owner": f"user:{world.ids['owner']}"}}
            answer = await world.clients[name].request(method, url, **options)
            passed = answer.status_code not in (401, 403) or answer.json()["error"]["code"] == "E_LINK"
            if passed != (name in may):
                wrong.append(f"{operation}: {name} got {answer.status_code} {answer.text[:120]}")
            if not passed and may and (answer.status_code == 401) != (name == NOBODY):
                wrong.append(f"{operation}: {name} was refused by {answer.status_code}")
    assert not wrong, "\n".join(wrong)


async def test_the_description_says_the_same_as_the_table(world: House) -> None:
    """Whether a credential is needed, and whether the machines' are enough."""
    wrong = []
    for operation in sorted(TABLE):
        method, path = operation.split(" ")
        described = world.paths[path][method.lower()]
        security = described.get("security") or [{}]
        schemes = {scheme for one in security for scheme in one}
        open_to_all = TABLE[operation] == ALL
        if open_to_all != (schemes == set()) and operation != "POST /api/log":
            wrong.append(f"{operation}: described by {security}")
        if ("adminToken" in schemes or "bearer" in schemes) and not TABLE[operation] & {ROOT, *PEOPLE}:
            wrong.append(f"{operation}: nobody may, but {security}")
    assert not wrong, "\n".join(wrong)
