"""Running an app's script: with its limits, and its console to the log."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from runstead.capabilities.apps.hostcalls import Caller, HostApi
from runstead.capabilities.apps.model import App, Route, Version
from runstead.capabilities.apps.ports import LogSink
from runstead.capabilities.apps.registration import routes_of
from runstead.capabilities.apps.settings import AppsSettings
from runstead.capabilities.apps.stage import Serving, Target
from runstead.kernel.clock import Clock, rfc3339
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
_BLOCKING: Final = re.compile(r"fetchSync|database\s*[.\[]|executeGraphQL|McpClient")
#: Characters of a source in the log store; the whole id is in the context.
_LOG_SOURCE_CHARS_MAX: Final = 64


class Invoker:
    """The one way from apps to the script pool."""

    def __init__(
        self, *, settings: AppsSettings, pool: ScriptPool, host: HostApi, logs: LogSink, clock: Clock
    ) -> None:
        self._pool = pool
        self._host = host
        self._logs = logs
        self._clock = clock
        self._wait_seconds = settings.request_timeout_ms / 1000
        self._limits = ScriptLimits(
            script_seconds=settings.script_timeout_ms / 1000,
            wall_seconds=settings.request_timeout_ms / 1000,
            heap_bytes=settings.heap_bytes,
            stack_bytes=settings.stack_bytes,
        )
        self._blocking = replace(self._limits, may_block=True)

    async def check(self, app_id: str, source: str) -> None:
        """Parse only.

        :raises ScriptSyntaxError: says where.
        """
        await self._pool.run(_program(app_id, source), Invocation(kind="check", limits=self._limits))

    async def init(self, app: App, version: Version, *, is_startup: bool) -> Serving:
        """Run ``init`` and check what it registers.

        :raises ScriptError: it failed.
        :raises UnprocessableError: it registers what cannot be.
        """
        program = _program(app.id, version.source)
        context = {
            "scriptName": app.id,
            "version": version.number,
            "registeredAt": rfc3339(version.created_at),
            "isStartup": is_startup,
        }
        invocation = Invocation(function="init", argument=context, limits=self._limits_of(program))
        outcome = await self._run(Caller(app.id), program, invocation, request_id="")
        routes = routes_of(outcome.registrations)
        return Serving(app.id, version.number, program, routes, app.privileged)

    async def call(
        self, target: Target, request: Mapping[str, Any], caller: Caller, *, request_id: str
    ) -> Outcome:
        """Call the handler of a route.

        :raises ScriptError: it failed.
        """
        route: Route = target.route
        argument = {
            "request": request,
            "kind": "httpRoute",
            "invocationId": request_id,
            "args": {},
            "user": caller.described(),
        }
        program = target.serving.program
        invocation = Invocation(
            function=route.handler,
            argument=argument,
            limits=self._limits_of(program),
            repeatable=request["method"] in _SAFE,
        )
        return await self._run(caller, program, invocation, request_id=request_id)

    def _limits_of(self, program: Program) -> ScriptLimits:
        """A script that can wait within a turn has the whole time of the request, of which it may run as long as any other."""
        return self._blocking if _BLOCKING.search(program.source) else self._limits

    async def _run(
        self, caller: Caller, program: Program, invocation: Invocation, *, request_id: str
    ) -> Outcome:
        app_id, calls = caller.app_id, self._host.session(caller)
        try:
            outcome = await self._pool.run(
                program, invocation, host_calls=calls, wait_seconds=self._wait_seconds
            )
        except ScriptError as error:
            self.log(app_id, [*error.console, ("error", told(error))], request_id)
            raise
        self.log(app_id, outcome.console, request_id)
        return outcome

    def log(self, app_id: str, lines: Iterable[tuple[str, str]], request_id: str) -> None:
        """Write lines into the log of an app."""
        for level, text in lines:
            self._logs.emit(
                source=f"app:{app_id}"[:_LOG_SOURCE_CHARS_MAX],
                level=level,
                message=text,
                at=self._clock.now(),
                request_id=request_id,
                context={"app": app_id},
            )


def _program(app_id: str, source: str) -> Program:
    return Program.of(f"{app_id}.js", source)


def reason(error: RunsteadError) -> str:
    """One line: what the script threw, or what it was stopped for."""
    return str(error) if isinstance(error, ScriptThrewError) else error.message


def frames_of(error: RunsteadError) -> Sequence[str]:
    """Where it was thrown, in the author's own file."""
    return error.frames if isinstance(error, ScriptThrewError) else ()


def told(error: RunsteadError) -> str:
    """The whole story, for the app's log."""
    return "\n    at ".join([reason(error), *frames_of(error)])
