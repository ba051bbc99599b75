"""Litestar, reduced to what we use of it: routing, injection, validation and the API description."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from litestar import Litestar, Request
from litestar.routes import HTTPRoute

from runstead.kernel.errors import BadRequestError
from runstead.platform.http.middleware.body_limit import BodyLimit


def _pass_on(_request: Any, error: Exception) -> NoReturn:
    """Errors are answered in one place, the boundary of the stack."""
    raise error


class _JsonRequest(Request[Any, Any, Any]):
    """Bodies that msgspec gives up on by other errors than its own are the client's fault as well."""

    async def json(self) -> Any:
        try:
            return await super().json()
        except UnicodeDecodeError as error:
            raise BadRequestError(f"JSON is not UTF-8: {error.reason} (byte {error.start})") from error
        except RecursionError as error:
            raise BadRequestError("JSON is nested too deeply.") from error


def build_router(routes: Sequence[Any]) -> Litestar:
    """The router of these handlers. The stack around it has its own limits, compression, errors and documentation."""
    return Litestar(
        route_handlers=list(routes),
        debug=False,
        request_class=_JsonRequest,
        logging_config=None,
        openapi_config=None,
        request_max_body_size=None,
        exception_handlers={Exception: _pass_on},
    )


def methods_of(router: Litestar) -> dict[str, bytes]:
    """Path template → the methods it takes, as in ``Allow``. Litestar's own answer to OPTIONS knows only those of the handler
    that was registered first."""
    return {
        route.path_format: ", ".join(sorted(route.route_handler_map)).encode()
        for route in router.routes
        if isinstance(route, HTTPRoute)
    }


def body_limits_of(router: Litestar) -> Iterator[BodyLimit]:
    """The limits that handlers declare by ``opt={"body_max_bytes": N}``."""
    for route in router.routes:
        if not isinstance(route, HTTPRoute):
            continue
        pattern = re.compile(_path_pattern(route.path_components), re.DOTALL)
        for method, (handler, _model) in route.route_handler_map.items():
            bytes_max = handler.opt.get("body_max_bytes")
            if bytes_max is not None:
                yield BodyLimit(pattern, int(bytes_max), method)


def _path_pattern(components: Sequence[Any]) -> str:
    parts = []
    for component in components:
        if isinstance(component, str):
            parts.append("/" + re.escape(component))
        else:
            parts.append("/.+" if component.type.__name__ == "Path" else "/[^/]+")
    return "".join(parts) or "/"
