"""What serves at this moment: one immutable table that is replaced as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from runstead.capabilities.apps.errors import RouteConflictError
from runstead.capabilities.apps.model import Registered, Route
from runstead.capabilities.apps.routes import Match, OtherMethods, RouteTable
from runstead.capabilities.apps.sources.maps import SourceMap
from runstead.platform.execution.script import Program, ScriptLimits


@dataclass(frozen=True, slots=True)
class Serving:
    """A version whose ``init`` succeeded, and what it registered."""

    app_id: str
    version: int
    program: Program
    registered: Registered
    #: Only then are the routes served.
    privileged: bool
    #: The way back to what the author wrote, by name of the file.
    places: Mapping[str, SourceMap] = field(default_factory=dict)
    #: What a request may use.
    limits: ScriptLimits = field(default_factory=ScriptLimits)


@dataclass(frozen=True, slots=True)
class Target:
    """What a route leads to."""

    serving: Serving
    route: Route


class Stage:
    """Every change makes a new table first and then swaps it in, so a request sees all of it or nothing."""

    def __init__(self) -> None:
        self._serving: Mapping[str, Serving] = {}
        self._table: RouteTable[Target] = RouteTable(())

    def __contains__(self, app_id: str) -> bool:
        return app_id in self._serving

    def __len__(self) -> int:
        return len(self._serving)

    def get(self, app_id: str) -> Serving | None:
        return self._serving.get(app_id)

    def all(self) -> Iterable[Serving]:
        """Everything that serves, the restricted ones too."""
        return tuple(self._serving.values())

    def prepare(self, serving: Serving) -> Callable[[], None]:
        """Make the table in which it serves instead of the version before; what comes back swaps it in.

        :raises RouteConflictError: another app has one of its routes.
        """
        return self._prepare({**self._serving, serving.app_id: serving})

    def put(self, serving: Serving) -> None:
        """Prepare and swap at once.

        :raises RouteConflictError: another app has one of its routes; nothing has changed.
        """
        self.prepare(serving)()

    def put_all(self, many: Sequence[Serving]) -> Mapping[str, RouteConflictError]:
        """Let them serve, those before first; who is in conflict with one before is left out and told."""
        try:
            self._prepare({**self._serving, **{one.app_id: one for one in many}})()
        except RouteConflictError:
            refused = {}
            for one in many:
                try:
                    self.put(one)
                except RouteConflictError as error:
                    refused[one.app_id] = error
            return refused
        return {}

    def remove(self, app_id: str) -> None:
        self._prepare({key: value for key, value in self._serving.items() if key != app_id})()

    def match(
        self, method: str, path: str, raw_path: bytes | None = None
    ) -> Match[Target] | OtherMethods | None:
        """The route of a request, if an app has one."""
        return self._table.match(method, path, raw_path)

    def routes(self) -> Iterable[tuple[str, Route]]:
        """``(app, route)`` of all that is served."""
        return [(entry.owner, entry.target.route) for _, entry in self._table.entries]

    def _prepare(self, serving: Mapping[str, Serving]) -> Callable[[], None]:
        table = RouteTable(
            (one.app_id, route.method, route.path, Target(one, route))
            for one in serving.values()
            if one.privileged
            for route in one.registered.routes
        )

        def swap() -> None:
            self._serving, self._table = serving, table

        return swap
