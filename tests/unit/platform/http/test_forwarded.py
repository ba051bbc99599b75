"""The client behind a proxy."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstead.kernel.capability import Receive, Scope, Send
from runstead.platform.http.middleware.forwarded import Forwarded

PROXY = "10.0.0.1"
TRUSTED = ("10.0.0.0/8", "fd00::/8")


async def seen(peer: str, headers: list[tuple[str, str]], trusted: tuple[str, ...] = TRUSTED) -> Scope:
    """What the application behind sees."""
    found: list[Scope] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        found.append(scope)

    raw = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers]
    scope: dict[str, Any] = {"type": "http", "scheme": "http", "client": (peer, 5), "headers": raw}
    nothing: Any = None
    await Forwarded(app, trusted=trusted)(scope, nothing, nothing)
    return found[0]


@pytest.mark.parametrize(
    ("headers", "client", "scheme"),
    [
        ([("x-forwarded-for", "203.0.113.9")], "203.0.113.9", "http"),
        # What the client itself claims stands before what the proxy saw.
        ([("x-forwarded-for", "1.2.3.4, 203.0.113.9")], "203.0.113.9", "http"),
        ([("x-forwarded-for", "1.2.3.4"), ("x-forwarded-for", "203.0.113.9")], "203.0.113.9", "http"),
        # Through two proxies of ours.
        ([("x-forwarded-for", "1.2.3.4, 203.0.113.9, 10.0.0.7")], "203.0.113.9", "http"),
        ([("x-forwarded-for", "10.0.0.7")], "10.0.0.7", "http"),
        ([("x-forwarded-for", "rubbish")], PROXY, "http"),
        ([("x-forwarded-for", "203.0.113.9, rubbish")], PROXY, "http"),
        ([("x-forwarded-for", "203.0.113.9:4711")], "203.0.113.9", "http"),
        ([("x-forwarded-for", "203.0.113.9"), ("x-forwarded-proto", "https")], "203.0.113.9", "https"),
        ([("x-forwarded-for", "203.0.113.9"), ("x-forwarded-proto", "http, https")], "203.0.113.9", "https"),
        ([("x-forwarded-for", "203.0.113.9"), ("x-forwarded-proto", "ftp")], "203.0.113.9", "http"),
        ([("forwarded", "for=203.0.113.9;proto=https;by=10.0.0.1")], "203.0.113.9", "https"),
        ([("forwarded", 'For="[2001:db8::9]:4711";Proto=HTTPS')], "2001:db8::9", "https"),
        ([("forwarded", 'for=1.2.3.4;proto=https, for="203.0.113.9"')], "203.0.113.9", "http"),
        ([("forwarded", 'for="1.2.3.4,5.6.7.8", for=203.0.113.9')], "203.0.113.9", "http"),
        ([("forwarded", "for=unknown")], PROXY, "http"),
        ([("forwarded", "for=203.0.113.9"), ("x-forwarded-for", "1.2.3.4")], "203.0.113.9", "http"),
        ([("x-real-ip", "203.0.113.9")], "203.0.113.9", "http"),
    ],
)
async def test_the_client_is_the_first_that_is_no_proxy_of_ours(
    headers: list[tuple[str, str]], client: str, scheme: str
) -> None:
    scope = await seen(PROXY, headers)
    assert (scope["client"][0], scope["scheme"]) == (client, scheme)
    assert scope["headers"] == [], "nobody behind reads them by mistake"


@pytest.mark.parametrize("peer", ["203.0.113.5", "", "unix", "11.0.0.1"])
async def test_strangers_are_not_believed_and_their_claims_removed(peer: str) -> None:
    claims = [
        ("x-forwarded-for", "1.2.3.4"),
        ("forwarded", "for=1.2.3.4;proto=https;host=evil"),
        ("x-forwarded-host", "evil"),
    ]
    scope = await seen(peer, [("host", "here"), *claims])
    assert (scope["client"][0], scope["scheme"]) == (peer, "http")
    assert scope["headers"] == [(b"host", b"here")]


async def test_a_mapped_address_is_the_one_it_maps() -> None:
    scope = await seen("::ffff:10.0.0.1", [("x-forwarded-for", "203.0.113.9")])
    assert scope["client"][0] == "203.0.113.9"


async def test_a_trusted_proxy_names_the_host() -> None:
    scope = await seen(
        PROXY, [("host", "inner"), ("x-forwarded-for", "203.0.113.9"), ("x-forwarded-host", "shown.example")]
    )
    assert scope["headers"] == [(b"host", b"shown.example")]


@given(
    st.text(alphabet=st.characters(max_codepoint=255), max_size=200),
    st.sampled_from(["forwarded", "x-forwarded-for"]),
)
async def test_whatever_stands_in_the_header_is_no_error(text: str, name: str) -> None:
    scope = await seen(PROXY, [(name, text)])
    assert scope["headers"] == []
    assert scope["scheme"] in ("http", "https")
