"""Streams: no gap, no repetition, whatever listeners do."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstead.capabilities.apps.streams.hub import REPLAY_MESSAGES, WAITING_MESSAGES, StreamHub
from runstead.kernel.errors import TooManyRequestsError

_EVENT = re.compile(rb"id: (\S+)\ndata: (\d+)\n\n")


class Client:
    """Reads what there is, and connects again with the last id that it has seen."""

    def __init__(self, hub: StreamHub, **metadata: Any) -> None:
        self._hub = hub
        self._metadata = metadata
        self._stream: AsyncIterator[bytes] | None = None
        self.last_id = ""
        self.seen: list[int] = []

    async def connect(self) -> None:
        await self.leave()
        self._stream = self._hub.listen("app", "/s", self._metadata, last_id=self.last_id)
        await self.read()

    async def read(self) -> bytes:
        """One piece. There has to be one, or this waits for ever."""
        assert self._stream is not None
        piece = await anext(self._stream)
        for event_id, data in _EVENT.findall(piece):
            self.last_id = event_id.decode()
            self.seen.append(int(data))
        return piece

    async def leave(self) -> None:
        if self._stream is not None:
            await self._stream.aclose()  # type: ignore[attr-defined]
            self._stream = None


@pytest.mark.req("RT-003")
@given(st.lists(st.sampled_from(["send", "read", "leave"]), max_size=60))
async def test_who_comes_again_misses_nothing_and_hears_nothing_twice(acts: list[str]) -> None:
    hub, sent, pending = StreamHub(connections_max=10), 0, 0
    client = Client(hub)
    hub.send("app", "/s", "0")
    await client.connect()
    # Who comes for the first time hears what is sent from now on.
    first, sent = 1, 1
    is_there = True
    for act in acts:
        if act == "send":
            hub.send("app", "/s", str(sent))
            sent += 1
            pending += is_there
        elif act == "read" and is_there and pending:
            await client.read()
            pending = 0
        elif act == "leave":
            if is_there:
                await client.leave()
                pending = 0
            elif client.last_id:
                await client.connect()
                pending = 0
            else:
                continue
            is_there = not is_there
    if is_there and pending:
        await client.read()
    await client.leave()
    if client.seen:
        assert client.seen == list(range(client.seen[0], client.seen[0] + len(client.seen)))
        assert client.seen[0] >= first


async def test_who_falls_behind_is_dropped_and_told() -> None:
    hub = StreamHub(connections_max=10)
    slow, quick = Client(hub), Client(hub)
    await slow.connect()
    await quick.connect()
    reached = []
    for number in range(WAITING_MESSAGES + 5):
        reached.append(hub.send("app", "/s", str(number)))
        await quick.read()
    assert (reached[0], reached[-1]) == (2, 1)
    text = b""
    while b"event: dropped" not in text:
        text = await slow.read()
    assert quick.seen == list(range(WAITING_MESSAGES + 5))
    figures = hub.figures("app")[0]
    assert figures["dropped"] == 1
    await slow.leave()
    await quick.leave()
    assert hub.connections == 0


async def test_what_is_no_longer_kept_is_told() -> None:
    hub = StreamHub(connections_max=10)
    client = Client(hub)
    await client.connect()
    hub.send("app", "/s", "0")
    await client.read()
    await client.leave()
    for number in range(1, REPLAY_MESSAGES + 3):
        hub.send("app", "/s", str(number))
    stream = hub.listen("app", "/s", {}, last_id=client.last_id)
    piece = await anext(stream)
    assert b"event: missed" in piece
    assert b"2 messages are gone" in piece
    hub.remove("app")
    pieces = [piece async for piece in stream]
    assert b"event: dropped" in pieces[-1], "an app that is removed lets go of its listeners"


async def test_only_so_many_listen() -> None:
    hub = StreamHub(connections_max=1)
    hub.check_room()
    client = Client(hub)
    await client.connect()
    with pytest.raises(TooManyRequestsError):
        hub.check_room()
    await client.leave()
    hub.check_room()
