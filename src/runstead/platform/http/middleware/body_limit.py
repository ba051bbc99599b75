"""No request body is larger, or slower, than its route allows.

The limit is the server's ``body_max_bytes`` unless the route says otherwise:

- a Litestar handler by ``opt={"body_max_bytes": N}``;
- a dispatcher by an attribute ``body_limits`` (a sequence of :class:`BodyLimit`);
- a dispatcher whose routes come and go by a method ``body_limit_of(scope)``, which answers None where it has nothing to say;
- anything else by ``body_limit(prefix, N)`` handed to ``build_app(body_limits=[...])``.

The longest matching rule wins. A dispatcher that wants another limit for one of its routes registers the larger one for its
prefix and passes the smaller one to ``read_body``.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from runstead.kernel.capability import ASGIApp, Receive, Scope, Send
from runstead.kernel.errors import BadRequestError, RequestTimeoutError
from runstead.platform.http.body import too_large
from runstead.platform.http.scope import header_of

#: Seconds that the next piece of a body may be waited for. Slower senders hold a connection for nothing.
BODY_IDLE_SECONDS_MAX: Final = 30.0

#: Bytes a second that a body needs on the average when it takes longer than that: one byte now and then keeps a connection, too.
BODY_RATE_MIN: Final = 500


@dataclass(frozen=True, slots=True)
class BodyLimit:
    """A limit for paths. ``method`` None means every method."""

    pattern: re.Pattern[str]
    bytes_max: int
    method: str | None = None


def body_limit(path_prefix: str, bytes_max: int) -> BodyLimit:
    """A limit for a path and everything below it."""
    prefix = path_prefix.rstrip("/")
    return BodyLimit(re.compile(re.escape(prefix) + "(?:/.*)?", re.DOTALL), bytes_max)


class BodyLimiter:
    """Refuses by ``Content-Length`` before a byte is read, and counts while reading for those who do not announce it."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        default: int,
        limits: Iterable[BodyLimit] = (),
        askable: Iterable[Callable[[Scope], int | None]] = (),
        idle_seconds: float | None = None,
    ) -> None:
        self._app = app
        self._default = default
        self._limits = sorted(limits, key=lambda limit: -len(limit.pattern.pattern))
        self._askable = tuple(askable)
        self._idle_seconds = BODY_IDLE_SECONDS_MAX if idle_seconds is None else idle_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = scope["state"]["headers"]
        if (
            b"content-length" not in headers
            and b"transfer-encoding" not in headers
            and scope["http_version"] < "2"
        ):
            # No body (RFC 9112 section 6.3).
            await self._app(scope, receive, send)
            return
        announced = self._announced(scope)
        limit = self._limit_of(scope)
        if announced is not None and announced > limit:
            raise too_large(limit)
        state = scope["state"]
        state["bytes_in"] = 0
        complete = False
        waited = 0.0

        async def limited_receive() -> Any:
            nonlocal complete, waited
            if complete:
                return await receive()
            allowed = self._idle_seconds + state["bytes_in"] / BODY_RATE_MIN
            asked = time.monotonic()
            try:
                # Only the sender's time is counted: whoever reads here may be slow, too.
                async with asyncio.timeout(min(self._idle_seconds, allowed - waited)):
                    message = await receive()
            except TimeoutError:
                raise RequestTimeoutError(
                    "The body came too slowly.", headers={"Connection": "close"}
                ) from None
            waited += time.monotonic() - asked
            if message["type"] == "http.request":
                state["bytes_in"] += len(message.get("body", b""))
                if state["bytes_in"] > limit:
                    raise too_large(limit)
                complete = not message.get("more_body", False)
            else:
                state["disconnected"] = True
            return message

        await self._app(scope, limited_receive, send)

    @staticmethod
    def _announced(scope: Scope) -> int | None:
        """Bytes to come; None when it is not known."""
        length = header_of(scope, b"content-length")
        chunked = header_of(scope, b"transfer-encoding") is not None
        if length is not None:
            if chunked:
                # Two lengths are how one request is smuggled in another (RFC 9112 section 6.1); what follows is not read.
                raise BadRequestError(
                    "Content-Length and Transfer-Encoding exclude each other.",
                    headers={"Connection": "close"},
                )
            if not (length.isascii() and length.isdigit()):
                raise BadRequestError("Content-Length is not a number.")
            return int(length)
        return None

    def _limit_of(self, scope: Scope) -> int:
        for ask in self._askable:
            if (found := ask(scope)) is not None:
                return found
        # As the router reads it: doubled slashes must not lead around a limit.
        path, method = "/" + "/".join(part for part in scope["path"].split("/") if part), scope["method"]
        for limit in self._limits:
            if limit.method in (None, method) and limit.pattern.fullmatch(path):
                return limit.bytes_max
        return self._default
