"""Accounts, groups, grants, tokens and what they allow: through HTTP, on both databases."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from tests.integration.identity.world import PASSWORD, World


def error(answer: httpx.Response) -> str:
    code: str = answer.json()["error"]["code"]
    return code


async def test_an_account_is_made_changed_and_removed(world: World) -> None:
    admin = world.administrator
    made = await admin.post(
        "/api/users", json={"name": "Ada", "mail": "ada@example.org", "roles": ["editor"]}
    )
    assert made.status_code == 201
    user = made.json()
    assert (user["roles"], user["has_password"], user["mail_verified"]) == (["developer"], False, False)
    changed = await admin.patch(
        f"/api/users/{user['id']}", json={"name": "Ada.L", "roles": ["viewer", "tester"]}
    )
    assert (changed.json()["name"], changed.json()["roles"]) == ("Ada.L", ["viewer", "tester"])
    assert (await admin.get(f"/api/users/{user['id']}")).json() == changed.json()
    assert (await admin.delete(f"/api/users/{user['id']}")).status_code == 204
    assert (await admin.get(f"/api/users/{user['id']}")).status_code == 404
    assert world.trail.actions() == ["user.create", "user.change", "user.delete"]


async def test_two_people_never_look_alike(world: World) -> None:
    admin = world.administrator
    await admin.post("/api/users", json={"name": "Ada", "mail": "ada@example.org"})
    for twin in ({"name": "ADA"}, {"name": "Eve", "mail": "ADA@example.ORG"}):
        answer = await admin.post("/api/users", json=twin)
        assert (answer.status_code, error(answer)) == (409, "E_TAKEN")
    eve = (await admin.post("/api/users", json={"name": "Eve"})).json()
    assert (await admin.patch(f"/api/users/{eve['id']}", json={"name": "aDa"})).status_code == 409


async def test_of_two_who_take_a_name_at_once_one_gets_it(world: World) -> None:
    answers = await asyncio.gather(
        *(world.administrator.post("/api/users", json={"name": "Ada"}) for _ in range(10))
    )
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 9


@pytest.mark.parametrize(
    "body",
    [
        {"name": ""},
        {"name": "a b"},
        {"name": "x" * 65},
        {"name": "Ada", "mail": "no address"},
        {"name": "Ada", "roles": ["operator"]},
        {"name": "Ada", "roles": ["god"]},
        {"name": "Ada", "is_admin": True},
        {"name": "Ada\n"},
        {"name": "<script>"},
    ],
)
async def test_what_is_no_account_is_refused_with_the_field(world: World, body: dict[str, object]) -> None:
    answer = await world.administrator.post("/api/users", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["details"]


async def test_the_last_administrator_stays(world: World) -> None:
    user_id, ada = await world.person("Ada", "administrator")
    changes: list[dict[str, object]] = [{"roles": []}, {"status": "disabled"}]
    for change in changes:
        answer = await ada.patch(f"/api/users/{user_id}", json=change)
        assert (answer.status_code, error(answer)) == (409, "E_LAST_ADMINISTRATOR")
    assert error(await ada.delete(f"/api/users/{user_id}")) == "E_LAST_ADMINISTRATOR"
    await world.person("Eve", "administrator")
    assert (await ada.patch(f"/api/users/{user_id}", json={"roles": []})).status_code == 200


async def test_who_loses_rights_loses_them_at_once_and_is_signed_out(world: World) -> None:
    user_id, ada = await world.person("Ada", "administrator")
    await world.person("Eve", "administrator")
    assert (await ada.get("/api/users")).status_code == 200
    await world.administrator.patch(f"/api/users/{user_id}", json={"roles": ["viewer"]})
    assert (await ada.get("/api/users")).status_code == 401
    await world.administrator.patch(f"/api/users/{user_id}", json={"status": "disabled"})
    answer = await ada.post("/auth/login", json={"name": "Ada", "password": PASSWORD})
    assert answer.status_code == 401


async def test_people_come_in_pages(world: World) -> None:
    for number in range(5):
        await world.accounts.people.create(name=f"user{number}")
    first = (await world.administrator.get("/api/users", params={"limit": 3})).json()
    rest = (await world.administrator.get("/api/users", params={"cursor": first["next_cursor"]})).json()
    assert [one["name"] for one in first["users"] + rest["users"]] == [f"user{n}" for n in range(5)]
    assert rest["next_cursor"] is None


async def test_a_group_gives_its_roles_also_through_other_groups(world: World) -> None:
    admin = world.administrator
    user_id, ada = await world.person("Ada")
    outer = (await admin.post("/api/groups", json={"name": "staff", "roles": ["administrator"]})).json()["id"]
    middle = (await admin.post("/api/groups", json={"name": "backend"})).json()["id"]
    inner = (await admin.post("/api/groups", json={"name": "database"})).json()["id"]
    assert (await admin.put(f"/api/groups/{outer}/members/group:{middle}")).status_code == 200
    assert (await admin.put(f"/api/groups/{middle}/members/group:{inner}")).status_code == 200
    assert (await ada.get("/api/groups")).status_code == 403
    assert (await admin.put(f"/api/groups/{inner}/members/user:{user_id}")).status_code == 200
    assert (await ada.get("/api/groups")).status_code == 200
    assert (await ada.get("/auth/me")).json()["groups"] == sorted([inner, middle, outer])
    await admin.delete(f"/api/groups/{middle}/members/group:{inner}")
    assert (await ada.get("/api/groups")).status_code == 403


async def test_a_group_is_never_in_itself(world: World) -> None:
    admin = world.administrator
    one, two, three = [
        (await admin.post("/api/groups", json={"name": name})).json()["id"]
        for name in ("one", "two", "three")
    ]
    for outer, inner in ((one, two), (two, three)):
        await admin.put(f"/api/groups/{outer}/members/group:{inner}")
    for outer, inner in ((one, one), (two, one), (three, one)):
        answer = await admin.put(f"/api/groups/{outer}/members/group:{inner}")
        assert (answer.status_code, error(answer)) == (409, "E_CYCLE")
    assert (await admin.put(f"/api/groups/{one}/members/group:{two}")).status_code == 200, "already there"


async def test_groups_refuse_whom_they_do_not_know(world: World) -> None:
    admin = world.administrator
    group = (await admin.post("/api/groups", json={"name": "staff"})).json()["id"]
    for member in ("user:nobody", "group:none", "nobody", "role:viewer"):
        assert (await admin.put(f"/api/groups/{group}/members/{member}")).status_code == 404
    assert (await admin.put("/api/groups/none/members/user:x")).status_code == 404
    assert (await admin.patch("/api/groups/none", json={"name": "x"})).status_code == 404
    assert (await admin.post("/api/groups", json={"name": "Staff"})).status_code == 409
    assert (await admin.delete(f"/api/groups/{group}")).status_code == 204
    assert (await admin.delete(f"/api/groups/{group}")).status_code == 404


async def test_whoever_is_removed_leaves_no_grant_and_no_membership(world: World) -> None:
    admin = world.administrator
    user_id, _ = await world.person("Ada", "viewer")
    group = (await admin.post("/api/groups", json={"name": "staff"})).json()["id"]
    await admin.put(f"/api/groups/{group}/members/user:{user_id}")
    await admin.post(
        "/api/grants", json={"subject": f"user:{user_id}", "permission": "owner", "resource": "app:hello"}
    )
    assert (await admin.delete(f"/api/users/{user_id}")).status_code == 204
    assert (await admin.get(f"/api/groups/{group}")).json()["members"] == []
    assert (await admin.get("/api/grants")).json()["grants"] == []


async def test_grants_are_listed_by_subject_and_by_resource(world: World) -> None:
    admin = world.administrator
    user_id, _ = await world.person("Ada")
    grant = {"subject": f"user:{user_id}", "permission": "apps.write", "resource": "app:shop/cart"}
    made = await admin.post("/api/grants", json=grant)
    assert made.status_code == 201
    assert (await admin.post("/api/grants", json=grant)).status_code == 409
    for query in ({"subject": grant["subject"]}, {"resource": grant["resource"]}):
        assert [one["id"] for one in (await admin.get("/api/grants", params=query)).json()["grants"]] == [
            made.json()["id"]
        ]
    assert (await admin.get("/api/grants", params={"resource": "app:shop"})).json()["grants"] == []
    assert (await admin.post("/api/grants", json={**grant, "subject": "user:none"})).status_code == 404
    assert (await admin.delete(f"/api/grants/{made.json()['id']}")).status_code == 204
    assert (await admin.delete(f"/api/grants/{made.json()['id']}")).status_code == 404


async def test_a_token_speaks_for_its_person_within_its_scopes(world: World) -> None:
    user_id, ada = await world.person("Ada", "administrator")
    full = (await ada.post("/api/tokens", json={"name": "all"})).json()["token"]
    narrow = (await ada.post("/api/tokens", json={"name": "people", "scopes": ["users.read"]})).json()[
        "token"
    ]
    assert full.startswith("rst_")
    script = await world.browser()
    for token, path, status in (
        (full, "/api/users", 200),
        (full, "/api/groups", 200),
        (narrow, "/api/users", 200),
        (narrow, "/api/groups", 403),
        (narrow, "/api/tokens", 403),
        (full[:-1] + ("A" if full[-1] != "A" else "B"), "/api/users", 401),
        (full.replace("rst_", "rst-"), "/api/users", 401),
    ):
        answer = await script.get(path, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == status, (path, answer.text)
    listed = (await ada.get("/api/tokens")).json()
    assert sorted((one["name"], one["scopes"], one["used_at"] is None) for one in listed) == [
        ("all", None, False),
        ("people", ["users.read"], False),
    ]
    assert user_id


async def test_a_token_with_scopes_makes_no_further_tokens(world: World) -> None:
    _, ada = await world.person("Ada", "administrator")
    token = (await ada.post("/api/tokens", json={"name": "self", "scopes": ["self.*", "tokens.*"]})).json()[
        "token"
    ]
    script = await world.browser(Authorization=f"Bearer {token}")
    assert (await script.get("/api/tokens")).status_code == 200
    assert (await script.post("/api/tokens", json={"name": "more"})).status_code == 403


async def test_a_token_ends_with_its_time_its_person_and_by_request(world: World) -> None:
    user_id, ada = await world.person("Ada", "viewer", "administrator")
    await world.person("Eve", "administrator")
    script = await world.browser()

    async def status(token: str) -> int:
        return (await script.get("/api/users", headers={"X-Admin-Token": token})).status_code

    short = (await ada.post("/api/tokens", json={"name": "short", "days": 1})).json()
    long = (await ada.post("/api/tokens", json={"name": "long", "days": 30})).json()
    assert (await status(short["token"]), await status(long["token"])) == (200, 200)
    world.later(days=1)
    assert (await status(short["token"]), await status(long["token"])) == (401, 200)
    ada.cookies.clear()
    assert (await ada.post("/auth/login", json={"name": "Ada", "password": PASSWORD})).status_code == 200
    assert (await ada.delete(f"/api/tokens/{short['id']}")).status_code == 204
    assert (await ada.delete(f"/api/tokens/{short['id']}")).status_code == 404
    await world.administrator.patch(f"/api/users/{user_id}", json={"status": "disabled"})
    assert await status(long["token"]) == 401


async def test_nobody_ends_the_token_of_somebody_else(world: World) -> None:
    _, ada = await world.person("Ada", "viewer")
    _, eve = await world.person("Eve", "viewer")
    made = (await ada.post("/api/tokens", json={"name": "mine"})).json()
    assert (await eve.delete(f"/api/tokens/{made['id']}")).status_code == 404
    assert (await eve.get("/api/tokens")).json() == []


async def test_the_roles_can_be_read(world: World) -> None:
    roles = {role["name"]: role for role in (await world.administrator.get("/api/roles")).json()}
    assert set(roles) == {"viewer", "tester", "designer", "developer", "administrator", "operator"}
    assert roles["viewer"]["on_any"] == [
        "apps.read",
        "endpoints.read",
        "jobs.read",
        "logs.read",
        "records.read",
    ]
