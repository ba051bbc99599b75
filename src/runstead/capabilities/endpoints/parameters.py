"""The JSON Schema that an endpoint may declare for its parameters, enforced before a program is started."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from runstead.capabilities.endpoints.request import refuse
from runstead.platform.http.jsonschemas import DeclaredSchema

_WORDS: Final = {"true": True, "false": False}


class ParametersSchema(DeclaredSchema):
    """The schema of ``params``."""

    def read(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters, where texts of a query or a path have become what the schema says they are.

        :raises BadRequestError: they do not fit; the details name each place.
        """
        read = {name: self._read(name, value) for name, value in params.items()}
        if problems := self.problems(read, "params"):
            refusal = refuse(problems[0]["field"], problems[0]["message"])
            refusal.details = {"field": problems[0]["field"], "problems": problems}
            raise refusal
        return read

    def _read(self, name: str, value: Any) -> Any:
        """A number or a truth that came as text, because a query and a path hold nothing else."""
        properties = self.schema.get("properties")
        declared = properties.get(name) if isinstance(properties, dict) else None
        kind = declared.get("type") if isinstance(declared, dict) else None
        if kind == "array" and isinstance(value, str):
            return [value]
        if not isinstance(value, str):
            return value
        try:
            if kind == "integer":
                return int(value)
            if kind == "number":
                return float(value)
        except ValueError:
            return value
        return _WORDS.get(value, value) if kind == "boolean" else value
