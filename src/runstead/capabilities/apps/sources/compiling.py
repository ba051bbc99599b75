"""TypeScript and JSX to JavaScript, by Deno's transpiler: a well-kept one, and its wheel holds all that it needs."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import shutil
import sysconfig
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from runstead.capabilities.apps.sources.manifest import NAME as MANIFEST
from runstead.capabilities.apps.sources.manifest import Manifest, manifest_of
from runstead.capabilities.apps.sources.maps import SourceMap
from runstead.capabilities.apps.sources.modules import (
    BUILT_IN,
    imports_of,
    is_module,
    linked,
    resolved,
    with_globals,
)
from runstead.kernel.errors import RunsteadError, UnprocessableError

#: Files that an app may consist of.
FILES_MAX: Final = 200
#: Seconds that the transpiler may take for all of them.
SECONDS_MAX: Final = 30.0
_TYPED: Final = (".ts", ".tsx", ".jsx")
_MAP: Final = re.compile(r"\n?//# sourceMappingURL=data:application/json;base64,([A-Za-z0-9+/=]+)\s*$")
_CONFIG: Final = {
    "compilerOptions": {
        "jsx": "react",
        "jsxFactory": "h",
        "jsxFragmentFactory": "Fragment",
        "experimentalDecorators": True,
    }
}
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")


class MissingTranspilerError(RunsteadError):
    """There is no transpiler for TypeScript and JSX here; pip install 'runstead[typescript]' brings one."""

    code = "E_NO_TRANSPILER"
    status = 422


class Compiled(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine gets. Kept with the version: what served yesterday needs no transpiler today."""

    #: Of a script; of a module it is the last of the modules.
    source: str
    #: ``(name, source)``, each after those that it imports; none where the main source is a script.
    modules: tuple[tuple[str, str], ...] = ()
    #: Name → the field ``mappings`` of its source map.
    maps: dict[str, str] = {}
    manifest: Manifest = Manifest()

    def places(self) -> dict[str, SourceMap]:
        """The way back, by name of the file."""
        return {name: SourceMap(mappings) for name, mappings in self.maps.items()}


@dataclass(frozen=True, slots=True)
class _Unit:
    source: str
    mappings: str = ""


class Compiler:
    """Makes programs of sources."""

    def __init__(self) -> None:
        self._deno: str | None = None

    async def compile(self, main: str, source: str, files: Mapping[str, str]) -> Compiled:
        """Make one program of a main source and what it imports.

        :param main: its name.
        :param files: everything that it may import, by name.
        :raises UnprocessableError: an import leads nowhere, or a source is not valid.
        :raises MissingTranspilerError: a transpiler is needed, and there is none.
        """
        manifest = manifest_of(files[MANIFEST]) if MANIFEST in files else Manifest()
        all_files = {**files, main: source}
        wanted = _reachable(main, all_files)
        if len(wanted) > FILES_MAX:
            raise UnprocessableError(f"the app imports {len(wanted)} files; {FILES_MAX} are allowed")
        typed = {name: all_files[name] for name in wanted if name.endswith(_TYPED)}
        done = await self._transpiled(typed) if typed else {}
        units = {name: done.get(name) or _Unit(all_files[name]) for name in wanted}
        maps = {name: unit.mappings for name, unit in units.items() if unit.mappings}
        if not is_module(units[main].source) and len(wanted) == 1:
            return Compiled(source=units[main].source, maps=maps, manifest=manifest)
        modules = []
        for name in wanted:
            text = units[name].source
            if name.endswith(".json"):
                text = f"export default {text}"
            text = linked(text, name, all_files)
            modules.append((name, with_globals(text) if name == main else text))
        built_in = {one for name in wanted for one in imports_of(units[name].source) if one in BUILT_IN}
        return Compiled(
            source=modules[-1][1],
            modules=(*((name, BUILT_IN[name]) for name in sorted(built_in)), *modules),
            maps=maps,
            manifest=manifest,
        )

    async def _transpiled(self, sources: Mapping[str, str]) -> dict[str, _Unit]:
        deno = self._deno = self._deno or _find_deno()
        with tempfile.TemporaryDirectory(prefix="runstead-transpile-") as folder:
            root = Path(folder)
            await asyncio.to_thread(_write, root, sources)
            names = [_flat(number, name) for number, name in enumerate(sources)]
            command = [
                *(
                    deno,
                    "transpile",
                    "--quiet",
                    "--source-map",
                    "inline",
                    "--no-remote",
                    "--no-npm",
                    "--no-lock",
                ),
                *("--config", str(root / "deno.json"), "--outdir", str(root / "out")),
                *names,
            ]
            process = await asyncio.create_subprocess_exec(
                *command,
                cwd=root,
                env={"HOME": folder, "DENO_DIR": folder, "NO_COLOR": "1", "DENO_NO_UPDATE_CHECK": "1"},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
            try:
                async with asyncio.timeout(SECONDS_MAX):
                    _, complaint = await process.communicate()
            except BaseException:
                process.kill()
                await process.wait()
                raise
            if process.returncode:
                raise UnprocessableError(
                    _said(complaint.decode(errors="replace"), root, dict(zip(names, sources, strict=True)))
                )
            return await asyncio.to_thread(_read, root, sources)


def _reachable(main: str, files: Mapping[str, str]) -> list[str]:
    """The main source and all that it imports, each after what it imports itself."""
    order: list[str] = []
    seen: set[str] = set()

    def visit(name: str) -> None:
        if name in seen:
            return
        seen.add(name)
        for one in imports_of(files[name]):
            target = resolved(one, name, files)
            if target not in BUILT_IN:
                visit(target)
        order.append(name)

    try:
        visit(main)
    except RecursionError as error:
        raise UnprocessableError("the imports lead too deep") from error
    return order


def _find_deno() -> str:
    beside = Path(sysconfig.get_path("scripts")) / "deno"
    found = str(beside) if beside.is_file() else shutil.which("deno")
    if found is None:
        raise MissingTranspilerError
    return found


def _flat(number: int, name: str) -> str:
    """A name of ours: what authors call their files never becomes a path."""
    return f"{number}.{name.rpartition('.')[2]}"


def _write(root: Path, sources: Mapping[str, str]) -> None:
    (root / "deno.json").write_text(json.dumps(_CONFIG))
    for number, (name, source) in enumerate(sources.items()):
        (root / _flat(number, name)).write_text(source, encoding="utf-8")


def _read(root: Path, sources: Mapping[str, str]) -> dict[str, _Unit]:
    units = {}
    for number, name in enumerate(sources):
        text = (root / "out" / f"{number}.js").read_text(encoding="utf-8")
        found = _MAP.search(text)
        if found is None:
            units[name] = _Unit(text)
            continue
        kept: dict[str, Any] = json.loads(base64.b64decode(found[1]))
        units[name] = _Unit(text[: found.start()], kept["mappings"])
    return units


def _said(complaint: str, root: Path, names: Mapping[str, str]) -> str:
    """What the transpiler complains of, in the author's terms."""
    text = (
        _COLOUR.sub("", complaint)
        .partition("Stack backtrace")[0]
        .replace(f"file://{root}/", "")
        .replace(f"{root}/", "")
    )
    for flat, name in names.items():
        text = text.replace(flat, name)
    return text.strip().removeprefix("error: ")[:2000] or "the source cannot be transpiled"
