"""The routes of accounts, groups, grants and invitations: the administrator's."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, delete, get, patch, post, put
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET

from runstead.kernel.clock import rfc3339
from runstead.kernel.errors import NotFoundError
from runstead.platform.http.scope import actor_of
from runstead.platform.identity.accounts import Accounts
from runstead.platform.identity.http.schemas import (
    GrantPage,
    GrantView,
    GroupChange,
    GroupView,
    LinkView,
    NewGrant,
    NewGroup,
    NewLink,
    NewUser,
    RoleView,
    UserChange,
    UserPage,
    UserView,
)
from runstead.platform.identity.links import link_path
from runstead.platform.identity.model import Link
from runstead.platform.identity.permissions import guard
from runstead.platform.identity.roles import ROLES

_ONCE = {"Cache-Control": "no-store"}
_TAKEN = {409: ResponseSpec(None, description="Another one has that name, or it is the last administrator.")}
_AnyRequest = Request[Any, Any, Any]
Limit = Annotated[int, QueryParameter(ge=1, le=1000)]
Cursor = Annotated[str, QueryParameter(max_length=64)]


def administration(accounts: Accounts) -> list[Any]:
    """The routers."""
    return [
        Router(path="/api/users", route_handlers=[*_users(accounts), *_user(accounts)], tags=["people"]),
        Router(path="/api/groups", route_handlers=_groups(accounts), tags=["people"]),
        Router(path="/api/grants", route_handlers=_grants(accounts), tags=["people"]),
        Router(path="/api/links", route_handlers=_links(accounts), tags=["people"]),
        Router(path="/api/roles", route_handlers=[roles], tags=["people"]),
    ]


@get("/", summary="The roles and what they allow", guards=[guard("users.read")])
async def roles() -> list[RoleView]:
    """Every role."""
    return [
        RoleView(role.name, role.description, sorted(role.on_any), sorted(role.on_own))
        for role in ROLES.values()
    ]


def _users(accounts: Accounts) -> list[Any]:
    people = accounts.people

    @post("/", summary="Make somebody", guards=[guard("users.write")], responses=_TAKEN)
    async def create_user(data: JSONBody[NewUser]) -> UserView:
        user = await people.create(name=data.name, mail=data.mail, roles=data.roles)
        return UserView(**user.as_json())

    @get("/", summary="Everybody", guards=[guard("users.read")])
    async def list_users(limit: Limit = 100, cursor: Cursor = "") -> UserPage:
        found = await people.list(limit=limit, after=cursor)
        more = found[-1].id if len(found) == limit else None
        return UserPage([UserView(**one.as_json()) for one in found], more)

    return [create_user, list_users]


def _user(accounts: Accounts) -> list[Any]:
    people = accounts.people

    @get("/{user_id:str}", summary="One person", guards=[guard("users.read")])
    async def get_user(user_id: FromPath[str]) -> UserView:
        return UserView(**(await people.get(user_id)).as_json())

    @patch("/{user_id:str}", summary="Change somebody", guards=[guard("users.write")], responses=_TAKEN)
    async def change_user(user_id: FromPath[str], data: JSONBody[UserChange]) -> UserView:
        values = {name: value for name, value in msgspec.structs.asdict(data).items() if value is not UNSET}
        if "status" in values:
            values["disabled"] = values.pop("status") == "disabled"
        user = await people.change(user_id, **values)
        accounts.forget()
        return UserView(**user.as_json())

    @delete("/{user_id:str}", summary="Remove somebody", guards=[guard("users.delete")], responses=_TAKEN)
    async def delete_user(user_id: FromPath[str]) -> None:
        await people.delete(user_id)
        accounts.forget()

    @post("/{user_id:str}/reset", summary="Make a link to set a password", guards=[guard("users.write")])
    async def reset_user(request: _AnyRequest, user_id: FromPath[str]) -> Response[LinkView]:
        user = await people.get(user_id)
        link, text = await accounts.links.create("reset", by=str(actor_of(request.scope)), user_id=user.id)
        return Response(_link(link, text), status_code=201, headers=_ONCE)

    @delete("/{user_id:str}/sessions", summary="Sign somebody out everywhere", guards=[guard("users.write")])
    async def end_sessions(user_id: FromPath[str]) -> None:
        await people.get(user_id)
        await accounts.sessions.end_others(user_id, keep="")

    @delete(
        "/{user_id:str}/factors",
        summary="Take somebody's second factors away, who has lost them",
        guards=[guard("users.write")],
    )
    async def remove_factors(user_id: FromPath[str]) -> None:
        await people.get(user_id)
        await accounts.factors.remove(user_id)
        await accounts.devices.trust_no_more(user_id)

    return [get_user, change_user, delete_user, reset_user, end_sessions, remove_factors]


def _groups(accounts: Accounts) -> list[Any]:
    groups = accounts.groups

    @post("/", summary="Make a group", guards=[guard("groups.write")], responses=_TAKEN)
    async def create_group(data: JSONBody[NewGroup]) -> GroupView:
        return GroupView(**(await groups.create(name=data.name, roles=data.roles)).as_json())

    @get("/", summary="Every group", guards=[guard("groups.read")])
    async def list_groups() -> list[GroupView]:
        return [GroupView(**one.as_json()) for one in await groups.list()]

    @get("/{group_id:str}", summary="One group", guards=[guard("groups.read")])
    async def get_group(group_id: FromPath[str]) -> GroupView:
        return GroupView(**(await groups.get(group_id)).as_json())

    @patch("/{group_id:str}", summary="Change a group", guards=[guard("groups.write")], responses=_TAKEN)
    async def change_group(group_id: FromPath[str], data: JSONBody[GroupChange]) -> GroupView:
        values = {name: value for name, value in msgspec.structs.asdict(data).items() if value is not UNSET}
        group = await groups.change(group_id, **values)
        accounts.forget()
        return GroupView(**group.as_json())

    @delete("/{group_id:str}", summary="Remove a group", guards=[guard("groups.write")])
    async def delete_group(group_id: FromPath[str]) -> None:
        await groups.delete(group_id)
        accounts.forget()

    @put("/{group_id:str}/members/{member:str}", summary="Take in a member", guards=[guard("groups.write")])
    async def add_member(group_id: FromPath[str], member: FromPath[str]) -> GroupView:
        group = await groups.add_member(group_id, _subject(member))
        accounts.forget()
        return GroupView(**group.as_json())

    @delete(
        "/{group_id:str}/members/{member:str}",
        summary="Let a member go",
        guards=[guard("groups.write")],
        status_code=200,
    )
    async def remove_member(group_id: FromPath[str], member: FromPath[str]) -> GroupView:
        group = await groups.remove_member(group_id, member)
        accounts.forget()
        return GroupView(**group.as_json())

    return [create_group, list_groups, get_group, change_group, delete_group, add_member, remove_member]


def _subject(member: str) -> str:
    if member.partition(":")[0] not in ("user", "group"):
        raise NotFoundError("a member is user:ID or group:ID")
    return member


def _grants(accounts: Accounts) -> list[Any]:
    groups = accounts.groups

    @post(
        "/", summary="Allow somebody something on one thing", guards=[guard("grants.write")], responses=_TAKEN
    )
    async def create_grant(request: _AnyRequest, data: JSONBody[NewGrant]) -> GrantView:
        kind, _, resource_id = data.resource.partition(":")
        grant = await groups.grant(
            subject=data.subject,
            permission=data.permission,
            kind=kind,
            resource_id=resource_id,
            by=str(actor_of(request.scope)),
        )
        accounts.forget()
        return GrantView(**grant.as_json())

    @get("/", summary="Grants", guards=[guard("grants.read")])
    async def list_grants(
        subject: Annotated[str | None, QueryParameter(max_length=100)] = None,
        resource: Annotated[str | None, QueryParameter(max_length=250)] = None,
        cursor: Cursor = "",
    ) -> GrantPage:
        place = None if resource is None else resource.partition(":")[::2]
        found = await groups.grants(subject=subject, resource=place, after=cursor)
        return GrantPage(
            [GrantView(**one.as_json()) for one in found], found[-1].id if len(found) == 1000 else None
        )

    @delete("/{grant_id:str}", summary="Take a grant back", guards=[guard("grants.write")])
    async def delete_grant(grant_id: FromPath[str]) -> None:
        await groups.revoke(grant_id)
        accounts.forget()

    return [create_grant, list_grants, delete_grant]


def _links(accounts: Accounts) -> list[Any]:
    @post("/", summary="Invite somebody", guards=[guard("users.write")])
    async def invite(request: _AnyRequest, data: JSONBody[NewLink]) -> Response[LinkView]:
        by = str(actor_of(request.scope))
        link, text = await accounts.links.create("invitation", by=by, mail=data.mail, roles=data.roles)
        return Response(_link(link, text), status_code=201, headers=_ONCE)

    @get("/", summary="Links that are open", guards=[guard("users.read")])
    async def list_links() -> list[LinkView]:
        return [_link(one) for one in await accounts.links.list()]

    @delete("/{link_id:str}", summary="Take a link back", guards=[guard("users.write")])
    async def delete_link(link_id: FromPath[str]) -> None:
        await accounts.links.revoke(link_id)

    return [invite, list_links, delete_link]


def _link(link: Link, text: str | None = None) -> LinkView:
    return LinkView(
        id=link.id,
        kind=link.kind,
        user_id=link.user_id,
        mail=link.mail,
        roles=list(link.roles),
        expires_at=rfc3339(link.expires_at),
        url=None if text is None else link_path(link.kind, text),
    )
