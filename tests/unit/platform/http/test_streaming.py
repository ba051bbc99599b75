from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.platform.http.driver import Conversation

from runstead.platform.http import EventStream, SseEvent, sse, stream
from runstead.platform.http.lifecycle import Lifecycle


def test_an_event_has_the_form_of_the_standard() -> None:
    event = SseEvent(data="two\nlines", event="log", id="7", retry_ms=1000)
    assert event.encode() == b"event: log\nid: 7\nretry: 1000\ndata: two\ndata: lines\n\n"


@pytest.mark.parametrize("field", ["event", "id"])
@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_a_line_break_cannot_start_a_field_of_its_own(field: str, end: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        SseEvent(data="", **{field: f"a{end}data: forged"}).encode()  # type: ignore[arg-type]


def parse(text: str) -> list[str]:
    """The data of each event, as section 9.2.6 of the standard reads it."""
    events: list[str] = []
    data: list[str] = []
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        if not line:
            if data:
                events.append("\n".join(data))
            data = []
        elif line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
    return events


@given(st.lists(st.text(alphabet=st.characters(codec="utf-8"))))
def test_any_data_arrives_as_it_was(values: list[str]) -> None:
    wire = b"".join(SseEvent(data=value).encode() for value in values).decode()
    expected = [value.replace("\r\n", "\n").replace("\r", "\n") for value in values]
    assert parse(wire) == expected


async def numbers(
    closed: asyncio.Event, first: int = 0, pause: asyncio.Event | None = None
) -> AsyncIterator[SseEvent]:
    try:
        for number in range(first, first + 3):
            yield SseEvent(data=str(number), id=str(number))
        if pause is not None:
            await pause.wait()
    finally:
        closed.set()


@pytest.mark.req("HTTP-010")
async def test_events_arrive_and_the_stream_ends_with_them() -> None:
    closed = asyncio.Event()
    conversation = Conversation(sse(numbers(closed)))
    await conversation.task
    assert conversation.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert "no-cache" in conversation.headers["cache-control"]
    assert parse(conversation.body.decode()) == ["0", "1", "2"]
    assert conversation.complete
    assert closed.is_set()


async def test_the_iterator_is_closed_when_the_client_goes_away() -> None:
    closed = asyncio.Event()
    conversation = Conversation(sse(numbers(closed, pause=asyncio.Event())))
    await conversation.until(b"data: 2")
    conversation.hang_up()
    await conversation.task
    assert closed.is_set()
    assert not conversation.complete


async def test_an_eager_source_does_not_hide_that_the_client_went_away() -> None:
    async def without_end() -> AsyncIterator[bytes]:
        while True:
            yield b"x"

    async def send(_message: object) -> None:
        """Like an engine whose client is gone: it takes everything and never waits."""

    async def receive() -> dict[str, str]:
        return {"type": "http.disconnect"}

    await asyncio.wait_for(stream(without_end(), "text/plain")({"type": "http"}, receive, send), 10)


async def test_a_quiet_stream_shows_signs_of_life() -> None:
    closed = asyncio.Event()
    conversation = Conversation(sse(numbers(closed, pause=asyncio.Event()), heartbeat_seconds=0.01))
    await conversation.until(b"data: 2\n\n:\n\n:\n\n")
    conversation.hang_up()
    await conversation.task


async def test_a_busy_stream_needs_no_signs_of_life() -> None:
    async def busy() -> AsyncIterator[SseEvent]:
        for number in range(10):
            await asyncio.sleep(0.01)
            yield SseEvent(data=str(number))

    conversation = Conversation(sse(busy(), heartbeat_seconds=0.05))
    await conversation.task
    assert conversation.body.count(b":\n\n") == 1


async def test_a_slow_client_slows_the_source() -> None:
    made = 0

    async def source() -> AsyncIterator[bytes]:
        nonlocal made
        for _ in range(100):
            made += 1
            yield b"x"

    taken = asyncio.Semaphore(0)

    async def send(message: dict[str, object]) -> None:
        if message["type"] == "http.response.body":
            await taken.acquire()

    never = asyncio.Event()

    async def receive() -> dict[str, str]:
        await never.wait()
        return {"type": "http.disconnect"}

    task = asyncio.create_task(stream(source(), "text/plain")({"type": "http"}, receive, send))
    for _ in range(3):
        taken.release()
    for _ in range(50):
        await asyncio.sleep(0)
    assert made == 4
    for _ in range(200):
        taken.release()
    await task
    assert made == 100


async def test_a_source_that_fails_leaves_the_answer_without_its_end() -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield b"part"
        raise ValueError("late")

    conversation = Conversation(stream(failing(), "text/plain"))
    with pytest.raises(ValueError, match="late"):
        await conversation.task
    assert conversation.body == b"part"
    assert not conversation.complete


async def test_events_end_when_the_server_drains_and_bytes_do_not() -> None:
    closed, go_on = asyncio.Event(), asyncio.Event()

    async def finite() -> AsyncIterator[bytes]:
        yield b"begin"
        await go_on.wait()
        yield b"end"

    events = Lifecycle(sse(numbers(closed, pause=asyncio.Event())))
    download = Lifecycle(stream(finite(), "text/plain"))
    one, other = Conversation(events), Conversation(download)
    await one.until(b"data: 2")
    await other.until(b"begin")
    events.draining.set()
    download.draining.set()
    await one.task
    assert one.complete
    assert not other.task.done()
    go_on.set()
    await other.task
    assert other.body == b"beginend"


async def test_a_cut_ends_a_stream_and_closes_its_source() -> None:
    closed = asyncio.Event()
    lifecycle = Lifecycle(sse(numbers(closed, pause=asyncio.Event())))
    conversation = Conversation(lifecycle)
    await conversation.until(b"data: 2")
    assert lifecycle.in_flight == 1
    assert lifecycle.cut() == 1
    with pytest.raises(asyncio.CancelledError):
        await conversation.task
    assert closed.is_set()
    assert lifecycle.in_flight == 0


def test_a_header_with_a_line_break_is_refused() -> None:
    with pytest.raises(ValueError, match="line break"):
        EventStream(numbers(asyncio.Event()), headers={"X-A": "b\r\nSet-Cookie: c"})
