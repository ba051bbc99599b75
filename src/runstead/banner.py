"""What a start says on standard output: what is running, where, and what to try."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runstead import __version__


@dataclass(frozen=True, slots=True, kw_only=True)
class Banner:
    """The facts of a start; ``lines`` tells them."""

    url: str
    profile: str
    database: str
    objects: str
    sandbox: str
    #: Paths that apps serve to GET, such as ``/hello/:name``.
    app_routes: Sequence[str] = ()
    #: ``(method, path)`` of the declared endpoints.
    endpoint_routes: Sequence[tuple[str, str]] = ()
    #: None when the token came from the environment.
    token_file: Path | None = None
    #: Callers of endpoints must send MASTER_PASSWORD.
    password_needed: bool = False
    #: Makes the first administrator; None when there is one.
    setup_path: str | None = None
    warnings: Sequence[str] = field(default_factory=tuple)

    def lines(self) -> Iterator[str]:
        """One line each, the address first."""
        yield f"Runstead {__version__} is ready at {self.url}   (profile {self.profile})"
        yield f"  apps       {', '.join(self.app_routes) or 'none yet: runstead apps put ID FILE'}"
        declared = ", ".join(f"{method} {path}" for method, path in self.endpoint_routes)
        yield f"  endpoints  {declared or 'none yet: [[endpoints]] in runstead.toml'}"
        yield "  jobs       POST /api/scripts"
        yield "  logs       POST /api/log"
        yield "  records    POST /v1/artifacts"
        yield f"  kept in    {self.database}; {self.objects}"
        yield f"  sandbox    {self.sandbox}"
        yield f"  API        {self.url}/docs"
        if self.setup_path is not None:
            yield f"  set up     {self.url}{self.setup_path}   (once, within 24 h: makes the first administrator)"
        for warning in self.warnings:
            yield f"  warning    {warning}"
        yield "Try"
        yield from (f"  {line}" for line in self._examples())

    def _examples(self) -> Iterator[str]:
        simple = [path for path in self.app_routes if path.count(":") <= 1 and "*" not in path]
        # The shipped greeting, when it is there.
        greeting = min(simple, key=lambda path: "hello" not in path, default=None)
        yield f"curl {self.url}{_filled(greeting) if greeting else '/health'}"
        if self.endpoint_routes:
            method, path = self.endpoint_routes[0]
            yield self._call(
                method, path, {"params": {"text": "a home for your scripts"}}, password=self.password_needed
            )
        yield self._call(
            "POST", "/api/scripts", {"command": "python3 examples/jobs/countdown.py"}, password=False
        )

    def _call(self, method: str, path: str, body: object, *, password: bool) -> str:
        verb = "" if method == "POST" else f"-X {method} "
        if password:
            credential = ' -H "X-Master-Password: $MASTER_PASSWORD"'
        elif not path.startswith("/api/"):
            credential = ""
        elif self.token_file is not None:
            credential = f' -H "Authorization: Bearer $(cat {_short(self.token_file)})"'
        else:
            credential = ' -H "Authorization: Bearer $RUNSTEAD_ADMIN_TOKEN"'
        return f"curl {verb}{self.url}{path}{credential} -H 'Content-Type: application/json' -d '{json.dumps(body)}'"


def _filled(path: str) -> str:
    return "/".join("world" if segment.startswith(":") else segment for segment in path.split("/"))


def _short(path: Path) -> str:
    below = path.is_relative_to(Path.cwd()) and Path.cwd() != Path("/")
    return str(path.relative_to(Path.cwd())) if below else str(path)
