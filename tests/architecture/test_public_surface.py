"""What a capability shows to the outside: the names of its package, and nothing deeper."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.architecture.sources import SOURCE, module_of, place, python_files, tree_of

from runstead.catalogue import COMMANDS

CAPABILITIES = sorted(
    path.name for path in (SOURCE / "capabilities").iterdir() if (path / "__init__.py").exists()
)


def test_there_are_five() -> None:
    assert CAPABILITIES == ["apps", "endpoints", "jobs", "logs", "records"]


@pytest.mark.parametrize("name", CAPABILITIES)
def test_a_capability_lists_its_public_names_and_has_them(name: str) -> None:
    package = importlib.import_module(f"runstead.capabilities.{name}")
    listed = package.__all__
    assert len(set(listed)) == len(listed), "a name is listed twice"
    missing = [each for each in listed if not hasattr(package, each)]
    assert not missing, f"__all__ names what is not there: {missing}"
    assert {"capability", "SECTION"} <= set(listed), (
        "bootstrap needs `capability(...)` and `SECTION` from each"
    )


def _imported(path: Path) -> Iterator[tuple[str, int]]:
    """Every module that a file imports, also for types only and inside functions."""
    package = module_of(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield module, node.lineno
            yield from (
                (f"{module}.{alias.name}", node.lineno)
                for alias in node.names
                if _is_module(module, alias.name)
            )


def _is_module(package: str, name: str) -> bool:
    folder = SOURCE.parent.joinpath(*package.split("."))
    return (folder / f"{name}.py").exists() or (folder / name / "__init__.py").exists()


@pytest.mark.parametrize("name", CAPABILITIES)
def test_nobody_outside_imports_anything_deeper_than_the_package(name: str) -> None:
    package = f"runstead.capabilities.{name}"
    offences = [
        f"{place(path, line)}: imports {module}"
        for path in python_files("src")
        if not module_of(path).startswith(package)
        for module, line in _imported(path)
        if module.startswith(f"{package}.")
    ]
    assert not offences, f"import from {package}, and add what is missing to its __all__:\n" + "\n".join(
        offences
    )


def test_every_command_of_bootstrap_is_there() -> None:
    for name, (target, _) in COMMANDS.items():
        module, _, attribute = target.partition(":")
        assert hasattr(importlib.import_module(module), attribute), f"{name} → {target}"


def test_the_commands_that_talk_to_a_server_do_not_load_one() -> None:
    """Whoever types one waits for what it imports."""
    modules = sorted({target.partition(":")[0] for target, _ in COMMANDS.values() if ".cli:" in target})
    assert len(modules) > 10
    unwanted = ("litestar", "sqlalchemy", "granian", "structlog", "prometheus_client")
    program = (
        f"import {', '.join(modules)}\nimport sys\nprint([one for one in {unwanted} if one in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
