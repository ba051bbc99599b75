"""The API description: what the router knows, merged with what the dispatchers serve at this moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from runstead.kernel.capability import Dispatcher
from runstead.platform.http.info import ServerInfo
from runstead.platform.http.openapi_schemas import StructSchemas, parameter_schema
from runstead.platform.http.sse import EventStream
from runstead.platform.http.streaming import ByteStream
from runstead.platform.identity import ADMINISTRATOR, OPERATOR, PUBLIC, allow

_METHODS: Final = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace"})

_ERROR: Final[dict[str, Any]] = {
    "type": "object",
    "title": "Error",
    "description": "The one shape of every error.",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {
                "code": {
                    "type": "string",
                    "description": "Stable; what a program may decide on.",
                    "examples": ["E_NOT_FOUND"],
                },
                "message": {"type": "string", "description": "For people."},
                "details": {"description": "What exactly, where there is more to say."},
                "request_id": {
                    "type": "string",
                    "description": "The same as X-Request-ID; it finds the lines in the log.",
                },
            },
        }
    },
}

#: The schema of a stream of events is that of one event.
_SSE_EVENT: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "data": {"type": "string"},
        "event": {"type": "string"},
        "id": {"type": "string"},
        "retry": {"type": "integer", "description": "Milliseconds to wait before connecting again."},
    },
}

#: Name in the components → what went wrong.
_RESPONSES: Final[Mapping[str, str]] = {
    "BadRequest": "The request is not what this operation takes.",
    "Unauthorized": "A valid credential is needed.",
    "Forbidden": "The credential does not allow this.",
    "NotFound": "There is no such thing.",
    "TooLarge": "The body is larger than this operation takes.",
    "Error": "Anything else that went wrong.",
}

_SECURITY_SCHEMES: Final[dict[str, Any]] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A person's API token, the machine administrator's, or MASTER_PASSWORD where an operator is enough.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "runstead",
        "description": "The session of somebody who is signed in; `__Host-runstead` over TLS.",
    },
    "adminToken": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Admin-Token",
        "description": "The administrator's token.",
    },
    "masterPassword": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Master-Password",
        "description": "MASTER_PASSWORD.",
    },
}


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
        components = dict(self._routed["components"])
        for dispatcher in self._dispatchers:
            for path, operations in dispatcher.openapi_paths().items():
                paths[path] = {**paths.get(path, {}), **_with_default(operations)}
            # Not every dispatcher has shapes of its own to refer to. What all share is said here.
            own: Mapping[str, Any] = getattr(dispatcher, "openapi_components", dict)()
            for kind, entries in own.items():
                components[kind] = {**entries, **components.get(kind, {})}
        return msgspec.json.encode({**self._routed, "paths": paths, "components": components})

    def _describe_router(self) -> dict[str, Any]:
        # A router of its own, so that the serving one neither has Litestar's pages nor pays for the description.
        from litestar import Litestar
        from litestar.openapi import OpenAPIConfig
        from litestar.openapi.plugins import JsonRenderPlugin

        config = OpenAPIConfig(
            title=self._info.name,
            version=self._info.version,
            use_handler_docstrings=True,
            render_plugins=[JsonRenderPlugin()],
        )
        structs = StructSchemas()
        router = Litestar(list(self.handlers), openapi_config=config, logging_config=None, plugins=[structs])
        schema: dict[str, Any] = router.openapi_schema.to_schema()
        handlers = dict(_handlers_of(router))
        for path, method, operation in _operations(schema["paths"]):
            _complete(operation, handlers.get((path, method)), has_path_parameters="{" in path)
        components = schema.setdefault("components", {})
        schemas = components.setdefault("schemas", {})
        structs.refine(schemas)
        schemas["Error"] = _ERROR
        components["responses"] = {name: _response(text) for name, text in _RESPONSES.items()}
        components["securitySchemes"] = _SECURITY_SCHEMES
        schema["info"]["description"] = "Every answer carries X-Request-ID; every error has the same shape."
        schema["info"]["license"] = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
        return schema


def _response(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/responses/{name}"}


def _operations(paths: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in paths.items():
        for method, operation in item.items():
            if method in _METHODS:
                yield path, method, operation


def _handlers_of(router: Any) -> Iterator[tuple[tuple[str, str], Any]]:
    for route in router.routes:
        for method, (handler, _model) in getattr(route, "route_handler_map", {}).items():
            yield (route.path_format, method.lower()), handler


def _complete(operation: dict[str, Any], handler: Any, *, has_path_parameters: bool) -> None:
    """Say which errors there are, in our shape, and which credential is needed."""
    responses = operation["responses"]
    if handler is not None:
        _describe_stream(responses, handler)
        _describe_parameters(operation, handler)
    for status in [status for status, response in responses.items() if _is_litestar_error(response)]:
        responses[status] = _reference("BadRequest") if status == "400" else _reference("Error")
    if "requestBody" in operation:
        responses.setdefault("413", _reference("TooLarge"))
    if "requestBody" in operation or operation.get("parameters"):
        responses.setdefault("400", _reference("BadRequest"))
    if has_path_parameters:
        responses.setdefault("404", _reference("NotFound"))
    actions = (
        [guard.action for guard in handler.resolve_guards() if hasattr(guard, "action")] if handler else []
    )
    if actions:
        operation["x-runstead-actions"] = actions
    if not PUBLIC.issuperset(actions):
        responses.setdefault("401", _reference("Unauthorized"))
        responses.setdefault("403", _reference("Forbidden"))
        schemes = ["bearer", "session"]
        for scheme, actor in (("adminToken", ADMINISTRATOR), ("masterPassword", OPERATOR)):
            if all(allow(actor, action).allowed for action in actions):
                schemes.append(scheme)
        operation.setdefault("security", [{scheme: []} for scheme in schemes])
    responses.setdefault("default", _reference("Error"))


def _describe_stream(responses: dict[str, Any], handler: Any) -> None:
    """Litestar takes every answer for JSON unless the handler says otherwise; a stream knows better."""
    annotation = handler.parsed_fn_signature.return_type.annotation
    if not (isinstance(annotation, type) and issubclass(annotation, ByteStream)):
        return
    types = handler.opt.get("content_types", ("application/octet-stream",))
    content: dict[str, Any] = {each: {"schema": {"type": "string"}} for each in types}
    if issubclass(annotation, EventStream):
        content = {"text/event-stream": {"schema": _SSE_EVENT}}
    for status, response in responses.items():
        # An error is no stream.
        if status.startswith("2") and list(response.get("content", ())) == ["application/json"]:
            response["content"] = content


def _describe_parameters(operation: dict[str, Any], handler: Any) -> None:
    fields = {}
    for name, field in handler.parsed_fn_signature.parameters.items():
        given = field.kwarg_definition
        alias = next(
            (each for key in ("name", "query", "header") if (each := getattr(given, key, None))), name
        )
        fields[alias.lower()] = field
    for parameter in operation.get("parameters", ()):
        field = fields.get(parameter["name"].lower())
        if field is not None:
            parameter["schema"] = parameter_schema(field, parameter.get("schema", {}))
        if parameter["in"] == "path" and parameter["schema"].get("format") == "uri":
            # Litestar calls the rest of a path a URI, which it is not.
            parameter["schema"] = {"type": "string", "minLength": 1}


def _is_litestar_error(response: Mapping[str, Any]) -> bool:
    for content in response.get("content", {}).values():
        if {"status_code", "detail"} <= set(content.get("schema", {}).get("properties", {})):
            return True
    return False


def _with_default(operations: Mapping[str, Any]) -> dict[str, Any]:
    """A dispatcher's operations, with the shape of errors where it says nothing of its own."""
    completed = dict(operations)
    for method, operation in operations.items():
        if method in _METHODS:
            responses = {**operation.get("responses", {})}
            responses.setdefault("default", _reference("Error"))
            completed[method] = {**operation, "responses": responses}
    return completed
