from __future__ import annotations

import base64
import json
import timeit
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstead.kernel.secret import MASK, Secret
from runstead.platform.observability import Redactor
from runstead.platform.observability.redaction import SECRET_CHARS_MIN

SECRET = 'pä55/w?rd "quoted"\\back+slash&x=1'

FORMS = {
    "plain": SECRET,
    "JSON": json.dumps(SECRET),
    "JSON without ASCII escapes": json.dumps(SECRET, ensure_ascii=False),
    "JSON in JSON": json.dumps(json.dumps(SECRET)),
    "URL-encoded": quote(SECRET, safe=""),
    "URL-encoded with slashes": quote(SECRET),
    "URL-encoded in lower case": quote(SECRET, safe="").lower(),
    "form-encoded": quote_plus(SECRET),
    "repr": repr(SECRET),
    "repr of bytes": repr(SECRET.encode()),
    "hex": SECRET.encode().hex(),
    "base64": base64.b64encode(SECRET.encode()).decode(),
    "base64 for URLs": base64.urlsafe_b64encode(SECRET.encode()).decode(),
    "Basic credentials": base64.b64encode(b"user:" + SECRET.encode()).decode(),
    "base64 after one byte": base64.b64encode(b"a" + SECRET.encode() + b"tail").decode(),
    "base64 after two bytes": base64.b64encode(b"ab" + SECRET.encode() + b"tail").decode(),
}


@pytest.mark.req("SEC-005")
@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS.keys())
def test_a_secret_is_masked_in_every_form(text: str) -> None:
    scrubbed = Redactor(Secret(SECRET)).scrub_text(f"before {text} after")
    assert MASK in scrubbed
    assert scrubbed.startswith("before ")
    assert scrubbed.endswith(" after")
    for piece in ("55", "quoted", "slash"):
        assert piece not in scrubbed
    for size in range(len(text) - 16):
        assert text[size : size + 16] not in scrubbed


def test_nested_values_keys_numbers_and_bytes_are_masked() -> None:
    redactor = Redactor("hunter22", "12345678")

    class Odd:
        def __str__(self) -> str:
            return "odd hunter22"

    value = {
        "list": ["hunter22", ("x", {"deep": "hunter22!"})],
        "key hunter22": 1,
        "number": 12345678,
        "bytes": b"hunter22",
        "odd": Odd(),
        "none": None,
        "true": True,
        "fine": 3.5,
    }
    assert redactor.scrub(value) == {
        "list": [MASK, ["x", {"deep": f"{MASK}!"}]],
        f"key {MASK}": 1,
        "number": MASK,
        "bytes": MASK,
        "odd": f"odd {MASK}",
        "none": None,
        "true": True,
        "fine": 3.5,
    }


def test_of_two_secrets_that_begin_alike_the_longer_wins() -> None:
    redactor = Redactor("abcd", "abcdefgh")
    assert redactor.scrub_text("abcdefgh abcdef") == f"{MASK} {MASK}ef"


def test_each_line_of_a_key_is_a_secret() -> None:
    key = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ0\nshort\n-----END PRIVATE KEY-----"
    assert Redactor(key).scrub_text("line: MC4CAQAwBQYDK2VwBCIEIJ0") == f"line: {MASK}"


@pytest.mark.parametrize("value", ["", "abc", None])
def test_what_is_too_short_to_be_told_from_text_is_not_registered(value: str | None) -> None:
    redactor = Redactor()
    assert not redactor.register(value)
    assert redactor.scrub_text("abc and more") == "abc and more"


def test_without_secrets_the_value_itself_comes_back() -> None:
    value = {"a": [1, 2]}
    assert Redactor().scrub(value) is value


def test_registering_takes_effect_at_once() -> None:
    redactor = Redactor("first-secret")
    assert not redactor.matches("second-secret")
    assert redactor.register("second-secret")
    assert redactor.matches("second-secret")


def test_a_value_that_contains_itself_ends() -> None:
    loop: list[object] = ["hunter22"]
    loop.append(loop)
    assert "hunter22" not in str(Redactor("hunter22").scrub(loop))


def test_two_hundred_secrets_do_not_cost_a_line_two_hundred_times_as_much_as_one() -> None:
    one, *others = (f"secret-{number * 7919:016x}" for number in range(200))
    line = json.dumps(
        {"message": "request", "path": "/api/jobs", "request_id": "0190b6a5", "n": list(range(40))}
    )
    alone, many = Redactor(one), Redactor(one, *others)
    # They cost about the same; a plain alternation of all would cost seventy times as much.
    assert _best_seconds(lambda: many.matches(line)) < 20 * _best_seconds(lambda: alone.matches(line))


def _best_seconds(work: Callable[[], object]) -> float:
    return min(timeit.repeat(work, number=10, repeat=20))


secrets = st.text(min_size=SECRET_CHARS_MIN, max_size=40)


@pytest.mark.req("SEC-005")
@given(secrets, st.text(max_size=20), st.text(max_size=20))
def test_no_text_with_a_secret_gets_through(secret: str, before: str, after: str) -> None:
    redactor = Redactor(secret)
    assert (
        secret not in redactor.scrub_text(before + secret + after).replace(MASK, "")
        or secret in before + after
    )
    assert not redactor.matches(redactor.scrub_text(secret).replace(MASK, ""))


@given(st.lists(secrets, min_size=1, max_size=8), st.text(max_size=200))
def test_text_without_a_secret_stays_as_it_is(values: list[str], text: str) -> None:
    redactor = Redactor(*values)
    if not redactor.matches(text):
        assert redactor.scrub_text(text) == text


@given(secrets, st.text(alphabet=st.characters(codec="utf-8"), max_size=20))
def test_json_of_a_secret_is_masked(secret: str, around: str) -> None:
    encodable = secret.encode("utf-8", "ignore").decode()
    if len(encodable) >= SECRET_CHARS_MIN:
        assert Redactor(encodable).matches(msgspec.json.encode(around + encodable + around).decode())
