"""Every key and list item is found where it stands.

The oracle is the real parser: what stands at the place that was found is replaced, and the parser must then see
the change at that path.
"""

import json
import re
import tomllib
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from runstead.platform.config import json_format, toml_positions, yaml_format
from runstead.platform.config.keypath import KeyPath, dotted, parse_dotted

MARK = "the-mark"

bare_keys = st.from_regex(r"[A-Za-z0-9_-]{1,8}", fullmatch=True)
any_keys = bare_keys | st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=6)
#: Text that would mislead whoever does not know where strings end.
tricky_text = st.sampled_from(
    [
        "",
        "plain",
        "# no comment",
        "[header]",
        "a = 1",
        '"',
        "'",
        "\\",
        '\\"',
        "},]",
        "two\nlines\n[x]\n",
        "ä\u2028\U0001f600",
        '""',
        "''",
    ]
)
scalars = st.integers() | st.booleans() | tricky_text | st.floats(allow_nan=False, allow_infinity=False)
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_keys, inner, max_size=3),
    max_leaves=12,
)
documents = st.dictionaries(any_keys, trees, max_size=4)


def paths(value: Any, path: KeyPath = ()) -> list[KeyPath]:
    """Every key and item in a tree."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found: list[KeyPath] = []
    for step, inner in steps:
        found += [(*path, step), *paths(inner, (*path, step))]
    return found


def offset(text: str, place: tuple[int, int]) -> int:
    line, column = place
    return sum(len(one) + 1 for one in text.split("\n")[: line - 1]) + column - 1


def resolve(tree: Any, path: KeyPath) -> Any:
    for step in path:
        tree = tree[step]
    return tree


# TOML


def toml_key(key: str, *, quoted: bool) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) and not quoted else json.dumps(key, ensure_ascii=False)


class TomlWriter:
    """Writes one tree in one of the many ways that TOML has for it."""

    def __init__(self, draw: Any) -> None:
        self._draw = draw

    def maybe(self) -> bool:
        return bool(self._draw(st.booleans()))

    def blank(self) -> str:
        return str(
            self._draw(
                st.sampled_from(["", "\n", "  \n# a comment with [brackets] = 'and' \"quotes\"\n", "\t\n\n"])
            )
        )

    def space(self) -> str:
        return str(self._draw(st.sampled_from(["", " ", "\t ", "   "])))

    def key(self, key: str) -> str:
        return toml_key(key, quoted=self.maybe())

    def value(self, value: Any) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, float):
            text = repr(value)
            return text if "." in text or "e" in text else text + ".0"
        if isinstance(value, str):
            return self.string(value)
        if isinstance(value, dict):
            inside = ", ".join(
                f"{self.key(key)}{self.space()}={self.space()}{self.value(inner)}"
                for key, inner in value.items()
            )
            return f"{{{self.space()}{inside}{self.space()}}}"
        if isinstance(value, list):
            items = f",{self.blank()} ".join(self.value(item) for item in value)
            tail = "," if value and self.maybe() else ""
            return f"[{self.blank()}{items}{tail}{self.blank()}]"
        return str(value)

    def string(self, text: str) -> str:
        forms = [json.dumps(text, ensure_ascii=False)]
        if "'" not in text and "\n" not in text:
            forms.append(f"'{text}'")
        if "'''" not in text and not text.startswith("\n"):
            forms += [f"'''{text}'''", f"'''\n{text}'''"]
        if "\\" not in text and '"""' not in text:
            forms += [f'"""{text}"""', f'"""\n{text}"""']
        return str(self._draw(st.sampled_from(forms)))

    def table(self, table: dict[str, Any], prefix: tuple[str, ...]) -> str:
        """Assignments first, then what has a header."""
        text, later = "", []
        for key, value in table.items():
            nested = isinstance(value, dict) and value
            tables = isinstance(value, list) and value and all(isinstance(item, dict) for item in value)
            if (nested or tables) and self.maybe():
                later.append((key, value))
            elif nested and all(not isinstance(inner, dict) for inner in value.values()) and self.maybe():
                for inner_key, inner in value.items():
                    name = f"{self.key(key)}{self.space()}.{self.space()}{self.key(inner_key)}"
                    text += f"{self.space()}{name} = {self.value(inner)}\n"
            else:
                name = f"{self.blank()}{self.space()}{self.key(key)}"
                text += f"{name}{self.space()}={self.space()}{self.value(value)}{self.space()}# [c]\n"
        for key, value in later:
            for item in value if isinstance(value, list) else [value]:
                header = ".".join(self.key(part) for part in (*prefix, key))
                brackets = ("[[", "]]") if isinstance(value, list) else ("[", "]")
                text += f"{self.blank()}{self.space()}{brackets[0]}{self.space()}{header}{self.space()}{brackets[1]} # ]\n"
                text += self.table(item, (*prefix, key))
        return text


@st.composite
def toml_documents(draw: Any) -> tuple[str, dict[str, Any]]:
    tree = draw(documents)
    return TomlWriter(draw).table(tree, ()), tree


_TOML_KEY = re.compile(r"[A-Za-z0-9_-]+|\"(?:[^\"\\]|\\.)*\"|'[^']*'")


@given(toml_documents())
def test_toml_keys_and_items_are_found_where_they_stand(document: tuple[str, dict[str, Any]]) -> None:
    text, tree = document
    # The writer is right, else nothing below means anything.
    assert tomllib.loads(text) == tree
    positions = toml_positions.locate(text)
    assert set(positions) == set(paths(tree))
    for path, place in positions.items():
        at = offset(text, place)
        if text[at] == "[" and (isinstance(path[-1], str) or text.startswith("[[", at)):
            header = text[at:].split("\n", 1)[0]
            assert isinstance(path[-1], int) or path[-1] in (
                next(iter(tomllib.loads(f"{key}=0"))) for key in _TOML_KEY.findall(header)
            )
        elif isinstance(path[-1], int):
            changed = tomllib.loads(f"{text[:at]}'{MARK}', {text[at:]}")
            assert resolve(changed, path) == MARK
        else:
            match = _TOML_KEY.match(text, at)
            assert match is not None
            assert next(iter(tomllib.loads(f"{match.group()} = 0"))) == path[-1]


def test_a_toml_header_stands_at_its_bracket_and_an_intermediate_table_at_its_own_part() -> None:
    text = "[a.b]\nc = 1\n  [[d.e]]\n  f.g = 1\n[[d.e]]\n[d.e.h]\n"
    assert toml_positions.locate(text) == {
        ("a",): (1, 2),
        ("a", "b"): (1, 1),
        ("a", "b", "c"): (2, 1),
        ("d",): (3, 5),
        ("d", "e"): (3, 3),
        ("d", "e", 0): (3, 3),
        ("d", "e", 0, "f"): (4, 3),
        ("d", "e", 0, "f", "g"): (4, 5),
        ("d", "e", 1): (5, 1),
        ("d", "e", 1, "h"): (6, 1),
    }


def test_windows_ends_of_line_and_dates_do_not_shift_toml_positions() -> None:
    text = 'a = 1979-05-27 07:32:00 # when\r\nb = """x\r\ny"""\r\nc = [ 1979-05-27, 2 ]\r\nd = 1\r\n'
    tomllib.loads(text)
    assert toml_positions.locate(text) == {
        ("a",): (1, 1),
        ("b",): (2, 1),
        ("c",): (4, 1),
        ("c", 0): (4, 7),
        ("c", 1): (4, 19),
        ("d",): (5, 1),
    }


@pytest.mark.parametrize("quotes", ['"""', "'''"])
@pytest.mark.parametrize("count", [0, 1, 2])
def test_toml_strings_may_end_in_quotes_of_their_own(quotes: str, count: int) -> None:
    text = f"a = {quotes}x{quotes[0] * count}{quotes}\nb = 1\n"
    tomllib.loads(text)
    assert toml_positions.locate(text)[("b",)] == (2, 1)


# JSON


@given(documents, st.sampled_from([None, 0, 2, "\t"]), st.booleans())
def test_json_keys_and_items_are_found_where_they_stand(
    tree: dict[str, Any], indent: int | str | None, ascii_only: bool
) -> None:
    text = json.dumps(tree, indent=indent, ensure_ascii=ascii_only)
    positions = json_format.locate(text)
    assert json_format.parse(text) == tree
    assert set(positions) == set(paths(tree))
    for path, place in positions.items():
        at = offset(text, place)
        if isinstance(path[-1], int):
            changed = json.loads(f'{text[:at]}"{MARK}", {text[at:]}')
            assert resolve(changed, path) == MARK
        else:
            _, end = json.JSONDecoder().raw_decode(text[at:])
            changed = json.loads(f'{text[:at]}"{MARK}"{text[at + end :]}')
            assert resolve(changed, (*path[:-1], MARK)) == resolve(tree, path)


@given(st.text(max_size=40))
def test_anything_that_is_not_json_is_told_with_a_place_within_the_text(text: str) -> None:
    place = (1, 1)
    try:
        json_format.parse(text)
    except json_format.JsonSyntaxError as error:
        place = (error.line, error.column)
    assert 1 <= place[0] <= text.count("\n") + 1
    assert 1 <= place[1] <= len(text) + 1


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        ('{"a": 1, "b": {"a": 1, "a": 2}}', "the key 'a' stands twice in one table", (1, 24)),
        ('{"a": [1,\n  NaN]}', "found NaN, allowed: a finite number", (2, 3)),
        ('{"a": -Infinity}', "found -Infinity, allowed: a finite number", (1, 7)),
        ('{"a": 1} x', "Extra data", (1, 10)),
    ],
)
def test_what_json_libraries_let_pass_is_refused(text: str, message: str, place: tuple[int, int]) -> None:
    with pytest.raises(json_format.JsonSyntaxError, match=re.escape(message)) as caught:
        json_format.parse(text)
    assert (caught.value.line, caught.value.column) == place


# YAML

yaml_words = st.from_regex(r"[a-z_]{1,8}", fullmatch=True).filter(
    lambda word: word not in ("true", "false", "null")
)
yaml_trees = st.recursive(
    st.integers() | st.booleans() | tricky_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(yaml_words, inner, max_size=3),
    max_leaves=12,
)


@given(
    st.dictionaries(yaml_words, yaml_trees, max_size=4),
    st.sampled_from([None, True, False]),
    st.sampled_from([2, 4]),
)
def test_yaml_keys_and_items_are_found_where_they_stand(
    tree: dict[str, Any], flow: bool | None, indent: int
) -> None:
    text = yaml.safe_dump(tree, default_flow_style=flow, indent=indent, allow_unicode=True)
    positions = yaml_format.locate(text)
    assert yaml_format.parse(text) == tree
    assert set(positions) == set(paths(tree))
    for path, place in positions.items():
        here = text.split("\n")[place[0] - 1][place[1] - 1 :]
        if isinstance(path[-1], str):
            assert re.match(rf"(['\"]?){path[-1]}\1:", here)
        else:
            assert here[:1] not in ("", " ", ",", "]")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("off", "off"),
        ("yes", "yes"),
        ("010", 10),
        ("0o10", 8),
        ("0x10", 16),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("2026-01-31", "2026-01-31"),
        ("1e3", 1000.0),
        ("-.5", -0.5),
        ("True", True),
        ("~", None),
        ("", None),
    ],
)
def test_plain_words_mean_what_yaml_1_2_says(text: str, value: object) -> None:
    parsed = yaml_format.parse(f"a: {text}\n")["a"]
    assert (parsed, type(parsed)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2\n", "the key 'c' stands twice in one table", (4, 3)),
        ("a:\n  1: x\n", "found a key that is not text", (2, 3)),
        ("? [a]\n: x\n", "found a key that is not text", (1, 3)),
        ("a: !!python/object:os.system x\n", "could not determine a constructor", (1, 4)),
        ("a: *nowhere\n", "undefined alias", (1, 4)),
        ("a: 1\n---\nb: 1\n", "but found another document", (2, 1)),
        ("a: [1\nb: 2\n", "did not find expected ',' or ']'", (2, 2)),
        ("a: \t\x01\n", "control characters are not allowed", (1, 1)),
    ],
)
def test_what_is_not_plain_yaml_is_refused_with_its_place(
    text: str, message: str, place: tuple[int, int]
) -> None:
    with pytest.raises(yaml_format.YamlSyntaxError, match=re.escape(message)) as caught:
        yaml_format.parse(text)
    assert (caught.value.line, caught.value.column) == place


def test_what_a_yaml_anchor_brings_stands_at_the_anchor() -> None:
    text = "base: &base\n  port: 1\n  host: x\nserver:\n  <<: *base\n  port: 2\nother: *base\n"
    assert yaml_format.parse(text)["server"] == {"port": 2, "host": "x"}
    positions = yaml_format.locate(text)
    assert positions[("server", "host")] == (3, 3)
    assert positions[("server", "port")] == (6, 3)
    assert positions[("other", "port")] == (2, 3)


# Key paths


@given(
    st.lists(bare_keys.filter(lambda key: not key.isdigit()) | st.integers(0, 99), min_size=1).filter(
        lambda path: isinstance(path[0], str)
    )
)
def test_key_paths_are_read_as_they_are_written(path: list[str | int]) -> None:
    assert parse_dotted(dotted(tuple(path))) == tuple(path)


def test_a_key_with_a_dot_in_it_is_quoted() -> None:
    assert dotted(("labels", "a.b", 0)) == "labels.'a.b'[0]"
