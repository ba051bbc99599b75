"""The API description: what the router knows, merged with what the dispatchers serve at this moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from runstead.kernel.capability import Dispatcher
from runstead.platform.http.info import ServerInfo


class ApiDescription:
    """Makes the OpenAPI 3.1 document. The router's part is made once, at the first request for it."""

    def __init__(self, *, info: ServerInfo, dispatchers: Sequence[Dispatcher]) -> None:
        self._info = info
        self._dispatchers = dispatchers
        self._routed: dict[str, Any] | None = None
        self.handlers: Sequence[Any] = ()

    def document(self) -> bytes:
        """The document as JSON."""
        if self._routed is None:
            self._routed = self._describe_router()
        paths = dict(self._routed["paths"])
        components = dict(self._routed.get("components", {}))
        for dispatcher in self._dispatchers:
            for path, operations in dispatcher.openapi_paths().items():
                paths[path] = {**paths.get(path, {}), **operations}
            # Not every dispatcher has shapes of its own to refer to.
            own: dict[str, Any] = getattr(dispatcher, "openapi_components", dict)()
            for kind, entries in own.items():
                components[kind] = {**components.get(kind, {}), **entries}
        return msgspec.json.encode({**self._routed, "paths": paths, "components": components})

    def _describe_router(self) -> dict[str, Any]:
        # A router of its own, so that the serving one neither has Litestar's pages nor pays for the description.
        from litestar import Litestar
        from litestar.openapi import OpenAPIConfig
        from litestar.openapi.plugins import JsonRenderPlugin

        config = OpenAPIConfig(
            title=self._info.name, version=self._info.version, render_plugins=[JsonRenderPlugin()]
        )
        described = Litestar(list(self.handlers), openapi_config=config, logging_config=None)
        schema: dict[str, Any] = described.openapi_schema.to_schema()
        return schema
