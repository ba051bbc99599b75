from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstead.capabilities.logs.signature import (
    Signed,
    hash_key,
    new_hmac_secret,
    new_project_key,
    sign,
    verify,
)
from runstead.kernel.secret import Secret

SECRET = Secret("rs_secret")
NOW = 1_777_636_800.0


def test_the_signature_is_the_hmac_of_the_body_or_of_timestamp_dot_body() -> None:
    assert sign(SECRET, b"body") == hmac.new(b"rs_secret", b"body", hashlib.sha256).hexdigest()
    assert sign(SECRET, b"body", "17") == hmac.new(b"rs_secret", b"17.body", hashlib.sha256).hexdigest()


@given(st.binary(max_size=50))
def test_what_was_signed_verifies_and_what_was_changed_does_not(body: bytes) -> None:
    signed = Signed(sign(SECRET, body))
    assert verify(SECRET, signed, body, now_seconds=NOW)
    assert not verify(SECRET, signed, body + b"x", now_seconds=NOW)
    assert not verify(Secret("other"), signed, body, now_seconds=NOW)


@given(st.text(max_size=80))
def test_no_text_is_a_signature_by_chance(text: str) -> None:
    assert not verify(SECRET, Signed(text), b"body", now_seconds=NOW)


@pytest.mark.parametrize(
    ("timestamp", "recent"),
    [
        ("1777636800", True),
        ("1777636800.25", True),
        ("1777636500", True),
        ("1777636499", False),
        ("1777637101", False),
        ("1777636800123", True),
        ("1777636400000", False),
        ("-1777636800", False),
        ("1e9", False),
        ("nan", False),
        ("2026-05-01T12:00:00Z", False),
        (" 1777636800", False),
        ("١٧٧٧٦٣٦٨٠٠", False),
        ("9" * 400, False),
    ],
)
def test_a_signed_timestamp_must_be_recent(timestamp: str, recent: bool) -> None:
    signed = Signed(sign(SECRET, b"body", timestamp), timestamp)
    assert verify(SECRET, signed, b"body", now_seconds=NOW) is recent


def test_a_signature_without_the_timestamp_is_not_one_with_it() -> None:
    assert not verify(SECRET, Signed(sign(SECRET, b"body"), "1777636800"), b"body", now_seconds=NOW)
    assert not verify(SECRET, Signed(sign(SECRET, b"body", "1777636800")), b"body", now_seconds=NOW)


def test_keys_and_secrets_are_random_and_long() -> None:
    keys = {new_project_key().reveal() for _ in range(100)} | {new_hmac_secret().reveal() for _ in range(100)}
    assert len(keys) == 200
    assert all(len(key) >= 35 for key in keys)


@given(st.text(max_size=50))
def test_any_text_can_be_hashed_as_a_key(text: str) -> None:
    if text.isascii():
        assert hash_key(text) == hashlib.sha256(text.encode()).hexdigest()
