"""JSON Schemas (draft 2020-12 unless they say otherwise) that users declare, and what does not fit them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final

#: Problems that one refusal names.
PROBLEMS_MAX: Final = 10


class DeclaredSchema:
    """A schema. References lead nowhere outside of it; patterns are matched in linear time."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.schema = dict(schema)

    def problem(self) -> str | None:
        """What is wrong with the schema itself."""
        try:
            _ = self._validator
        except Exception as error:  # noqa: BLE001 - whatever the library has to say of it
            return str(error).split("\n", 1)[0]
        return None

    def problems(self, value: Any, place: str) -> list[dict[str, str]]:
        """What does not fit, as ``{field, message}``; at most :data:`PROBLEMS_MAX`.

        :param place: what the value is called.
        """
        found: list[dict[str, str]] = []
        for error in self._validator.iter_errors(value):
            found.append(
                {"field": ".".join([place, *map(str, error.instance_path)]), "message": error.message}
            )
            if len(found) == PROBLEMS_MAX:
                break
        return found

    @cached_property
    def _validator(self) -> Any:
        # Here, for most servers declare none.
        import jsonschema_rs

        linear = jsonschema_rs.RegexOptions()
        return jsonschema_rs.validator_for(self.schema, retriever=_nowhere, pattern_options=linear)


def _nowhere(uri: str) -> Any:
    raise ValueError(f"{uri} is not part of the schema")
