#!/usr/bin/env python3
"""Which requirement is shown by which test: docs/requirements.md joined with the ``req`` markers of the tests.

The tests are read, not run, so that this takes a second. What a marker promises is kept by the test run itself.
Exit code: 0; 1 when a marker names an id that the document does not have, or the document has an id twice.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

_ROW = re.compile(r"^\| ([A-Z]+-\d{3}) \| (.+?) \|$", re.MULTILINE)


@dataclass
class Requirement:
    """A line of the document."""

    id: str
    statement: str
    #: As pytest names them: ``tests/unit/test_x.py::TestY::test_z``.
    tests: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Marker:
    """``@pytest.mark.req(id)`` somewhere."""

    id: str
    #: The test, class or module that carries it.
    bearer: str
    place: str


def read_document(path: Path) -> tuple[dict[str, Requirement], list[str]]:
    """The requirements in the order of the document, and the ids that stand in it more than once."""
    rows = _ROW.findall(path.read_text(encoding="utf-8"))
    twice = [name for name, count in Counter(name for name, _ in rows).items() if count > 1]
    return {name: Requirement(name, statement) for name, statement in rows}, twice


def read_markers(tests: Path) -> Iterator[Marker]:
    """Every marker below a folder."""
    for path in sorted(tests.rglob("*.py")):
        name = path.relative_to(tests.parent).as_posix()
        yield from _markers_of(ast.parse(path.read_text(encoding="utf-8"), name), name, name)


def _markers_of(node: ast.AST, bearer: str, file: str) -> Iterator[Marker]:
    for child in ast.iter_child_nodes(node):
        inner = bearer
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inner = f"{bearer}::{child.name}"
        if isinstance(child, ast.Call) and _is_req(child.func):
            for argument in child.args:
                text = argument.value if isinstance(argument, ast.Constant) else ast.unparse(argument)
                yield Marker(str(text), bearer, f"{file}:{child.lineno}")
        yield from _markers_of(child, inner, file)


def _is_req(function: ast.expr) -> bool:
    return (
        isinstance(function, ast.Attribute)
        and function.attr == "req"
        and isinstance(function.value, ast.Attribute)
        and function.value.attr == "mark"
    )


def join(requirements: dict[str, Requirement], markers: Iterator[Marker]) -> list[Marker]:
    """Give each requirement its tests; what is left has an id that is in no document."""
    unknown = []
    for marker in markers:
        requirement = requirements.get(marker.id)
        if requirement is None:
            unknown.append(marker)
        elif marker.bearer not in requirement.tests:
            requirement.tests.append(marker.bearer)
    return unknown


def print_table(requirements: list[Requirement], *, tests_max: int) -> None:
    """For people: an area at a time, then the totals."""
    areas: dict[str, list[Requirement]] = {}
    for requirement in requirements:
        areas.setdefault(requirement.id.rpartition("-")[0], []).append(requirement)
    for area in areas.values():
        for requirement in area:
            status = "shown  " if requirement.tests else "not yet"
            print(f"{requirement.id:<11}  {status}  {requirement.statement}")
            for test in requirement.tests[:tests_max]:
                print(f"{'':<22}- {test}")
            if len(requirement.tests) > tests_max:
                print(f"{'':<22}- and {len(requirement.tests) - tests_max} more")
    print()
    for name, area in areas.items():
        print(f"{name:<11}  {sum(bool(one.tests) for one in area):3} of {len(area):3} shown")
    print(f"{'all':<11}  {sum(bool(one.tests) for one in requirements):3} of {len(requirements):3} shown")


def print_json(requirements: list[Requirement]) -> None:
    """For programs."""
    rows = [
        {
            "id": requirement.id,
            "statement": requirement.statement,
            "status": "shown" if requirement.tests else "not yet",
            "tests": requirement.tests,
        }
        for requirement in requirements
    ]
    shown = sum(bool(requirement.tests) for requirement in requirements)
    print(
        json.dumps({"requirements": rows, "shown": shown, "total": len(rows)}, indent=2, ensure_ascii=False)
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="Which requirement is shown by which test.")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--all-tests", action="store_true", help="name every test, not only the first three")
    parser.add_argument("--document", type=Path, default=ROOT / "docs" / "requirements.md")
    parser.add_argument("--tests", type=Path, default=ROOT / "tests")
    arguments = parser.parse_args()

    requirements, twice = read_document(arguments.document)
    unknown = join(requirements, read_markers(arguments.tests))
    if arguments.json:
        print_json(list(requirements.values()))
    else:
        print_table(list(requirements.values()), tests_max=sys.maxsize if arguments.all_tests else 3)
    for name in twice:
        print(f"{arguments.document}: {name} stands there more than once", file=sys.stderr)
    for marker in unknown:
        print(f"{marker.place}: {marker.id} is not in {arguments.document.name}", file=sys.stderr)
    return 1 if twice or unknown else 0


if __name__ == "__main__":
    sys.exit(main())
