from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstead.capabilities.jobs import JobsSettings
from runstead.capabilities.jobs.command import split_command
from runstead.capabilities.jobs.errors import CommandRefusedError

PLAIN = JobsSettings()


@pytest.mark.parametrize(
    ("command", "argv"),
    [
        ("python3 a.py", ("python3", "a.py")),
        ("echo 'a | b'", ("echo", "a | b")),
        ('echo "a; b" c', ("echo", "a; b", "c")),
        (r"echo a\;b", ("echo", "a;b")),
        ("echo $HOME", ("echo", "$HOME")),
        ('echo "$(id)"', ("echo", "$(id)")),
        ("echo ''", ("echo", "")),
    ],
)
def test_what_stands_in_quotes_is_text(command: str, argv: tuple[str, ...]) -> None:
    assert split_command(command, PLAIN) == argv


@pytest.mark.req("JOBS-008")
@pytest.mark.parametrize(
    ("command", "column"),
    [
        ("a | b", 3),
        ("a&b", 2),
        ("a;b", 2),
        ("a `id`", 3),
        ("a $(id)", 3),
        ("a > b", 3),
        ("a\nb", 2),
        ("'x' <b", 5),
    ],
)
def test_what_only_a_shell_could_do_is_refused_with_its_column(command: str, column: int) -> None:
    with pytest.raises(CommandRefusedError) as refused:
        split_command(command, PLAIN)
    assert refused.value.details["column"] == column


@given(st.text(max_size=60))
def test_any_text_is_split_as_a_shell_would_or_refused(command: str) -> None:
    try:
        argv = split_command(command, PLAIN)
    except CommandRefusedError:
        return
    assert list(argv) == shlex.split(command)


@given(st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8")), min_size=1))
def test_what_is_quoted_for_a_shell_comes_back_as_it_was(words: list[str]) -> None:
    assert split_command(shlex.join(words), PLAIN) == tuple(words)
