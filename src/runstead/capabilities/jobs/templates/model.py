"""What a template is."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from runstead.capabilities.jobs.command import COMMAND_CHARS_MAX, COMMAND_PATTERN
from runstead.capabilities.jobs.model import RETRY_SECONDS, RETRY_SECONDS_MAX
from runstead.kernel.errors import ConflictError, NotFoundError
from runstead.kernel.limits import MIB

#: Characters of a text that a parameter takes when it does not say.
TEXT_CHARS_MAX: Final = 4096
#: Bytes of a file that is handed to a job.
FILE_BYTES_MAX: Final = 8 * MIB
TEMPLATES_MAX: Final = 1000
PARAMETERS_MAX: Final = 50

Name = Annotated[str, Meta(pattern="^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$")]
ParameterName = Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{0,63}$")]
Variable = Annotated[str, Meta(pattern="^[A-Za-z_][A-Za-z0-9_]*$", max_length=128)]


class TemplateNotFoundError(NotFoundError):
    """There is no such template."""


class TemplateExistsError(ConflictError):
    """There is a template of that name, or there are as many as there may be."""


class TemplateError(ConflictError):
    """The parts of a template do not fit each other, or what it is given does not fit the template."""

    code = "E_TEMPLATE"


class Parameter(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One thing that whoever runs a template chooses."""

    name: ParameterName
    type: Literal["string", "integer", "number", "boolean", "enum", "secret", "file"] = "string"
    description: Annotated[str, Meta(max_length=1000)] = ""
    #: Without a default it has to be given, unless it is optional: then the words that name it are left out.
    optional: bool = False
    default: str | int | float | bool | None = None
    #: Of an enum.
    values: Annotated[tuple[Annotated[str, Meta(max_length=1000)], ...], Meta(max_length=200)] = ()
    #: Of a string: a regular expression that the whole text has to match.
    pattern: Annotated[str, Meta(max_length=1000)] | None = None
    max_length: Annotated[int, Meta(ge=1, le=32_768)] | None = None
    #: Of a number.
    minimum: float | None = None
    maximum: float | None = None
    #: Of a boolean: the word that stands for true; default: ``--name``.
    flag: Annotated[str, Meta(max_length=200)] | None = None
    #: The variable that it comes in, beside or instead of the command. A secret comes in no other way.
    env: Variable | None = None
    #: Of a file.
    max_bytes: Annotated[int, Meta(ge=1, le=FILE_BYTES_MAX)] | None = None


class Definition(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A command with places: ``{name}`` in a word of it stands for a parameter. A word stays one word, whatever is put in."""

    command: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=COMMAND_CHARS_MAX,
            description="Split by shell rules; {name} is a place.",
            extra_json_schema={"pattern": COMMAND_PATTERN},
        ),
    ]
    description: Annotated[str, Meta(max_length=4000)] = ""
    parameters: Annotated[tuple[Parameter, ...], Meta(max_length=PARAMETERS_MAX)] = ()
    timeout: Annotated[float, Meta(gt=0, le=30 * 86_400)] | None = None
    env: Annotated[
        dict[Variable, Annotated[str, Meta(pattern=r"^[^\x00]*$", max_length=32_768)]], Meta(max_length=100)
    ] = {}
    working_dir: Annotated[str, Meta(max_length=4096)] | None = None
    labels: Annotated[
        dict[Annotated[str, Meta(min_length=1, max_length=64)], Annotated[str, Meta(max_length=256)]],
        Meta(max_length=20),
    ] = {}
    retries: Annotated[int, Meta(ge=0, le=100)] = 0
    retry_seconds: Annotated[float, Meta(ge=0, le=RETRY_SECONDS_MAX)] = RETRY_SECONDS
    priority: Annotated[int, Meta(ge=-100, le=100)] = 0


class Template(Struct, frozen=True, kw_only=True):
    """A definition with its name and its owner."""

    name: str
    definition: Definition
    owner: str
    #: Whose secrets its environment names: those of whoever wrote the definition last, who need not own it.
    secrets_of: str
    created_at: datetime
    updated_at: datetime


def schema_of(definition: Definition) -> dict[str, Any]:
    """The JSON Schema of what has to be given: for forms, and for the check."""
    properties = {one.name: _property(one) for one in definition.parameters}
    required = [one.name for one in definition.parameters if not one.optional and one.default is None]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _property(one: Parameter) -> dict[str, Any]:
    told: dict[str, Any] = {"description": one.description} if one.description else {}
    if one.default is not None:
        told["default"] = one.default
    if one.type == "enum":
        return {**told, "enum": list(one.values)}
    if one.type == "file":
        content = {"type": "string", "contentEncoding": "base64"}
        parts = {"filename": {"type": "string", "minLength": 1, "maxLength": 200}, "content": content}
        return {
            **told,
            "type": "object",
            "properties": parts,
            "required": ["filename", "content"],
            "additionalProperties": False,
        }
    if one.type in ("string", "secret"):
        told |= {"type": "string", "maxLength": one.max_length or TEXT_CHARS_MAX}
        return {**told, "pattern": f"^(?:{one.pattern})$"} if one.pattern is not None else told
    bounds = {"minimum": one.minimum, "maximum": one.maximum}
    return {**told, "type": one.type, **{name: bound for name, bound in bounds.items() if bound is not None}}
