"""The outermost layer: gives the request its id and its log context."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from runstead.kernel.capability import ASGIApp, Receive, Scope, Send
from runstead.kernel.ids import new_id
from runstead.kernel.limits import REQUEST_ID_CHARS_MAX
from runstead.platform.http.scope import state_of
from runstead.platform.identity import ANONYMOUS
from runstead.platform.observability.context import reset_fields, set_fields

HEADER: Final = b"x-request-id"

#: What is taken from a client: it lands in log lines and file names.
_sane = re.compile(rb"[A-Za-z0-9._-]{1,%d}" % REQUEST_ID_CHARS_MAX).fullmatch


class RequestId:
    """Takes the client's ``X-Request-ID`` when it is sane, else makes one, and sends it back with every answer."""

    def __init__(self, app: ASGIApp, *, is_secret: Callable[[str], bool] | None = None) -> None:
        """:param is_secret: tells whether a text holds a secret of this server, which must not get into logs and tables."""
        self._app = app
        self._is_secret = is_secret

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        sent = headers.get(HEADER)
        request_id = self._taken(sent) or new_id()
        echo = (HEADER, request_id.encode())
        fields: dict[str, Any] = {"request_id": request_id}
        state = state_of(scope)
        state.update(request_id=request_id, actor=ANONYMOUS, headers=headers, log_fields=fields)

        async def send_with_id(message: Any) -> None:
            if message["type"] in ("http.response.start", "websocket.accept"):
                message["headers"] = [*message.get("headers", ()), echo]
            await send(message)

        token = set_fields(fields)
        try:
            await self._app(scope, receive, send_with_id)
        finally:
            reset_fields(token)

    def _taken(self, sent: bytes | None) -> str | None:
        if sent is None or not _sane(sent):
            return None
        text = sent.decode()
        return None if self._is_secret is not None and self._is_secret(text) else text
