"""The JSON Schema that an endpoint may declare for its parameters, enforced before a program is started."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final

from runstead.capabilities.endpoints.request import refuse

#: Problems that one refusal names.
PROBLEMS_MAX: Final = 10
_WORDS: Final = {"true": True, "false": False}


class ParametersSchema:
    """A JSON Schema (draft 2020-12 unless it says otherwise). References lead nowhere outside of it."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.schema = dict(schema)

    def problem(self) -> str | None:
        """What is wrong with the schema itself."""
        try:
            _ = self._validator
        except Exception as error:  # noqa: BLE001 - whatever the library has to say of it
            return str(error).split("\n", 1)[0]
        return None

    def read(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters, where texts of a query or a path have become what the schema says they are.

        :raises BadRequestError: they do not fit; the details name each place.
        """
        read = {name: self._read(name, value) for name, value in params.items()}
        problems = []
        for error in self._validator.iter_errors(read):
            place = ".".join(["params", *map(str, error.instance_path)])
            problems.append({"field": place, "message": error.message})
            if len(problems) == PROBLEMS_MAX:
                break
        if problems:
            refusal = refuse(problems[0]["field"], problems[0]["message"])
            refusal.details = {"field": problems[0]["field"], "problems": problems}
            raise refusal
        return read

    @cached_property
    def _validator(self) -> Any:
        # Here, for most servers declare none.
        import jsonschema_rs

        return jsonschema_rs.validator_for(self.schema, retriever=_nowhere)

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


def _nowhere(uri: str) -> Any:
    raise ValueError(f"{uri} is not part of the schema")
