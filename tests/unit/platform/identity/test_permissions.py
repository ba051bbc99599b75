from __future__ import annotations

import pytest

from runstead.kernel.errors import ForbiddenError, UnauthorizedError
from runstead.platform.identity import ADMINISTRATOR, ANONYMOUS, OPERATOR, Actor, allow, require

STRANGER = Actor("user", "u1", frozenset({"a-role-that-nobody-defined"}))

#: Action → who may: administrator, operator, anonymous.
TABLE = {
    "server.public": (True, True, True),
    "server.inspect": (True, False, False),
    "jobs.start": (True, True, False),
    "jobs.read": (True, True, False),
    "jobs.kill": (True, True, False),
    "jobs.delete": (True, True, False),
    "endpoints.call": (True, True, False),
    "endpoints.read": (True, True, False),
    "records.write": (True, True, False),
    "records.read": (True, True, False),
    "apps.read": (True, True, False),
    "apps.write": (True, False, False),
    "apps.privilege": (True, False, False),
    "logs.read": (True, True, False),
    "logs.admin": (True, False, False),
    "an.unknown.action": (True, False, False),
    "jobsXstart": (True, False, False),
    "": (True, False, False),
}


@pytest.mark.parametrize(("action", "expected"), TABLE.items(), ids=TABLE.keys())
def test_each_role_may_do_what_the_table_says(action: str, expected: tuple[bool, bool, bool]) -> None:
    assert tuple(allow(actor, action).allowed for actor in (ADMINISTRATOR, OPERATOR, ANONYMOUS)) == expected


def test_an_unknown_role_grants_nothing() -> None:
    assert not allow(STRANGER, "jobs.read").allowed


def test_roles_add_up() -> None:
    both = Actor("user", "u2", STRANGER.roles | OPERATOR.roles)
    assert allow(both, "jobs.start").allowed


def test_nobody_is_asked_for_a_credential() -> None:
    with pytest.raises(UnauthorizedError) as refused:
        require(ANONYMOUS, "jobs.start")
    assert refused.value.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_known_actor_is_told_that_it_may_not() -> None:
    with pytest.raises(ForbiddenError, match=r"apps\.write is not granted to machine:operator"):
        require(OPERATOR, "apps.write")


def test_an_allowed_action_passes() -> None:
    require(OPERATOR, "jobs.start")


def test_an_actor_prints_without_a_credential() -> None:
    assert (str(ADMINISTRATOR), str(ANONYMOUS)) == ("machine:administrator", "anonymous")
