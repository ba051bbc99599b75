"""Exact schemas of Structs and of parameters.

Litestar knows neither that a Struct refuses unknown fields, nor the constraints of what is inside a list, nor those of
a parameter that may be left out. msgspec, which does the validating, describes its types exactly; so its schemas replace
Litestar's.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, get_args, get_origin

import msgspec
from litestar.openapi.spec import Schema
from litestar.plugins import OpenAPISchemaPlugin
from litestar.typing import FieldDefinition

_REFERENCES: Final = "#/components/schemas/{name}"

#: What Litestar says of a parameter beside its type.
_ANNOTATIONS: Final = frozenset({"title", "description", "default", "examples", "format"})

#: How Litestar and msgspec call a constraint, and how JSON Schema does.
_CONSTRAINTS: Final = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
    "min_length": "minLength",
    "max_length": "maxLength",
    "min_items": "minItems",
    "max_items": "maxItems",
    "pattern": "pattern",
}


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


def parameter_schema(field: FieldDefinition, litestars: dict[str, Any]) -> dict[str, Any]:
    """The schema of a query, header or path parameter. One that may be None takes the text ``null`` for it."""
    base, *metadata = get_args(field.raw) if get_origin(field.raw) is Annotated else (field.annotation,)
    try:
        exact = msgspec.json.schema(base)
    except TypeError:
        return litestars
    if "$ref" in exact or "$defs" in exact:
        return litestars
    null = {"type": "null"}
    branches = [branch for branch in exact.get("anyOf", [exact]) if branch != null]
    for source in (field.kwarg_definition, *(each for each in metadata if isinstance(each, msgspec.Meta))):
        for name, keyword in _CONSTRAINTS.items():
            value = getattr(source, name, None)
            if value is not None:
                for branch in branches:
                    branch[keyword] = value
    return {**{key: value for key, value in litestars.items() if key in _ANNOTATIONS}, **exact}
