"""Server-sent events are read as they were meant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstead.platform.cli import SseMessage
from runstead.platform.cli.sse import parse_sse

line_text = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=20)


@given(
    st.lists(
        st.tuples(
            line_text.filter(bool).map(str.strip).filter(bool),
            st.lists(line_text, min_size=1, max_size=3),
            line_text,
        ),
        max_size=4,
    )
)
def test_what_is_sent_is_read(events: list[tuple[str, list[str], str]]) -> None:
    lines = []
    for event, data, last_id in events:
        lines += [
            ": heartbeat",
            "",
            f"event: {event}",
            *(f"data: {one}" for one in data),
            f"id: {last_id}",
            "retry: 1",
            "",
        ]
    assert list(parse_sse(lines)) == [
        SseMessage(event=event, data="\n".join(data), id=last_id) for event, data, last_id in events
    ]


@pytest.mark.parametrize(
    ("lines", "messages"),
    [
        (["data:x", ""], [SseMessage(event="message", data="x", id="")]),
        (["data:  x", ""], [SseMessage(event="message", data=" x", id="")]),
        (["data", "data", ""], [SseMessage(event="message", data="\n", id="")]),
        (["event: lost", "", "data: 1", ""], [SseMessage(event="message", data="1", id="")]),
        (
            ["id: 7", "data: 1", "", "data: 2", ""],
            [SseMessage(event="message", data=str(n), id="7") for n in (1, 2)],
        ),
        (["id: a\0b", "data: 1", ""], [SseMessage(event="message", data="1", id="")]),
        (["data: not finished"], []),
    ],
)
def test_the_corners_of_the_format(lines: list[str], messages: list[SseMessage]) -> None:
    assert list(parse_sse(lines)) == messages
