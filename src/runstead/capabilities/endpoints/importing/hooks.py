"""From the hooks of adnanh/webhook (its docs: Hook-Definition.md, Hook-Rules.md) to declarations of endpoints.

What protects a hook and cannot be carried over is never dropped in silence: such a hook comes over disabled.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

#: Where the programs are written, beside the configuration.
FOLDER: Final = "imported"
#: webhook has no time limit.
TIMEOUT_MS: Final = 3_600_000
_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_SOURCES: Final = ("payload", "url", "query", "string", "entire-payload")
#: Fields that the program takes care of, and those that become part of the declaration.
_KEPT: Final = frozenset(
    {
        "execute-command", "pass-arguments-to-command", "pass-environment-to-command", "pass-file-to-command",
        "parse-parameters-as-json", "trigger-rule", "response-message", "include-command-output-in-response",
    }
)  # fmt: skip
_DECLARED: Final = frozenset({"id", "command-working-directory", "http-methods"})
_LIST: Final = "pass-arguments-to-command", "pass-environment-to-command", "pass-file-to-command"


@dataclass(slots=True)
class CarriedHook:
    """One hook, and what became of it."""

    id: str
    #: The declarations, as TOML, and the program: its path beside the configuration, and its text.
    declaration: str = ""
    program: tuple[str, str] | None = None
    #: Why it does not run as it is.
    lost: list[str] = field(default_factory=list)
    #: What is different.
    notes: list[str] = field(default_factory=list)
    #: There is one of this name already.
    present: bool = False

    @property
    def outcome(self) -> str:
        """``carried``, ``disabled`` (carried, but not to be run before somebody has looked), ``refused``, or ``present``."""
        if self.present:
            return "present"
        return "refused" if not self.declaration else "disabled" if self.lost else "carried"


def read_hooks(text: str) -> list[CarriedHook]:
    """Every hook of a file in JSON or YAML.

    :raises ValueError: it is no list of hooks.
    """
    # Here, for a server imports nothing.
    import yaml

    if re.search(r"\{\{.*\}\}", text):
        raise ValueError("it is a Go template; let webhook's users fill it in first (-template)")
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise ValueError("a file of hooks is a list of objects")
    return [_carry(one, number) for number, one in enumerate(found, start=1)]


def _carry(hook: Mapping[str, Any], number: int) -> CarriedHook:
    carried = CarriedHook(str(hook.get("id") or f"hook {number}"))
    command = hook.get("execute-command")
    if not hook.get("id") or not isinstance(command, str) or not command:
        carried.lost.append("it has no id, or no execute-command")
        return carried
    name = re.sub(r"[^a-z0-9_-]+", "-", carried.id.lower()).strip("-_")[:50] or f"hook-{number}"
    path = f"/hooks/{carried.id}"
    if not re.fullmatch(r"/[A-Za-z0-9._~/-]+", path):
        path = f"/hooks/{name}"
        carried.notes.append(f"its address is {path}")
    carried.lost += _what_is_lost(hook)
    carried.notes += _what_is_different(hook)
    kept = {key: value for key, value in hook.items() if key in _KEPT}
    carried.program = (f"{FOLDER}/{name}.py", _program(kept))
    methods = [str(one).upper() for one in hook.get("http-methods") or ["POST"]]
    unknown = [one for one in methods if one not in _METHODS]
    if unknown:
        carried.notes.append(f"http-methods: {', '.join(unknown)} cannot be served")
    folder = hook.get("command-working-directory") or (str(Path(command).parent) if "/" in command else "")
    carried.declaration = "\n".join(
        _declaration(
            name if number_of_method == 0 else f"{name}-{method.lower()}",
            method,
            path,
            carried.program[0],
            folder,
            enabled=not carried.lost,
        )
        for number_of_method, method in enumerate(one for one in methods if one in _METHODS)
    )
    return carried


def _what_is_lost(hook: Mapping[str, Any]) -> Iterator[str]:
    for key in (*_LIST, "parse-parameters-as-json"):
        for argument in hook.get(key) or []:
            source = argument.get("source")
            if source not in _SOURCES:
                yield f"{key}: the source {source!r} is not passed to programs"
    yield from _lost_rules(hook.get("trigger-rule") or {}, "trigger-rule")


def _lost_rules(rule: Mapping[str, Any], place: str) -> Iterator[str]:
    for key in ("and", "or"):
        for number, one in enumerate(rule.get(key) or []):
            yield from _lost_rules(one, f"{place}.{key}.{number}")
    if "not" in rule:
        yield from _lost_rules(rule["not"], f"{place}.not")
    match = rule.get("match")
    if match is None:
        return
    kind = match.get("type")
    if kind not in ("value", "regex"):
        advice = "callers send the password of the server instead, or an app checks the signature"
        yield f"{place}: the rule {kind!r} cannot be checked by a program; {advice}"
    elif (match.get("parameter") or {}).get("source") not in _SOURCES:
        yield f"{place}: the source {(match.get('parameter') or {}).get('source')!r} is not passed to programs"
    elif kind == "regex":
        try:
            re.compile(match.get("regex", ""))
        except re.error as error:
            yield f"{place}: {match.get('regex')!r} is no expression that Python knows: {error}"


def _what_is_different(hook: Mapping[str, Any]) -> Iterator[str]:
    yield 'callers send {"params": …} around what they sent before'
    if not hook.get("include-command-output-in-response"):
        yield "webhook answers before the command has ended; here callers say so: Prefer: respond-async"
    if not hook.get("http-methods"):
        yield "it is served for POST"
    for key in sorted(set(hook) - _KEPT - _DECLARED):
        yield f"{key} is left out"


def _program(kept: Mapping[str, Any]) -> str:
    source = (Path(__file__).parent / "runner.py").read_text(encoding="utf-8")
    # JSON in a string: what is in a hook never becomes code.
    return source.replace(
        "HOOK: dict[str, Any] = {}", f"HOOK: dict[str, Any] = json.loads({json.dumps(kept)!r})"
    )


def _declaration(name: str, method: str, path: str, script: str, folder: str, *, enabled: bool) -> str:
    lines = [
        "[[endpoints]]",
        f"name = {_quoted(name)}",
        f"method = {_quoted(method)}",
        f"path = {_quoted(path)}",
        f"script_path = {_quoted(script)}",
        f"timeout_ms = {TIMEOUT_MS}",
        "network = true",
    ]
    if folder:
        lines.append(f"working_dir = {_quoted(folder)}")
    if not enabled:
        lines.append("enabled = false")
    return "\n".join([*lines, ""])


def _quoted(text: str) -> str:
    """A basic string of TOML, which knows neither halves of characters nor a raw DEL."""
    whole = text.encode("utf-8", "replace").decode()
    return json.dumps(whole, ensure_ascii=False).replace("\x7f", "\\u007f")
