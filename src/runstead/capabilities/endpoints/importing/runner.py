#!/usr/bin/env python3
"""Runs the command of a hook that was written for adnanh/webhook. Made by `runstead import`; yours to change."""

import base64
import json
import os
import re
import subprocess
import sys
import tempfile
from typing import Any

HOOK: dict[str, Any] = {}

_NOTHING = object()


def value_of(argument: dict[str, Any], params: dict[str, Any]) -> object:
    """What an argument stands for; dots lead into objects and lists."""
    source, name = argument.get("source"), argument.get("name", "")
    if source == "string":
        return name
    if source == "entire-payload":
        return params
    found: object = params
    for part in name.split("."):
        if isinstance(found, dict) and part in found:
            found = found[part]
        elif isinstance(found, list) and part.isdigit() and int(part) < len(found):
            found = found[int(part)]
        else:
            return _NOTHING
    return found


def text_of(argument: dict[str, Any], params: dict[str, Any]) -> str:
    """As a word: objects and lists as JSON, what is missing as nothing."""
    found = value_of(argument, params)
    if found is _NOTHING or found is None:
        return ""
    if isinstance(found, bool):
        return "true" if found else "false"
    return found if isinstance(found, str) else json.dumps(found)


def fits(rule: dict[str, Any], params: dict[str, Any]) -> bool:
    """Whether the rule lets the command run.

    :raises LookupError: it asks for a value that is not there, which lets nothing run, not even where it is negated.
    """
    if "and" in rule:
        return all(fits(one, params) for one in rule["and"])
    if "or" in rule:
        return any(_fits_or_lacks(one, params) for one in rule["or"])
    if "not" in rule:
        return not fits(rule["not"], params)
    match = rule["match"]
    if value_of(match["parameter"], params) is _NOTHING:
        raise LookupError(match["parameter"].get("name"))
    text = text_of(match["parameter"], params)
    if match["type"] == "value":
        return bool(text == match["value"])
    return re.search(match["regex"], text) is not None


def _fits_or_lacks(rule: dict[str, Any], params: dict[str, Any]) -> bool:
    try:
        return fits(rule, params)
    except LookupError:
        return False


def main() -> int:
    """From JSON on stdin to JSON on stdout."""
    params = json.load(sys.stdin)["params"]
    for argument in HOOK.get("parse-parameters-as-json", []):
        if isinstance(params.get(argument["name"]), str):
            params[argument["name"]] = json.loads(params[argument["name"]])
    if "trigger-rule" in HOOK and not _fits_or_lacks(HOOK["trigger-rule"], params):
        json.dump({"warnings": ["the rules of the hook were not satisfied"]}, sys.stdout)
        return 0
    words = [text_of(argument, params) for argument in HOOK.get("pass-arguments-to-command", [])]
    env = dict(os.environ)
    for argument in HOOK.get("pass-environment-to-command", []):
        env[argument.get("envname") or f"HOOK_{argument['name']}"] = text_of(argument, params)
    with tempfile.TemporaryDirectory() as folder:
        for number, argument in enumerate(HOOK.get("pass-file-to-command", [])):
            text = text_of(argument, params).encode()
            path = os.path.join(folder, str(number))  # noqa: PTH118 - it stands alone
            with open(path, "wb") as file:  # noqa: PTH123
                file.write(base64.b64decode(text) if argument.get("base64decode") else text)
            env[argument.get("envname") or f"HOOK_{argument['name'].upper()}"] = path
        ended = subprocess.run(
            [HOOK["execute-command"], *words], env=env, stdout=subprocess.PIPE, check=False
        )
    output = ended.stdout.decode("utf-8", "replace")
    if ended.returncode:
        sys.stderr.write(output)
        return ended.returncode if ended.returncode > 0 else 128 - ended.returncode
    shown = {"message": HOOK.get("response-message", "")}
    if HOOK.get("include-command-output-in-response"):
        shown = {"output": output}
    json.dump({"results": [shown]}, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
