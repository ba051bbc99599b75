"""The HTTP host: the middleware stack, the error envelope, limits, the API description and the server.

A request passes, outermost first: request id, access log and metrics, security headers, error boundary, host and origin
guard, body limit, authentication, compression; then the capabilities' dispatchers are asked in order, then the router.
``scope["state"]`` carries ``request_id`` and ``actor``. Handlers raise :class:`~runstead.kernel.errors.RunsteadError`; every
error becomes the one envelope.

A route that needs another body limit than ``server.body_max_bytes`` says so by ``opt={"body_max_bytes": N}`` (Litestar) or by
``body_limit(prefix, N)`` in ``build_app(body_limits=...)``.
"""

from runstead.platform.http.app import build_app
from runstead.platform.http.body import ClientDisconnectedError, read_body
from runstead.platform.http.errors import (
    MethodNotAllowedError,
    MisdirectedError,
    NotAcceptableError,
    UnsupportedMediaTypeError,
)
from runstead.platform.http.info import ServerInfo
from runstead.platform.http.lifecycle import draining_event
from runstead.platform.http.middleware.body_limit import BodyLimit, body_limit
from runstead.platform.http.middleware.security_headers import CONTENT_SECURITY_POLICY
from runstead.platform.http.reserved import RESERVED_PREFIXES, is_reserved
from runstead.platform.http.responses import bytes_response, error_response, json_response
from runstead.platform.http.scope import actor_of, header_of, request_id_of, set_route
from runstead.platform.http.server import serve
from runstead.platform.http.sse import EventStream, SseEvent, sse
from runstead.platform.http.streaming import ByteStream, stream
from runstead.platform.identity import guard

__all__ = [
    "CONTENT_SECURITY_POLICY",
    "RESERVED_PREFIXES",
    "BodyLimit",
    "ByteStream",
    "ClientDisconnectedError",
    "EventStream",
    "MethodNotAllowedError",
    "MisdirectedError",
    "NotAcceptableError",
    "ServerInfo",
    "SseEvent",
    "UnsupportedMediaTypeError",
    "actor_of",
    "body_limit",
    "build_app",
    "bytes_response",
    "draining_event",
    "error_response",
    "guard",
    "header_of",
    "is_reserved",
    "json_response",
    "read_body",
    "request_id_of",
    "serve",
    "set_route",
    "sse",
    "stream",
]
