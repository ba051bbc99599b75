"""Reading a stream of server-sent events (html.spec.whatwg.org, section 9.2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SseMessage:
    """One event. ``id`` is the last one seen, also when this event has none of its own."""

    event: str
    data: str
    id: str


def parse_sse(lines: Iterable[str]) -> Iterator[SseMessage]:
    """Turn lines (without their ends) into events; comments, which are heartbeats, are skipped."""
    event, data, last_id = "", list[str](), ""
    for line in lines:
        if not line:
            if data:
                yield SseMessage(event=event or "message", data="\n".join(data), id=last_id)
            event, data = "", []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data.append(value)
        elif name == "event":
            event = value
        elif name == "id" and "\0" not in value:
            last_id = value
