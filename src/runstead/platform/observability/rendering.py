"""From the fields of a log event to the line that is written."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Final

import msgspec

from runstead.kernel.limits import KIB
from runstead.platform.observability.redaction import Redactor

#: Characters of one line. Room for a long traceback; more would let one bad event push the others out of the files.
LINE_CHARS_MAX: Final = 64 * KIB

Render = Callable[[Mapping[str, Any]], str]

_COLORS: Final = {
    "trace": "2",
    "debug": "36",
    "info": "32",
    "warning": "33",
    "error": "31",
    "critical": "1;31",
}
_FIRST: Final = ("timestamp", "level", "message", "logger")


def _plain(value: Any) -> Any:
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 - a broken __str__ must not break the log
        return f"<{type(value).__name__}: {type(error).__name__} while printing>"


_encoder = msgspec.json.Encoder(enc_hook=_plain)


def render_json(event: Mapping[str, Any]) -> str:
    """One JSON object. What JSON cannot say becomes text."""
    try:
        return _encoder.encode(event).decode()
    except (TypeError, ValueError, OverflowError, RecursionError, UnicodeEncodeError):
        return _encoder.encode(_encodable(event, 0)).decode()


def _encodable(value: Any, depth: int) -> Any:
    """The slow path: odd keys, lone surrogates, cycles, huge integers."""
    if isinstance(value, Mapping) and depth < 16:
        return {_text(key): _encodable(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset) and depth < 16:
        return [_encodable(item, depth + 1) for item in value]
    if value is None or isinstance(value, bool | float):
        return value
    return _text(value)


def _text(value: Any) -> str:
    return str(_plain(value)).encode("utf-8", "backslashreplace").decode()


def console_renderer(colors: bool) -> Render:
    """Lines for people: time, level, message, then ``key=value``; a traceback follows on lines of its own."""

    def paint(code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if colors else text

    def render(event: Mapping[str, Any]) -> str:
        level = _one_line(event.get("level", ""))
        moment = _one_line(event.get("timestamp", ""))[11:23]
        parts = [
            paint("2", moment),
            paint(_COLORS.get(level, "0"), f"{level:<8}"),
            paint("1", _one_line(event.get("message", ""))),
        ]
        parts += [
            f"{paint('36', _one_line(key))}={_one_line(value)}"
            for key, value in event.items()
            if key not in _FIRST and key != "exception"
        ]
        line = " ".join(parts)
        trace = event.get("exception")
        return f"{line}\n{_printable(str(trace))}" if trace else line

    return render


def _one_line(value: Any) -> str:
    text = value if isinstance(value, str) else str(_plain(value))
    text = _printable(text).replace("\n", "\\n")
    return repr(text) if " " in text and text.startswith(("'", '"')) else text


def _printable(text: str) -> str:
    """Control characters must not reach a terminal: a log field is often written by a stranger."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in "\n\t" else repr(char)[1:-1] for char in text)


def format_exception(error: BaseException) -> str:
    """The traceback as text, the middle cut out when it is too long."""
    text = "".join(traceback.format_exception(error)).rstrip()
    return shorten(text, LINE_CHARS_MAX // 2)


def shorten(text: str, chars_max: int) -> str:
    """Cut the middle out of a text that is too long."""
    if len(text) <= chars_max:
        return text
    half = chars_max // 2
    return f"{text[:half]} … {len(text) - 2 * half} characters left out … {text[-half:]}"


class LineRenderer:
    """The event as a line without secrets.

    The line is rendered first and searched once; only when a secret is in it are the fields walked, masked and rendered
    again. So a line without secrets costs one scan, and the result of the other stays valid JSON.
    """

    def __init__(self, render: Render, redactor: Redactor) -> None:
        self._render = render
        self._redactor = redactor

    def __call__(self, event: MutableMapping[str, Any]) -> str:
        line = self._render(event)
        if len(line) > LINE_CHARS_MAX:
            # Masked before it is cut, for half a secret at the cut would not be recognised.
            event = self._redactor.scrub(event)
            line = self._render({key: _shorten_field(value) for key, value in event.items()})
        if self._redactor.matches(line):
            line = self._render(self._redactor.scrub(event))
        return line


def _shorten_field(value: Any) -> Any:
    if isinstance(value, int | float | bool) or value is None:
        return value
    text = value if isinstance(value, str) else str(_plain(value))
    return shorten(text, LINE_CHARS_MAX // 8)
