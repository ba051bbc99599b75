"""Exact schemas of Structs.

Litestar knows neither that a Struct refuses unknown fields nor the constraints of what is inside a list. msgspec, which does the
validating, describes its types exactly; so its schemas replace Litestar's of the same name.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from litestar.openapi.spec import Schema
from litestar.plugins import OpenAPISchemaPlugin
from litestar.typing import FieldDefinition

_REFERENCES: Final = "#/components/schemas/{name}"


class StructSchemas(OpenAPISchemaPlugin):
    """Notes the Structs that Litestar describes."""

    def __init__(self) -> None:
        self._structs: list[Any] = []

    def is_plugin_supported_field(self, field_definition: FieldDefinition) -> bool:
        return not field_definition.is_union and field_definition.is_subclass_of(msgspec.Struct)

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: Any) -> Schema:
        self._structs.append(field_definition.annotation)
        litestars = next(
            plugin
            for plugin in schema_creator.plugins
            if plugin is not self and schema_creator.plugin_supports_field(plugin, field_definition)
        )
        schema: Schema = litestars.to_openapi_schema(field_definition, schema_creator)
        return schema

    def refine(self, schemas: dict[str, Any]) -> None:
        """Replace the components by msgspec's. One that holds a type without a schema stays as Litestar made it."""
        for struct in self._structs:
            try:
                _, components = msgspec.json.schema_components([struct], ref_template=_REFERENCES)
            except TypeError:
                continue
            name = struct.__name__ if hasattr(struct, "__name__") else ""
            if name in schemas and name in components:
                schemas.update(components)
