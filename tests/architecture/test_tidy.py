"""House rules that no linter knows. Each message says what to do instead."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.sources import ROOT, place, python_files, repository_files, tree_of

CODE = ("src", "benchmarks", "scripts", "examples")

LINES_MAX = 400
#: Tests are tables and are read from the top.
TEST_LINES_MAX = 800
FUNCTION_LINES_MAX = 60

#: What was longer when the rule came. A number may only go down; take the line out when the file fits.
LONGER_FILES: dict[str, int] = {}
LONGER_FUNCTIONS: dict[str, int] = {}

# Put together, so that this file does not offend against itself.
_LEFTOVER = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" * 3, "HA" + "CK"]) + r")\b")
_UNFINISHED = "NotImplemented" + "Error"
_PLACES = re.compile(r"/work/|/root/(?!\.cache)|/home/[a-z]|/opt/wheels|/tmp/bash_jobs")
_REGISTRIES = re.compile(
    r"pypi\.org|pythonhosted\.org|registry\.npmjs|crates\.io|proxy\.golang|\bindex-url\b|--index\b|find-links"
)
_REASON = re.compile(r"noqa: BLE001\s*(-|#)\s*\w+")


def report(offences: Iterator[str]) -> None:
    found = list(offences)
    assert not found, "\n" + "\n".join(found)


def test_files_are_short() -> None:
    def offences() -> Iterator[str]:
        for path in python_files(*CODE, "tests"):
            name = path.relative_to(ROOT).as_posix()
            limit = TEST_LINES_MAX if name.startswith("tests/") else LINES_MAX
            lines = len(path.read_text(encoding="utf-8").splitlines())
            allowed = LONGER_FILES.get(name, limit)
            if lines > allowed:
                yield f"{name}: {lines} lines, at most {allowed}; split it by noun or use case"
            elif name in LONGER_FILES and lines <= limit:
                yield f"{name}: fits now; take it out of LONGER_FILES"

    report(offences())


Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions_of(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, Function]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield prefix + child.name, child
        inner = f"{prefix}{child.name}." if isinstance(child, Function | ast.ClassDef) else prefix
        yield from functions_of(child, inner)


def lines_of(function: Function) -> int:
    """Without the functions inside, which count for themselves: a factory of handlers is a list, not a long function."""
    spans = {
        line
        for _, inner in functions_of(function)
        for line in range(
            min([inner.lineno, *(each.lineno for each in inner.decorator_list)]),
            (inner.end_lineno or inner.lineno) + 1,
        )
    }
    return (function.end_lineno or function.lineno) - function.lineno + 1 - len(spans)


def test_functions_are_short() -> None:
    def offences() -> Iterator[str]:
        for path in python_files(*CODE, "tests"):
            file = path.relative_to(ROOT).as_posix()
            for name, function in functions_of(tree_of(path)):
                allowed = LONGER_FUNCTIONS.get(f"{file}:{name}", FUNCTION_LINES_MAX)
                lines = lines_of(function)
                if lines > allowed:
                    yield f"{place(path, function.lineno)}: {name} has {lines} lines, at most {allowed}; give a part of it a name"

    report(offences())


def test_what_was_longer_is_still_there() -> None:
    known = {path.relative_to(ROOT).as_posix() for path in python_files(*CODE, "tests")}
    gone = [
        name
        for name in [*LONGER_FILES, *(key.partition(":")[0] for key in LONGER_FUNCTIONS)]
        if name not in known
    ]
    assert not gone, f"take them out of the lists above: {gone}"


def test_nothing_is_left_for_later() -> None:
    def offences() -> Iterator[str]:
        for path in python_files(*CODE, "tests"):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                if found := _LEFTOVER.search(line):
                    yield f"{place(path, number)}: {found[0]}; do it now, or open an issue and say nothing here"
                if _UNFINISHED in line:
                    yield f"{place(path, number)}: {_UNFINISHED}; write a Protocol with `...`, or do it now"

    report(offences())


def is_command_line(path: Path) -> bool:
    parts = path.relative_to(ROOT / "src" / "runstead").parts
    return parts[:2] == ("platform", "cli") or parts[-1] == "cli.py" or parts == ("serve.py",)


def test_only_the_command_line_prints() -> None:
    def offences() -> Iterator[str]:
        for path in python_files("src"):
            for node in ast.walk(tree_of(path)):
                is_print = (
                    isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
                )
                if isinstance(node, ast.Call) and is_print and not is_command_line(path):
                    yield f"{place(path, node.lineno)}: print; use structlog, or platform.cli.Output in a command"

    report(offences())


def is_broad(handler: ast.ExceptHandler) -> bool:
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(
        each is None or (isinstance(each, ast.Name) and each.id in ("Exception", "BaseException"))
        for each in caught
    )


def is_passed_on(handler: ast.ExceptHandler) -> bool:
    """Raised again, or logged with its traceback."""
    for node in ast.walk(handler):
        if isinstance(node, ast.Raise):
            return True
        if isinstance(node, ast.Call):
            logged = isinstance(node.func, ast.Attribute) and node.func.attr == "exception"
            if logged or any(keyword.arg == "exc_info" for keyword in node.keywords):
                return True
    return False


def test_no_error_is_swallowed_without_a_reason() -> None:
    def offences() -> Iterator[str]:
        for path in python_files("src", "scripts"):
            lines = path.read_text(encoding="utf-8").splitlines()
            for node in ast.walk(tree_of(path)):
                if not isinstance(node, ast.ExceptHandler) or not is_broad(node):
                    continue
                if not is_passed_on(node) and not _REASON.search(lines[node.lineno - 1]):
                    yield (
                        f"{place(path, node.lineno)}: catches everything; name the exceptions, raise again, "
                        "or say why: `# noqa: BLE001 - the reason`"
                    )

    report(offences())


def text_files() -> Iterator[tuple[Path, str]]:
    for path in repository_files():
        if path == Path(__file__):
            continue
        try:
            yield path, path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def test_nothing_refers_to_one_machine_or_to_a_registry() -> None:
    def offences() -> Iterator[str]:
        for path, text in text_files():
            for number, line in enumerate(text.splitlines(), 1):
                if found := _PLACES.search(line):
                    yield f"{place(path, number)}: {found[0]}; use a path relative to the file, or tmp_path in tests"
                if found := _REGISTRIES.search(line):
                    yield f"{place(path, number)}: {found[0]}; leave the registry to the machine's own configuration"

    report(offences())
