from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstead.capabilities.endpoints.routes import (
    SEGMENTS_MAX,
    Found,
    MethodMismatch,
    PathTemplate,
    RouteTable,
)

literals = st.text(string.ascii_letters + string.digits + "-_~@", min_size=1, max_size=8)
names = st.text(string.ascii_lowercase, min_size=1, max_size=8)


@st.composite
def templates(draw: st.DrawFn) -> str:
    kinds = draw(st.lists(st.booleans(), min_size=1, max_size=6))
    parameters = draw(st.lists(names, min_size=len(kinds), max_size=len(kinds), unique=True))
    segments = [
        f"{{{parameters[i]}}}" if is_parameter else draw(literals) for i, is_parameter in enumerate(kinds)
    ]
    return "/" + "/".join(segments)


def table(*routes: tuple[str, str]) -> RouteTable[str]:
    return RouteTable((method, PathTemplate.parse(path), f"{method} {path}") for method, path in routes)


@given(template=templates(), data=st.data())
def test_a_path_filled_from_its_template_matches_and_gives_its_values_back(
    template: str, data: st.DataObject
) -> None:
    parsed = PathTemplate.parse(template)
    values = {
        name: data.draw(st.text(min_size=1, max_size=8).filter(lambda text: "/" not in text))
        for name in parsed.names.values()
    }
    path = "/" + "/".join(
        values[parsed.names[i]] if i in parsed.names else segment for i, segment in enumerate(parsed.segments)
    )
    assert table(("POST", template)).match("POST", path) == Found(f"POST {template}", values)


@given(routes=st.lists(templates(), max_size=6), path=st.text(max_size=40))
def test_any_path_is_answered_without_a_fault_and_only_by_a_template_of_its_length(
    routes: list[str], path: str
) -> None:
    by_shape = {PathTemplate.parse(route).shape: route for route in routes}
    found = table(*(("GET", route) for route in by_shape.values())).match("GET", path)
    if isinstance(found, Found):
        assert found.target.removeprefix("GET ").count("/") == path.count("/")


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/users/me", "GET /users/me"),
        ("/users/7", "GET /users/{id}"),
        ("/users/me/mail", "GET /users/{id}/mail"),
        ("/users/me/settings", "GET /users/me/settings"),
        ("/", "GET /"),
    ],
)
def test_a_literal_wins_over_a_parameter_and_a_dead_end_is_left_again(path: str, target: str) -> None:
    routes = table(
        ("GET", "/users/{id}"),
        ("GET", "/users/me"),
        ("GET", "/users/{id}/mail"),
        ("GET", "/users/me/settings"),
        ("GET", "/"),
    )
    found = routes.match("GET", path)
    assert isinstance(found, Found)
    assert found.target == target


@pytest.mark.parametrize(
    "path", ["/users", "/users/", "/users//mail", "users/7", "/Users/7", "/users/7/", ""]
)
def test_what_is_not_declared_is_not_matched(path: str) -> None:
    assert table(("GET", "/users/{id}"), ("GET", "/users/{id}/mail")).match("GET", path) is None


def test_another_method_names_those_that_the_path_takes() -> None:
    routes = table(("POST", "/a/{x}"), ("GET", "/a/b"), ("PUT", "/a/b"))
    assert routes.match("DELETE", "/a/b") == MethodMismatch(("GET", "POST", "PUT"))
    assert routes.match("POST", "/a/b") == Found("POST /a/{x}", {"x": "b"})


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("users", "absolute path"),
        ("", "absolute path"),
        ("/a//b", "segment ''"),
        ("/a/", "segment ''"),
        ("/a/../b", "segment '..'"),
        ("/a/{b", "segment '{b'"),
        ("/a/x{b}", "segment 'x{b}'"),
        ("/a/{1b}", "segment '{1b}'"),
        ("/a b", "segment 'a b'"),
        ("/a%20b", "segment 'a%20b'"),
        ("/{a}/{a}", "{a} twice"),
        ("/a\n", "segment"),
        ("/" + "a/" * SEGMENTS_MAX + "a", "segments"),
        ("/" + "a" * 300, "characters"),
    ],
)
def test_a_malformed_template_is_refused_with_what_is_wrong(path: str, complaint: str) -> None:
    with pytest.raises(ValueError, match="found") as refusal:
        PathTemplate.parse(path)
    assert complaint in str(refusal.value)


def test_two_templates_of_one_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        table(("GET", "/a/{x}"), ("GET", "/a/{y}"))
