"""Markdown and Handlebars, as an engine: what makes long work of short text is stopped like any script."""

from __future__ import annotations

import json

from dotpromptz_handlebars import Handlebars
from markdown_it import MarkdownIt

from .engines import EngineError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Characters of a result.
RESULT_CHARS_MAX = 4 * 1024 * 1024
#: HTML in the source is text: what an app's users write ends in pages.
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


def _markdown(argument: dict[str, Any]) -> str:
    return str(_MARKDOWN.render(argument["text"]))


def _handlebars(argument: dict[str, Any]) -> str:
    return str(Handlebars().compile(argument["template"])(json.loads(argument["data"])))


_CONVERSIONS = {"markdown": _markdown, "handlebars": _handlebars}


class Conversion:
    """One conversion; there is nothing to load."""

    def load(self, source: str, modules: Any, seconds: float) -> None:
        return None

    def call(self, function: str, argument: Any, seconds: float) -> Any:
        try:
            result = _CONVERSIONS[function](argument)
        except MemoryError:
            raise EngineError("memory", "MemoryError", "out of memory") from None
        except RecursionError:
            raise EngineError("error", "RecursionError", "too deep") from None
        except Exception as error:  # noqa: BLE001 - whatever a library has to say of what it was given
            raise EngineError("error", type(error).__name__, str(error)[:500]) from None
        if len(result) > RESULT_CHARS_MAX:
            raise EngineError(
                "error", "RangeError", f"the result has more than {RESULT_CHARS_MAX} characters"
            )
        return result

    def settle(self, results: Any, seconds: float) -> Any:
        raise EngineError("error", "Error", "a conversion waits for nothing")

    def dispose(self) -> None:
        return None


class Converter:
    """Makes conversions."""

    def check(self, source: str, modules: Any) -> None:
        return None

    def create(self, **_options: Any) -> Conversion:
        return Conversion()

    def prepare(self, **_options: Any) -> None:
        return None


ENGINE = Converter
# Their tables are made at the first use, which may not open files any more.
_markdown({"text": "# *a* | `b`\n\n|a|\n|-|\n|[c](d)|\n"})
_handlebars({"template": "{{#each a}}{{b}}{{/each}}", "data": "{}"})
