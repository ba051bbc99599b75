"""``runstead users`` and ``runstead groups``: who may sign in, and what they may do."""

from __future__ import annotations

from typing import Any

from cyclopts import App

from runstead.platform.cli import Client, CliError, ExitCode, JsonFlag, Output, segment

users = App(name="users", help="People: invite, change, disable.")
groups = App(name="groups", help="Groups of people, and grants on single things.")

_USER_COLUMNS = ["id", "name", "mail", "roles", "status", "created_at"]
_GROUP_COLUMNS = ["id", "name", "roles", "members"]
_GRANT_COLUMNS = ["id", "subject", "permission", "resource", "created_by"]


@users.command(name="list")
def list_users(*, json: JsonFlag = False) -> None:
    """List everybody.

    Example: runstead users list
    """
    with Client.from_environment() as client:
        found, cursor = [], ""
        while True:
            page = client.get("/api/users", limit=1000, cursor=cursor or None)
            found += page["users"]
            cursor = page["next_cursor"]
            if not cursor:
                break
    output = Output(json=json)
    if json:
        output.value({"users": found})
    else:
        output.table([_shown(one) for one in found], _USER_COLUMNS)


@users.command
def invite(*, mail: str | None = None, role: list[str] | None = None, json: JsonFlag = False) -> None:
    """Make a link by which somebody joins, once.

    Example: runstead users invite --mail ada@example.org --role developer

    Parameters
    ----------
    mail
        Whoever uses the link has this address, verified.
    role
        May be given often.
    """
    with Client.from_environment() as client:
        link = client.post("/api/links", json={"mail": mail, "roles": role or []})
        Output(json=json).item(
            link, f"{client.base_url}{link['url']}\nworks once, until {link['expires_at']}"
        )


@users.command
def add(name: str, *, mail: str | None = None, role: list[str] | None = None, json: JsonFlag = False) -> None:
    """Make somebody, and a link by which they set their password.

    Example: runstead users add ada --role developer
    """
    with Client.from_environment() as client:
        user = client.post("/api/users", json={"name": name, "mail": mail, "roles": role or []})
        link = client.post(f"/api/users/{user['id']}/reset")
        Output(json=json).item(
            {**user, "link": link}, f"{user['id']} {user['name']}\n{client.base_url}{link['url']}"
        )


@users.command
def change(
    name: str,
    *,
    rename: str | None = None,
    mail: str | None = None,
    role: list[str] | None = None,
    disable: bool = False,
    enable: bool = False,
    json: JsonFlag = False,
) -> None:
    """Change what is given; roles are replaced as a whole. Sessions end when rights change.

    Example: runstead users change ada --role viewer --role tester
    """
    if disable and enable:
        raise CliError("--disable or --enable, not both", exit_code=ExitCode.USAGE)
    values: dict[str, Any] = {
        key: value for key, value in (("name", rename), ("mail", mail), ("roles", role)) if value is not None
    }
    if disable or enable:
        values["status"] = "disabled" if disable else "active"
    with Client.from_environment() as client:
        user = client.request("PATCH", f"/api/users/{_user_id(client, name)}", json=values)
    Output(json=json).item(user, f"{user['id']} {user['name']}: {', '.join(user['roles']) or 'no roles'}")


@users.command
def reset(name: str, *, json: JsonFlag = False) -> None:
    """Make a link by which somebody sets another password.

    Example: runstead users reset ada
    """
    with Client.from_environment() as client:
        link = client.post(f"/api/users/{_user_id(client, name)}/reset")
        Output(json=json).item(
            link, f"{client.base_url}{link['url']}\nworks once, until {link['expires_at']}"
        )


@users.command(name="sign-out")
def sign_out(name: str, *, json: JsonFlag = False) -> None:
    """End every session of somebody.

    Example: runstead users sign-out ada
    """
    with Client.from_environment() as client:
        client.delete(f"/api/users/{_user_id(client, name)}/sessions")
    Output(json=json).item({"name": name, "signed_out": True}, f"{name} is signed out everywhere")


@users.command(name="rm")
def remove(name: str, *, json: JsonFlag = False) -> None:
    """Remove somebody with their sessions, tokens and grants.

    Example: runstead users rm ada
    """
    with Client.from_environment() as client:
        client.delete(f"/api/users/{_user_id(client, name)}")
    Output(json=json).item({"name": name, "removed": True}, f"{name} removed")


@groups.command(name="list")
def list_groups(*, json: JsonFlag = False) -> None:
    """List every group with its members.

    Example: runstead groups list
    """
    with Client.from_environment() as client:
        found = client.get("/api/groups")
    output = Output(json=json)
    if json:
        output.value({"groups": found})
    else:
        output.table([_shown(one) for one in found], _GROUP_COLUMNS)


@groups.command(name="add")
def add_group(name: str, *, role: list[str] | None = None, json: JsonFlag = False) -> None:
    """Make a group.

    Example: runstead groups add backend --role developer
    """
    with Client.from_environment() as client:
        group = client.post("/api/groups", json={"name": name, "roles": role or []})
    Output(json=json).item(group, f"{group['id']} {group['name']}")


@groups.command
def join(group: str, member: str, *, json: JsonFlag = False) -> None:
    """Take in a member: user:ID or group:ID.

    Example: runstead groups join 0192f0c1-7b1a-7000-8000-000000000000 user:0192f0c1-7b1a-7000-8000-000000000001
    """
    with Client.from_environment() as client:
        changed = client.request("PUT", f"/api/groups/{segment(group)}/members/{segment(member)}")
    Output(json=json).item(changed, f"{changed['name']}: {', '.join(changed['members'])}")


@groups.command
def leave(group: str, member: str, *, json: JsonFlag = False) -> None:
    """Let a member go.

    Example: runstead groups leave 0192f0c1-7b1a-7000-8000-000000000000 user:0192f0c1-7b1a-7000-8000-000000000001
    """
    with Client.from_environment() as client:
        changed = client.request("DELETE", f"/api/groups/{segment(group)}/members/{segment(member)}")
    Output(json=json).item(changed, f"{changed['name']}: {', '.join(changed['members']) or 'nobody'}")


@groups.command(name="rm")
def remove_group(group: str, *, json: JsonFlag = False) -> None:
    """Remove a group; its members stay.

    Example: runstead groups rm 0192f0c1-7b1a-7000-8000-000000000000
    """
    with Client.from_environment() as client:
        client.delete(f"/api/groups/{segment(group)}")
    Output(json=json).item({"id": group, "removed": True}, f"{group} removed")


@groups.command
def grant(subject: str, permission: str, resource: str, *, json: JsonFlag = False) -> None:
    """Allow a person or a group something on one thing.

    Example: runstead groups grant group:0192f0c1-7b1a-7000-8000-000000000000 apps.write app:hello
    """
    body = {"subject": subject, "permission": permission, "resource": resource}
    with Client.from_environment() as client:
        granted = client.post("/api/grants", json=body)
    Output(json=json).item(granted, f"{granted['id']} {subject} {permission} {resource}")


@groups.command
def grants(*, resource: str | None = None, subject: str | None = None, json: JsonFlag = False) -> None:
    """List grants.

    Example: runstead groups grants --resource app:hello
    """
    with Client.from_environment() as client:
        page = client.get("/api/grants", resource=resource, subject=subject)
    output = Output(json=json)
    if json:
        output.value(page)
    else:
        output.table(page["grants"], _GRANT_COLUMNS)


@groups.command
def revoke(grant: str, *, json: JsonFlag = False) -> None:
    """Take a grant back.

    Example: runstead groups revoke 0192f0c1-7b1a-7000-8000-000000000000
    """
    with Client.from_environment() as client:
        client.delete(f"/api/grants/{segment(grant)}")
    Output(json=json).item({"id": grant, "revoked": True}, f"{grant} taken back")


def _user_id(client: Client, name: str) -> str:
    """The id of somebody by name, mail address or id."""
    cursor = ""
    while True:
        page = client.get("/api/users", limit=1000, cursor=cursor or None)
        for user in page["users"]:
            if name.casefold() in (user["id"], user["name"].casefold(), (user["mail"] or "").casefold()):
                return segment(user["id"])
        cursor = page["next_cursor"]
        if not cursor:
            raise CliError(f"there is nobody called {name!r}", exit_code=ExitCode.NOT_FOUND)


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {key: ", ".join(value) if isinstance(value, list) else value for key, value in row.items()}
