"""``.env`` files say what their writer meant, and what is no assignment is told with its line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.platform.config.samples import Folder

from runstead.platform.config.dotenv import Assignment, parse_dotenv

names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True).filter(lambda name: name != "export")
values = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def double_quoted(value: str) -> str:
    escaped = (
        value.replace("\\", "\\\\")
        .replace('"', '\\"')
        .replace("\n", "\\n")
        .replace("\r", "\\r")
        .replace("\t", "\\t")
    )
    return f'"{escaped}"'


@st.composite
def written(draw: st.DrawFn) -> tuple[str, str, str]:
    """A name, a value, and one of the ways to write them down."""
    name, value = draw(names), draw(values)
    forms = [double_quoted(value)]
    if "'" not in value:
        forms.append(f"'{value}'")
    if value == value.strip() and not set(value) & set("#'\"\n\r"):
        forms.append(value)
    prefix = draw(st.sampled_from(["", "  ", "export ", "\texport  "]))
    equals = draw(st.sampled_from(["=", " = ", "= "]))
    comment = draw(st.sampled_from(["", " # a comment = 'x'", "\t#"]))
    return name, value, f"{prefix}{name}{equals}{draw(st.sampled_from(forms))}{comment}"


@given(
    st.lists(written(), max_size=6),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["", "\n", "# comment\n", "   \n# it's \"open\n"]),
    st.booleans(),
)
def test_what_is_written_is_read(
    lines: list[tuple[str, str, str]], end: str, between: str, closed: bool
) -> None:
    text = ""
    places = []
    for name, _, line in lines:
        text += between
        places.append((text.count("\n") + 1, line.index(name, _name_from(line)) + 1))
        text += line + end
    if lines and not closed:
        text = text.removesuffix(end)
    found = list(parse_dotenv(text))
    assert [(one.name, one.value, one.fault) for one in found] == [
        (name, value, "") for name, value, _ in lines
    ]
    assert [(one.line, one.column) for one in found] == places


def _name_from(line: str) -> int:
    stripped = line.lstrip(" \t")
    start = len(line) - len(stripped)
    if stripped.startswith(("export ", "export\t")):
        rest = stripped[len("export") :]
        start += len("export") + len(rest) - len(rest.lstrip(" \t"))
    return start


@given(st.text(alphabet=st.sampled_from("A=\"'# \n\r\\x"), max_size=60))
def test_any_text_is_read_to_its_end_with_lines_that_are_in_it(text: str) -> None:
    found = list(parse_dotenv(text))
    assert all(1 <= one.line <= text.count("\n") + 1 for one in found)
    assert [one.line for one in found] == sorted(one.line for one in found)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=", ""),
        ("A= # nothing", ""),
        ("A=#nothing", ""),
        ("A=a#b", "a#b"),
        ("A=a b  ", "a b"),
        ("A=a=b", "a=b"),
        ("A=it's", "it's"),
        ("A=$HOME ${B} `c`", "$HOME ${B} `c`"),
        (r"A=C:\new", r"C:\new"),
        (r"A='C:\new'", r"C:\new"),
        (r'A="C:\\new\tx \"q\" \$ \x"', 'C:\\new\tx "q" $ \\x'),
        ("A='two\nlines'", "two\nlines"),
        ('A="two\nlines"', "two\nlines"),
        ("A=''", ""),
    ],
)
def test_quotes_comments_and_escapes(line: str, value: str) -> None:
    assert list(parse_dotenv(line + "\nB=1\n")) == [
        Assignment("A", value, 1, 1),
        Assignment("B", "1", line.count("\n") + 2, 1),
    ]


@pytest.mark.parametrize(
    ("text", "name", "place", "fault"),
    [
        ("A", "A", (1, 1), "found no =, allowed: NAME=value"),
        ("\n  export", "export", (2, 3), "found no =, allowed: NAME=value"),
        ("1A=x", "", (1, 1), "found no name, allowed: NAME=value"),
        ("A-B=x", "A", (1, 1), "found no =, allowed: NAME=value"),
        ("A='x", "A", (1, 1), "found a quote that is not closed"),
        ("A='x'y", "A", (1, 1), "found text behind the closing quote"),
        ('A="x\\"', "A", (1, 1), "found a quote that is not closed"),
    ],
)
def test_a_line_that_is_no_assignment_is_told_and_the_next_is_read(
    text: str, name: str, place: tuple[int, int], fault: str
) -> None:
    assert list(parse_dotenv(text + "\nNEXT=1\n")) == [
        Assignment(name, "", *place, fault),
        Assignment("NEXT", "1", place[0] + 1, 1),
    ]


def test_a_file_that_is_no_text_is_told_with_the_place_of_its_first_bad_byte(folder: Folder) -> None:
    (folder.path / ".env").write_bytes(b"\xef\xbb\xbfA=1\nB=\xc3\xa4 \xff\n")
    assert folder.problems() == [".env:2:5: found the byte 0xff, allowed: UTF-8 text"]


def test_a_folder_with_the_name_is_not_read(folder: Folder) -> None:
    (folder.path / ".env").mkdir()
    assert folder.problems() == []


def test_a_huge_file_is_refused(folder: Folder) -> None:
    folder.write(".env", "#" * (1024 * 1024 + 1))
    assert folder.problems() == [".env: found more than 1048576 bytes, allowed: up to that"]
