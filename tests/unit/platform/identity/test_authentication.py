from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstead.kernel.secret import Secret
from runstead.platform.identity import ADMINISTRATOR, ANONYMOUS, OPERATOR, Actor, Identity

IDENTITY = Identity(admin_token=Secret("the-admin-token"), master_password=Secret("the-master-pässword"))

CASES: list[tuple[str, list[tuple[bytes, bytes]], Actor]] = [
    ("nothing", [], ANONYMOUS),
    ("admin bearer", [(b"authorization", b"Bearer the-admin-token")], ADMINISTRATOR),
    ("the scheme's case does not matter", [(b"authorization", b"bEARER the-admin-token")], ADMINISTRATOR),
    ("admin header", [(b"x-admin-token", b"the-admin-token")], ADMINISTRATOR),
    ("operator bearer", [(b"authorization", "Bearer the-master-pässword".encode())], OPERATOR),
    ("operator header", [(b"x-master-password", "the-master-pässword".encode())], OPERATOR),
    (
        "operator header in latin-1",
        [(b"x-master-password", "the-master-pässword".encode("latin-1"))],
        OPERATOR,
    ),
    ("wrong bearer", [(b"authorization", b"Bearer wrong")], ANONYMOUS),
    ("basic", [(b"authorization", b"Basic dGhlLWFkbWluLXRva2Vu")], ANONYMOUS),
    ("no scheme", [(b"authorization", b"the-admin-token")], ANONYMOUS),
    ("empty bearer", [(b"authorization", b"Bearer ")], ANONYMOUS),
    ("each in its own header only", [(b"x-admin-token", "the-master-pässword".encode())], ANONYMOUS),
    ("the admin token is no password", [(b"x-master-password", b"the-admin-token")], ANONYMOUS),
    ("a prefix is not enough", [(b"x-admin-token", b"the-admin-toke")], ANONYMOUS),
    (
        "the stronger of two wins",
        [(b"x-master-password", "the-master-pässword".encode()), (b"x-admin-token", b"the-admin-token")],
        ADMINISTRATOR,
    ),
    (
        "a wrong one does not spoil a right one",
        [(b"x-admin-token", b"the-admin-token"), (b"authorization", b"Bearer wrong")],
        ADMINISTRATOR,
    ),
]


@pytest.mark.parametrize(("headers", "actor"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
async def test_a_credential_leads_to_its_actor(headers: list[tuple[bytes, bytes]], actor: Actor) -> None:

    assert (await IDENTITY.authenticate(headers)).actor == actor


async def test_without_secrets_nobody_is_anybody() -> None:
    nobody = Identity()
    for value in (b"", b"None", b"Bearer ", b"Bearer None"):
        found = await nobody.authenticate([(b"authorization", value), (b"x-admin-token", value)])
        assert found.actor == ANONYMOUS


async def test_an_empty_secret_matches_nothing() -> None:
    found = await Identity(admin_token=Secret("")).authenticate([(b"x-admin-token", b"")])
    assert found.actor == ANONYMOUS


@given(st.binary(max_size=64))
async def test_any_bytes_are_taken_without_an_error(value: bytes) -> None:
    headers = [
        (b"authorization", b"Bearer " + value),
        (b"x-admin-token", value),
        (b"x-master-password", value),
    ]
    assert (await IDENTITY.authenticate(headers)).actor == ANONYMOUS
