"""Running something in an app of which nothing stays: an evaluation, or the tests that it carries."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec

from runstead.capabilities.apps.assets import AssetStore
from runstead.capabilities.apps.assets.store import manifest_of
from runstead.capabilities.apps.errors import AppNotFoundError
from runstead.capabilities.apps.hostcalls import Caller, Session
from runstead.capabilities.apps.invoking import Invoker, compiled_of, frames_of, program_of, reason
from runstead.capabilities.apps.model import App, Version, VersionStatus
from runstead.capabilities.apps.sources import Compiler
from runstead.capabilities.apps.sources.modules import with_globals
from runstead.capabilities.apps.stage import Serving, Stage
from runstead.capabilities.apps.store import AppStore
from runstead.platform.execution.script import ScriptError, ScriptSyntaxError

_TEST: Final = re.compile(r"(?:^|/)[^/]+\.test\.(?:js|mjs|ts|tsx|jsx)$")
_SOURCES: Final = (".js", ".mjs", ".ts", ".tsx", ".jsx", ".json")
_FUNCTION: Final = "__evaluated"


class Trials:
    """Runs in the sandbox, with the limits of a request, on what serves."""

    def __init__(
        self, *, store: AppStore, stage: Stage, invoker: Invoker, assets: AssetStore, compiler: Compiler
    ) -> None:
        self._store = store
        self._stage = stage
        self._invoker = invoker
        self._assets = assets
        self._compiler = compiler

    async def evaluate(self, app: App, code: str, caller: Caller, *, request_id: str) -> dict[str, Any]:
        """The value as people read it, and the console; or what was thrown."""
        serving = self._serving(app)
        version = await self._version(app)
        try:
            return await self._evaluated(serving, version, f"return (\n{code}\n);", caller, request_id)
        except ScriptSyntaxError:
            # No expression, so statements.
            try:
                return await self._evaluated(serving, version, code, caller, request_id)
            except ScriptSyntaxError as error:
                return {"ok": False, "error": error.message, "stack": [], "console": []}

    async def _evaluated(
        self, serving: Serving, version: Version, body: str, caller: Caller, request_id: str
    ) -> dict[str, Any]:
        compiled = compiled_of(version)
        addition = f"\n;globalThis.{_FUNCTION} = async (context) => {{\n{body}\n}};"
        modules = tuple(compiled.modules)
        if modules:
            modules = (*modules[:-1], (modules[-1][0], modules[-1][1] + addition))
        tried = msgspec.structs.replace(compiled, source=compiled.source + addition, modules=modules)
        await self._invoker.check(serving.app_id, version.main, tried)
        program = program_of(serving.app_id, version.main, tried)
        session = Session(caller, dry=True)
        try:
            outcome = await self._invoker.invoke(
                replace(serving, program=program), _FUNCTION, session, kind="eval", request_id=request_id
            )
        except ScriptError as error:
            return {
                "ok": False,
                "error": reason(error),
                "stack": list(frames_of(error)),
                "console": _lines(error.console),
            }
        return {
            "ok": True,
            "value": outcome.value["shown"],
            "console": _lines(outcome.console),
            "ms": round(outcome.script_ms, 3),
        }

    async def test(self, app: App, caller: Caller, *, request_id: str) -> dict[str, Any]:
        """Run every ``*.test.js`` and ``*.test.ts`` of the app; each file in a context of its own."""
        serving, version = self._serving(app), await self._version(app)
        files = await self._assets.list(app.id)
        texts = await self._assets.texts(
            app.id, manifest_of(one for one in files if one.name.endswith(_SOURCES))
        )
        results = [
            result
            for name in sorted(texts)
            if _TEST.search(name)
            for result in await self._tested(serving, version, name, texts, caller, request_id)
        ]
        counts = {
            status: sum(one["status"] == status for one in results)
            for status in ("passed", "failed", "skipped")
        }
        return {"ok": counts["failed"] == 0, **counts, "results": results}

    async def _tested(
        self,
        serving: Serving,
        version: Version,
        name: str,
        texts: Mapping[str, str],
        caller: Caller,
        request_id: str,
    ) -> Sequence[Mapping[str, Any]]:
        # The app first, so that its functions are there; then the tests.
        entry = f"import {_quoted(version.main)};\nimport {_quoted(name)};\nglobalThis.__tests = () => runTests();\n"
        own = {**texts, version.main: with_globals(version.source)}
        try:
            compiled = await self._compiler.compile("__tests.js", entry, own)
            program = program_of(serving.app_id, "__tests.js", compiled)
            session = Session(caller, dry=True)
            tried = replace(serving, program=program, places=compiled.places())
            outcome = await self._invoker.invoke(
                tried, "__tests", session, kind="test", request_id=request_id
            )
        except ScriptError as error:
            return [
                {
                    "file": name,
                    "name": name,
                    "status": "failed",
                    "ms": 0,
                    "error": reason(error),
                    "stack": "\n".join(frames_of(error)),
                }
            ]
        return [{"file": name, **one} for one in outcome.value if isinstance(one, dict)]

    def _serving(self, app: App) -> Serving:
        serving = self._stage.get(app.id)
        if serving is None:
            raise AppNotFoundError(f"{app.id} does not serve: no version of it was initialised")
        return serving

    async def _version(self, app: App) -> Version:
        found = await self._store.version(app.id, app.serving or 0)
        if found is None or found.status is not VersionStatus.READY:
            raise AppNotFoundError(f"{app.id} does not serve")
        return found


def _lines(console: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"level": level, "message": text} for level, text in console]


def _quoted(name: str) -> str:
    return f'"./{name}"'
