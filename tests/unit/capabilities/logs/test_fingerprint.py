from __future__ import annotations

import hashlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runstead.capabilities.logs.fingerprint import GROUP_VERSION, fingerprint, group, normalise

SAME = [
    ("user 17 not found", "user 18 not found"),
    ("took 12.5ms", "took 3s"),
    ("took 12 of 13", "took 1 of 20000"),
    ("balance is -5", "balance is 7"),
    ("job 01890a5d-ac96-774b-bcce-b302099a8057 failed", "job 01890A5D-AC96-774B-BCCE-B302099A8058 failed"),
    ("commit a1b2c3d4e5f60718 broke it", "commit ffee00112233 broke it"),
    ("md5 d41d8cd98f00b204e9800998ecf8427e", "md5 0cc175b9c0f1b6a831c399e269772661"),
    ("at 0x7fff5694 in pool", "at 0xDEADBEEF in pool"),
    ("mail to ann@example.com bounced", "mail to bob.smith+x@mail.example.org bounced"),
    ("GET https://a.example/x?y=1 failed", "GET http://b.example:8080/z failed"),
    ("refused by 10.0.0.1", "refused by 192.168.17.4"),
    ("refused by 10.0.0.1:80", "refused by 192.168.17.4:8080"),
    ("refused by fe80::1", "refused by 2001:db8:0:0:0:0:0:7"),
    ("since 2026-01-31T12:00:00Z", "since 2025-12-01T01:02:03.456+02:00"),
    ("since 2026-01-31 12:00:00,123", "since 2025-12-01 01:02:03,9"),
    ('name="Ann Lee" unknown', 'name="Bob" unknown'),
    ("name='Ann' ok=true", "name='Bob' ok=false"),
    ("(17)", "(18)"),
    ("item[3]: 4%", "item[12]: 99%"),
    ("too   many\tspaces", "too many spaces"),
    ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"),
]  # fmt: skip
DIFFERENT = [
    ("user not found", "order not found"),
    ("user 17 not found", "order 17 not found"),
    ("std::vector failed", "std::string failed"),
    ("Class::method", "Class::other"),
    ("deadbeef", "feedface"),
    ("utf8 broke", "utf16 broke"),
    ("bar_17", "bar_18"),
    ("step a-b", "step a-c"),
    ("true love", "false love"),
    ('say "yes"', 'say "no"'),
    ("v2 broke", "v3 broke"),
    ("a", "A"),
    ("user 17 not found", "user <int> missing"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_what_differs_from_case_to_case_only_is_one_group(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)
    assert group(one) == group(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_what_is_another_problem_is_another_group(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)
    assert group(one) != group(other)


GOLDEN = [
    ("user 17 not found", "user <int> not found"),
    ("took 12.5ms for 3 of -4", "took <duration> for <int> of <int>"),
    ("foo-12 a-b 1-2 v2.3.4", "foo-<int> a-b <int>-<int> v2.3.4"),
    ("x=\"a b\" y=true z='q' is true", "x=<str> y=<bool> z=<str> is true"),
    ("pay <ann@example.com> 12.50 EUR", "pay <<email>> <float> EUR"),
    ("", ""),
    ("   ", ""),
    ("日本語 17 回", "日本語 <int> 回"),
]


@pytest.mark.parametrize(("message", "expected"), GOLDEN)
def test_normalised_messages_are_as_they_were_when_they_were_stored(message: str, expected: str) -> None:
    assert normalise(message) == expected


def test_groups_of_this_version_never_change() -> None:
    assert GROUP_VERSION == 1
    assert group("user 17 not found") == hashlib.sha1(b"1\0user <int> not found").hexdigest()


def test_the_fingerprint_is_the_sha1_of_message_source_and_stack() -> None:
    assert fingerprint("a", "b", "c") == hashlib.sha1(b"abc").hexdigest()
    assert fingerprint("ä", "", "") == hashlib.sha1("ä".encode()).hexdigest()


#: Text that looks like what is replaced, so that the pieces meet in every way.
PIECES = st.lists(
    st.sampled_from(
        ["17", "-", ".", ":", "::", "=", '"', "'", "@", "//", "http", "a", "f0", "deadbeef1", "0x", " ", "T", "Z", "+", "e",
         "2026-01-31", "12:00:00", "10.0.0.1", "true", "ms", "s", "<", ">", "<int>", "_", "é", "\t", ",", "%", "1" * 9]
    ),
    max_size=30,
).map("".join)  # fmt: skip


@given(st.one_of(PIECES, st.text(max_size=200)))
@example("1 " * 600)
@example("1," * 700)
@example("12a" * 500)
@example("a " * 511 + "12a")
def test_normalising_twice_changes_nothing_more(message: str) -> None:
    once = normalise(message)
    assert normalise(once) == once


@given(st.text(max_size=3000))
def test_a_normalised_message_is_not_without_end(message: str) -> None:
    assert len(normalise(message)) <= 1024
    assert len(group(message)) == 40


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "hard", ["a." * 600, "1:" * 600, "a" * 1024 + "@", "f" * 1023 + "1", "-1" * 600, '="' * 600, "1.1" * 400]
)
def test_no_message_is_slow_to_normalise(hard: str) -> None:
    for _ in range(50):
        normalise(hard)
