"""Types in words, and passwords in URLs."""

import enum
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from runstead.platform.config.fieldtypes import allowed, choices, found, from_text, has_url_password, mask_url


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, "integer"),
        (Annotated[int, Meta(ge=1)], "integer of 1 or more"),
        (Annotated[int, Meta(le=9)], "integer of 9 or less"),
        (Annotated[int, Meta(ge=0, le=9, multiple_of=3)], "integer from 0 to 9, a multiple of 3"),
        (Annotated[float, Meta(gt=0)], "number above 0"),
        (Annotated[float, Meta(lt=1)], "number below 1"),
        (bool, "true or false"),
        (str, "text"),
        (Annotated[str, Meta(min_length=1)], "text of 1 characters or more"),
        (Annotated[str, Meta(max_length=9)], "text of up to 9 characters"),
        (str | None, "text"),
        (int | str | None, "integer or text"),
        (Annotated[Annotated[int, Meta(ge=1)] | None, Meta(description="x")], "integer of 1 or more"),
        (Literal["a"], "'a'"),
        (Literal["a", "b", "c"], "'a', 'b' or 'c'"),
        (Colour, "'red' or 'blue'"),
        (list[int], "list, each integer"),
        (Annotated[tuple[str, ...], Meta(min_length=1)], "list of 1 items or more, each text"),
        (list, "list"),
        (dict[str, int], "a table"),
        (dict, "a table"),
        (Path, "a path"),
        (Any, "any value"),
        (bytes, "bytes"),
    ],
)
def test_what_a_type_allows_is_said_in_words(annotation: Any, words: str) -> None:
    assert allowed(annotation) == words


def test_only_closed_lists_of_words_have_choices() -> None:
    assert choices(Literal["a", "b"] | None) == ["a", "b"]
    assert choices(Colour) == ["red", "blue"]
    assert choices(str) == []


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (True, "true"),
        (None, "nothing"),
        (1.5, "1.5"),
        ("it's", '"it\'s"'),
        ("two\nlines", r"'two\nlines'"),
        ("x" * 100, "'" + "x" * 59 + "... (100 characters)"),
        ([], "an empty list"),
        ([1, 2], "a list of 2"),
        ({}, "a table"),
        (date(2026, 1, 31), "a date"),
        ("postgresql://u:p@h/d", "'postgresql://u:***@h/d'"),
    ],
)
def test_what_was_found_is_said_briefly_on_one_line(value: Any, words: str) -> None:
    assert found(value) == words


@pytest.mark.parametrize(
    ("text", "annotation", "value"),
    [
        ("1", int | None, 1),
        ("1", str | None, "1"),
        ("1", Any, "1"),
        ("TRUE", bool, True),
        ("0", bool, False),
        ("1e3", float, 1000.0),
        ("", list[str], []),
        ("1, 2", tuple[int, ...], [1, 2]),
        ("[[1]]", list[list[int]], [[1]]),
        ("[1", list[int], "[1"),
        ("a", Literal["a"], "a"),
    ],
)
def test_text_is_read_as_the_type_wants_it(text: str, annotation: Any, value: Any) -> None:
    read = from_text(text, annotation)
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("postgresql://u:p@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u:p@q:r@h:1/d@e", "postgresql://u:***@h:1/d@e"),
        ("x://:p@h", "x://:***@h"),
        ("x://u:p@h?a=b", "x://u:***@h?a=b"),
        ("x://u@h:1/d", "x://u@h:1/d"),
        ("x://u:@h", "x://u:@h"),
        ("http://h:1/a:b@c", "http://h:1/a:b@c"),
        ("u:p@h", "u:p@h"),
        ("sqlite:////x", "sqlite:////x"),
    ],
)
def test_only_the_password_of_a_url_is_masked(url: str, masked: str) -> None:
    assert mask_url(url) == masked
    assert has_url_password(url) is (url != masked)


@given(st.text(), st.text())
def test_a_masked_url_shows_no_password(user: str, password: str) -> None:
    if not password or "/" in user + password or ":" in user or "***" in password or len(password) < 4:
        return
    masked = mask_url(f"postgresql://{user}:{password}@host/name")
    assert masked == f"postgresql://{user}:***@host/name"
