"""What scripts may do with streams."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from runstead.capabilities.apps.hostcalls import Calls, Session, text
from runstead.capabilities.apps.streams.hub import Mode, StreamHub
from runstead.kernel.errors import BadRequestError, TooLargeError
from runstead.kernel.limits import KIB

MESSAGE_BYTES_MAX: Final = 256 * KIB
_MODES: Final = ("subset", "overlap")


class StreamCalls:
    """Sending. An app sends to paths of its own only, for a topic is of an app."""

    def __init__(self, hub: StreamHub) -> None:
        self._hub = hub

    def calls(self) -> Calls:
        return {"stream.send": self._send}

    async def _send(self, session: Session, path: str, data: str, wanted: str | None, mode: str) -> int:
        if len(data.encode("utf-8", "replace")) > MESSAGE_BYTES_MAX:
            raise TooLargeError(f"a message may have {MESSAGE_BYTES_MAX} bytes")
        return self._hub.send(
            session.caller.app_id, text(path), text(data), filter=_filter(wanted), mode=_mode(mode)
        )


def _filter(wanted: str | None) -> Mapping[str, Any] | None:
    if wanted is None:
        return None
    try:
        return msgspec.json.decode(wanted, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise BadRequestError("the filter is no JSON object") from error


def _mode(mode: str) -> Mode:
    if mode not in _MODES:
        raise BadRequestError(f"{mode!r} is no mode; allowed: {', '.join(_MODES)}")
    return "overlap" if mode == "overlap" else "subset"
