"""Running an app's script: with its limits, and its console to the log."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

import msgspec

from runstead.capabilities.apps.console import AppConsole
from runstead.capabilities.apps.hostcalls import Caller, HostApi, Session
from runstead.capabilities.apps.model import App, Version
from runstead.capabilities.apps.registration import registered_of
from runstead.capabilities.apps.responding import NAME as RESPONSE
from runstead.capabilities.apps.responding import Streamed
from runstead.capabilities.apps.settings import AppsSettings
from runstead.capabilities.apps.sources import Compiled
from runstead.capabilities.apps.sources.maps import SourceMap
from runstead.capabilities.apps.stage import Serving, Target
from runstead.capabilities.apps.uploads import NAME as UPLOADS
from runstead.capabilities.apps.uploads import Upload
from runstead.kernel.clock import rfc3339
from runstead.kernel.errors import RunsteadError
from runstead.platform.execution.script import (
    Invocation,
    Outcome,
    Program,
    ScriptError,
    ScriptLimits,
    ScriptPool,
    ScriptThrewError,
)

#: Methods that change nothing (RFC 9110, 9.2.1).
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
#: Calls that hold the script up until others have answered.
_BLOCKING: Final = re.compile(
    r"fetchSync|database\s*[.\[]|executeGraphQL|Storage\b|convert\s*[.\[]|dispatcher|send(?:Stream|Subscription)|schedulerService"
    r"|canManageScript"
)
#: Old scripts call fetch without waiting for it; they say so in a comment or in their manifest.
_SYNCHRONOUS: Final = re.compile(r"""fetch["']?\s*:\s*["']sync["']""")
_FACADE: Final = "globalThis.fetch = engine.fetchSync;"
_PLACE: Final = re.compile(
    r"(?P<before>.*?\(?)(?P<file>[^()\s]+):(?P<line>\d+):(?P<column>\d+)(?P<after>\)?)"
)


class Invoker:
    """The one way from apps to the script pool."""

    def __init__(
        self, *, settings: AppsSettings, pool: ScriptPool, host: HostApi, console: AppConsole
    ) -> None:
        self._pool = pool
        self._host = host
        self._console = console
        self._wait_seconds = settings.request_timeout_ms / 1000
        self._settings = settings
        self._limits = ScriptLimits(
            script_seconds=settings.script_timeout_ms / 1000,
            wall_seconds=settings.request_timeout_ms / 1000,
            heap_bytes=settings.heap_bytes,
            stack_bytes=settings.stack_bytes,
        )

    async def check(self, app_id: str, main: str, compiled: Compiled) -> None:
        """Parse only.

        :raises ScriptSyntaxError: says where.
        """
        program = program_of(app_id, main, compiled)
        await self._pool.run(program, Invocation(kind="check", limits=self._limits))

    async def init(self, app: App, version: Version, *, is_startup: bool, dry: bool = False) -> Serving:
        """Run ``init`` and check what it registers.

        :param dry: nothing that it changes stays.
        :raises ScriptError: it failed.
        :raises UnprocessableError: it registers what cannot be.
        """
        compiled = compiled_of(version)
        program, limits = program_of(app.id, version.main, compiled), self._limits_of(compiled)
        context = {
            "scriptName": app.id,
            "version": version.number,
            "registeredAt": rfc3339(version.created_at),
            "isStartup": is_startup,
        }
        invocation = Invocation(function="init", argument=context, limits=limits)
        session = Session(Caller(app.id), dry=dry)
        outcome = await self._run(session, program, invocation, request_id="", places=compiled.places())
        registered = registered_of(outcome.registrations)
        return Serving(app.id, version.number, program, registered, app.privileged, compiled.places(), limits)

    async def call(
        self,
        target: Target,
        request: Mapping[str, Any],
        caller: Caller,
        *,
        request_id: str,
        kind: str = "httpRoute",
        streamed: Streamed | None = None,
        uploads: Sequence[Upload] = (),
    ) -> Outcome:
        """Call the handler of a route.

        :param kind: ``httpRoute``, or ``stream`` for the customizer of one.
        :raises ScriptError: it failed.
        """
        session = Session(caller, kept={RESPONSE: streamed, UPLOADS: uploads})
        return await self.invoke(
            target.serving,
            target.route.handler,
            session,
            kind=kind,
            request=request,
            request_id=request_id,
            repeatable=request["method"] in _SAFE,
        )

    async def invoke(
        self,
        serving: Serving,
        function: str,
        session: Session,
        *,
        kind: str,
        request: Mapping[str, Any] | None = None,
        args: Mapping[str, Any] | None = None,
        request_id: str = "",
        repeatable: bool = False,
    ) -> Outcome:
        """Call a function of an app.

        :param kind: what it is called for: ``httpRoute``, ``stream``, ``timer``, ``message``, ``test``, ``eval``.
        :raises ScriptError: it failed.
        """
        argument = {
            "request": request,
            "kind": kind,
            "invocationId": request_id,
            "args": args or {},
            "user": session.caller.described(),
        }
        program = serving.program
        invocation = Invocation(
            function=function,
            argument=argument,
            limits=serving.limits,
            repeatable=repeatable,
        )
        return await self._run(session, program, invocation, request_id=request_id, places=serving.places)

    def _limits_of(self, compiled: Compiled) -> ScriptLimits:
        """What the app asks for, below the ceiling.

        A script that can wait within a turn has the whole time of the request, of which it may run as long as any other.
        """
        wanted, ceiling, limits = compiled.manifest.limits, self._settings.ceiling, self._limits
        texts = (compiled.source, *(text for _, text in compiled.modules))
        if wanted.request_timeout_ms is not None:
            seconds = min(wanted.request_timeout_ms, ceiling.request_timeout_ms) / 1000
            limits = replace(limits, wall_seconds=seconds)
        if wanted.script_timeout_ms is not None:
            seconds = min(wanted.script_timeout_ms, ceiling.script_timeout_ms) / 1000
            limits = replace(limits, script_seconds=seconds)
        if wanted.heap_bytes is not None:
            limits = replace(limits, heap_bytes=min(wanted.heap_bytes, ceiling.heap_bytes))
        blocks = compiled.manifest.fetch == "sync" or any(map(_BLOCKING.search, texts))
        return replace(limits, may_block=blocks)

    async def _run(
        self,
        session: Session,
        program: Program,
        invocation: Invocation,
        *,
        request_id: str,
        places: Mapping[str, SourceMap],
    ) -> Outcome:
        app_id, streamed, succeeded = session.caller.app_id, session.kept.get(RESPONSE), False
        try:
            outcome = await self._pool.run(
                program,
                invocation,
                host_calls=partial(self._host.call, session),
                wait_seconds=self._wait_seconds,
                on_start=streamed.clocks.append if streamed is not None else None,
            )
            succeeded = not session.dry
        except ScriptError as error:
            if isinstance(error, ScriptThrewError) and places:
                error.frames = tuple(_original(frame, app_id, places) for frame in error.frames)
            self.log(app_id, [*error.console, ("error", told(error))], request_id)
            raise
        finally:
            if session.endings:
                await session.end(succeeded)
        self.log(app_id, outcome.console, request_id)
        return outcome

    def log(self, app_id: str, lines: Iterable[tuple[str, str]], request_id: str) -> None:
        """Write lines into the log of an app."""
        for level, text in lines:
            self._console.write(app_id, level, text, request_id=request_id)


def compiled_of(version: Version) -> Compiled:
    """What the engine gets of a version."""
    if version.compiled is None:
        return Compiled(source=version.source)
    return msgspec.json.decode(version.compiled, type=Compiled)


def program_of(app_id: str, main: str, compiled: Compiled) -> Program:
    """What the pool takes."""
    source, modules = compiled.source, list(compiled.modules)
    if compiled.manifest.fetch == "sync" or _SYNCHRONOUS.search(source):
        # In the same line as the first of the author's: no line moves.
        source = f"{_FACADE}{source}"
        if modules:
            modules[-1] = (modules[-1][0], f"{_FACADE}{modules[-1][1]}")
    return Program.of(f"{app_id}.js" if main == "app.js" else f"{app_id}/{main}", source, modules)


def _original(frame: str, app_id: str, places: Mapping[str, SourceMap]) -> str:
    """A frame of a stack trace as the author's own file has it."""
    found = _PLACE.fullmatch(frame)
    if found is None:
        return frame
    name = found["file"].removeprefix(f"{app_id}/")
    source = places.get(name)
    place = source.original(int(found["line"]), int(found["column"])) if source is not None else None
    line, column = place or (found["line"], found["column"])
    return f"{found['before']}{name}:{line}:{column}{found['after']}"


def reason(error: RunsteadError) -> str:
    """One line: what the script threw, or what it was stopped for."""
    return str(error) if isinstance(error, ScriptThrewError) else error.message


def frames_of(error: RunsteadError) -> Sequence[str]:
    """Where it was thrown, in the author's own file."""
    return error.frames if isinstance(error, ScriptThrewError) else ()


def told(error: RunsteadError) -> str:
    """The whole story, for the app's log."""
    return "\n    at ".join([reason(error), *frames_of(error)])
