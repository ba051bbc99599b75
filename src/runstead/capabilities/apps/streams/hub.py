"""Topics, their listeners, and the last messages of each."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from runstead.kernel.errors import TooManyRequestsError
from runstead.kernel.limits import KIB, MIB
from runstead.platform.http import SseEvent

#: Messages, and their bytes, that a topic keeps for those who connect again.
REPLAY_MESSAGES: Final = 1000
REPLAY_BYTES: Final = 1 * MIB
#: Messages, and their bytes, that wait for one client; one that falls further behind is dropped.
WAITING_MESSAGES: Final = 1000
WAITING_BYTES: Final = 1 * MIB
#: Topics of one app that are kept although nobody listens; the one that was silent longest goes first.
SILENT_TOPICS: Final = 256
#: Milliseconds after which a client connects again.
RETRY_MS: Final = 2000
#: Bytes of several messages that are written as one.
_PIECE_BYTES: Final = 64 * KIB

_OPENING: Final = f"retry: {RETRY_MS}\n\n".encode()

Mode = Literal["subset", "overlap"]
_ID: Final = re.compile(r"([0-9a-f]{12})\.(\d{1,15})")


@dataclass(frozen=True, slots=True)
class Message:
    """As it is on the wire, and for whom."""

    number: int
    wire: bytes
    filter: Mapping[str, Any] | None
    mode: Mode


@dataclass(slots=True, eq=False)
class Connection:
    """One listener."""

    metadata: Mapping[str, Any]
    waiting: deque[bytes] = field(default_factory=deque)
    waiting_bytes: int = 0
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    dropped: bool = False

    def put(self, wire: bytes) -> bool:
        """False: it is too far behind."""
        if self.dropped:
            return False
        if len(self.waiting) >= WAITING_MESSAGES or self.waiting_bytes + len(wire) > WAITING_BYTES:
            self.dropped = True
        else:
            self.waiting.append(wire)
            self.waiting_bytes += len(wire)
        self.ready.set()
        return not self.dropped


@dataclass(slots=True, eq=False)
class Topic:
    """A path of an app."""

    #: So that a number of before a restart is not taken for one of after it.
    era: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    last: int = 0
    kept: deque[Message] = field(default_factory=deque)
    kept_bytes: int = 0
    connections: set[Connection] = field(default_factory=set)
    sent: int = 0
    dropped: int = 0


class StreamHub:
    """Hands messages to whoever listens on a path of an app.

    Guarantee: each connection gets messages in the order in which they were sent, each once. Who connects again with the last id
    it has seen gets what it missed, or is told how many are gone. A sender never waits for a listener: one that falls behind is
    dropped, and told so.
    """

    def __init__(self, *, connections_max: int) -> None:
        """:param connections_max: of all apps together."""
        self._topics: OrderedDict[tuple[str, str], Topic] = OrderedDict()
        self._connections = 0
        self._connections_max = connections_max

    def send(
        self,
        app_id: str,
        path: str,
        data: str,
        *,
        filter: Mapping[str, Any] | None = None,  # noqa: A002 - it is what scripts call it
        mode: Mode = "subset",
    ) -> int:
        """Send to all who listen, or to those whose metadata fit; how many these are.

        :param mode: ``subset``: everything that the filter says is true of the metadata; ``overlap``: something is, and nothing
            that both speak of differs.
        """
        topic = self._topic(app_id, path)
        topic.last += 1
        wire = SseEvent(data=data, id=f"{topic.era}.{topic.last}").encode()
        message = Message(topic.last, wire, filter, mode)
        topic.kept.append(message)
        topic.kept_bytes += len(wire)
        while len(topic.kept) > REPLAY_MESSAGES or (topic.kept_bytes > REPLAY_BYTES and len(topic.kept) > 1):
            topic.kept_bytes -= len(topic.kept.popleft().wire)
        reached = 0
        for connection in topic.connections:
            if _is_for(message, connection.metadata) and not connection.dropped:
                is_taken = connection.put(wire)
                reached += is_taken
                topic.dropped += not is_taken
        topic.sent += reached
        return reached

    async def listen(
        self, app_id: str, path: str, metadata: Mapping[str, Any], *, last_id: str = ""
    ) -> AsyncIterator[bytes]:
        """What is on the wire, without end unless the client falls behind.

        :param last_id: the id of the last event that the client has seen.
        """
        topic = self._topic(app_id, path)
        connection = Connection(metadata)
        for wire in (_OPENING, *_missed(topic, metadata, last_id)):
            connection.waiting.append(wire)
            connection.waiting_bytes += len(wire)
        connection.ready.set()
        topic.connections.add(connection)
        self._connections += 1
        try:
            while True:
                await connection.ready.wait()
                connection.ready.clear()
                while connection.waiting:
                    yield _piece(connection)
                if connection.dropped:
                    yield SseEvent(event="dropped", data="you are too slow: connect again").encode()
                    return
        finally:
            topic.connections.discard(connection)
            self._connections -= 1
            self._forget_silent(app_id)

    def check_room(self) -> None:
        """:raises TooManyRequestsError: as many listen as may."""
        if self._connections >= self._connections_max:
            raise TooManyRequestsError(
                f"{self._connections_max} connections listen already (apps.stream_connections_max)",
                headers={"Retry-After": "5"},
            )

    @property
    def connections(self) -> int:
        """Who listens, to anything."""
        return self._connections

    def figures(self, app_id: str = "") -> list[dict[str, Any]]:
        """Of each path of an app, or of all: connections, messages sent and dropped."""
        return [
            {
                "app": owner,
                "path": path,
                "connections": len(topic.connections),
                "messages": topic.last,
                "sent": topic.sent,
                "dropped": topic.dropped,
            }
            for (owner, path), topic in self._topics.items()
            if not app_id or owner == app_id
        ]

    def remove(self, app_id: str) -> None:
        """Forget the messages of an app that is gone; who listens is cut off."""
        for key in [key for key in self._topics if key[0] == app_id]:
            for connection in self._topics.pop(key).connections:
                connection.dropped = True
                connection.ready.set()

    def _topic(self, app_id: str, path: str) -> Topic:
        topic = self._topics.get((app_id, path))
        if topic is None:
            topic = self._topics[app_id, path] = Topic()
            self._forget_silent(app_id)
        self._topics.move_to_end((app_id, path))
        return topic

    def _forget_silent(self, app_id: str) -> None:
        silent = [key for key, topic in self._topics.items() if key[0] == app_id and not topic.connections]
        for key in silent[: max(0, len(silent) - SILENT_TOPICS)]:
            del self._topics[key]


def _is_for(message: Message, metadata: Mapping[str, Any]) -> bool:
    wanted = message.filter
    if wanted is None:
        return True
    if message.mode == "subset":
        return all(name in metadata and metadata[name] == value for name, value in wanted.items())
    common = wanted.keys() & metadata.keys()
    return bool(common) and all(metadata[name] == wanted[name] for name in common)


def _missed(topic: Topic, metadata: Mapping[str, Any], last_id: str) -> list[bytes]:
    found = _ID.fullmatch(last_id)
    if found is None:
        return []
    seen = int(found[2]) if found[1] == topic.era else 0
    pieces = [one.wire for one in topic.kept if one.number > seen and _is_for(one, metadata)]
    first = topic.kept[0].number if topic.kept else topic.last + 1
    if found[1] != topic.era:
        pieces.insert(
            0, SseEvent(event="missed", data="the server was started anew: what came before is gone").encode()
        )
    elif (gone := first - 1 - seen) > 0:
        pieces.insert(0, SseEvent(event="missed", data=f"{gone} messages are gone").encode())
    return pieces


def _piece(connection: Connection) -> bytes:
    """As much as makes one write."""
    size, pieces = 0, []
    while connection.waiting and size < _PIECE_BYTES:
        pieces.append(wire := connection.waiting.popleft())
        size += len(wire)
    connection.waiting_bytes -= size
    return b"".join(pieces) if len(pieces) > 1 else pieces[0]
