"""Imports between an app's own files."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import Final, Literal, get_args

from runstead.kernel.errors import UnprocessableError
from runstead.platform.execution.script import is_function_name

#: Names under which the main source may stand; the first that is there is taken.
MainName = Literal[
    "app.js", "app.ts", "app.tsx", "app.jsx", "app.mjs",
    "main.js", "main.ts", "main.tsx", "main.jsx", "main.mjs",
    "index.js", "index.ts", "index.tsx", "index.jsx", "index.mjs",
]  # fmt: skip
MAIN_NAMES: Final[tuple[str, ...]] = get_args(MainName)
_ENDINGS: Final = (".js", ".ts", ".tsx", ".jsx", ".mjs", ".json")
_IMPORT: Final = re.compile(
    r"""^(?P<head>\s*(?:import\b(?!\s*\()|export\b)(?:[^'"`;]*?\bfrom)?\s*)(?P<quote>["'])(?P<name>[^"'\n]+)(?P=quote)""",
    re.MULTILINE,
)
_STATEMENT: Final = re.compile(r"^\s*(?:import\b(?!\s*[(.])|export\b)", re.MULTILINE)
#: Names that may be functions of the module: in a script they would be global, which handlers have to be. Of what is not, the
#: guard in front of each says so.
_NAMED: Final = re.compile(r"\b(?:function\s*\*?\s*|(?:const|let|var)\s+)([A-Za-z_$][\w$]*)")
_JSX_RUNTIME: Final = (
    "export const { h, Fragment } = globalThis; export const createElement = h;"
    " export const jsx = (type, props) => h(type, props);"
    " export const jsxs = jsx, jsxDEV = jsx; export default { h, Fragment, createElement };"
)
#: What can be imported beside own files.
BUILT_IN: Final[Mapping[str, str]] = dict.fromkeys(
    ("react", "preact", "react/jsx-runtime", "react/jsx-dev-runtime", "preact/jsx-runtime"), _JSX_RUNTIME
)


def is_module(source: str) -> bool:
    """Whether a source imports or exports."""
    return _STATEMENT.search(source) is not None


def imports_of(source: str) -> list[str]:
    """What it imports, as it stands there."""
    return [found["name"] for found in _IMPORT.finditer(source)]


def resolved(name: str, importer: str, files: Mapping[str, object]) -> str:
    """The file, or the built-in module, that an import means.

    :raises UnprocessableError: there is none.
    """
    if name in BUILT_IN:
        return name
    path = (
        posixpath.normpath(posixpath.join(posixpath.dirname(importer), name))
        if name.startswith(".")
        else name.lstrip("/")
    )
    stem, ending = posixpath.splitext(path)
    # TypeScript has it that ./util.js means util.ts; and some leave the ending out.
    candidates = [path, *(path + one for one in _ENDINGS), *(f"{path}/index{one}" for one in _ENDINGS)]
    if ending in (".js", ".jsx", ".mjs"):
        candidates += [stem + one for one in (".ts", ".tsx")]
    for candidate in candidates:
        if candidate in files:
            return candidate
    raise UnprocessableError(
        f"{importer} imports {name[:128]!r}, which is no file of the app; it has: {', '.join(sorted(files)[:20]) or 'none'}"
    )


def linked(source: str, importer: str, files: Mapping[str, object]) -> str:
    """The source with each import naming its module as the engine knows it. No line moves."""
    return _IMPORT.sub(
        lambda found: (
            f"{found['head']}{found['quote']}{resolved(found['name'], importer, files)}{found['quote']}"
        ),
        source,
    )


def with_globals(source: str) -> str:
    """A main module whose functions are global besides, so that handlers are found by name."""
    names = filter(is_function_name, dict.fromkeys(_NAMED.findall(source)))
    shared = " ".join(f"if (typeof {name} === 'function') globalThis.{name} ??= {name};" for name in names)
    return f"{source}\n;{shared}"
