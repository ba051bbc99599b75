"""What trust costs an app's request: the whole application with people, trail and limits against the same without them.

Requests go straight into the application (no sockets), in turns, in one run: read the ratio. The limit is 1.05: the trail must
cost a request less than 5 %. Requests are not acts, so what is measured is that nothing of the trail lies in their way.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

from runstead.capabilities import apps
from runstead.catalogue import migrations
from runstead.kernel.secret import Secret
from runstead.platform.audit import Audit, AuditSettings
from runstead.platform.audit.denials import Denials
from runstead.platform.config.settings import ObservabilitySettings, ServerSettings
from runstead.platform.execution.script import ScriptPool
from runstead.platform.http import build_app
from runstead.platform.identity import Identity
from runstead.platform.limits import Limiter, LimitsSettings, Rule
from runstead.platform.limits.middleware import RateLimits
from runstead.platform.observability import Health, Metrics, Redactor, configure_logging
from runstead.platform.storage.sql import Database, migrate

ROUNDS = 12
REQUESTS = 300
LIMIT = 1.05
SOURCE = """
function hello(request) { return Response.json({ hello: request.params.name }); }
function init() { register("/hello/:name", "hello", "GET"); }
"""


async def one(app: Any) -> None:
    async def receive() -> Mapping[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Mapping[str, Any]) -> None:
        if message["type"] == "http.response.start" and message["status"] != 200:
            raise SystemExit(f"status {message['status']}")

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": "/hello/ada", "raw_path": b"/hello/ada", "query_string": b"", "root_path": "",
        "headers": [(b"host", b"127.0.0.1"), (b"user-agent", b"benchmark")],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
    }  # fmt: skip
    await app(scope, receive, send)


async def seconds(app: Any) -> float:
    began = time.perf_counter()
    for _ in range(REQUESTS):
        await one(app)
    return (time.perf_counter() - began) / REQUESTS


async def main() -> None:
    configure_logging(ObservabilitySettings(log_level="error"), Redactor())
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        db = await stack.enter_async_context(Database(f"sqlite:///{folder / 'bench.db'}"))
        await migrate(db, migrations())
        pool = await stack.enter_async_context(ScriptPool(workers=1, sandbox="auto"))
        audit = Audit(db, key=b"k" * 32, settings=AuditSettings(), clock=db.clock)
        await stack.enter_async_context(audit.opened())
        rules = (Rule(name="address", limit="100000/second"),)
        limiter = Limiter(db, settings=LimitsSettings(), rules=rules, trail=audit, clock=db.clock)
        await stack.enter_async_context(limiter.opened())
        host = apps.capability(settings=apps.AppsSettings(), db=db, pool=pool, profile="prod", trail=audit)
        assert host.lifespan is not None
        await stack.enter_async_context(host.lifespan())
        service = host.services["apps"]
        await service.put("hello", SOURCE, author="user:1", message="")
        await service.set_privileged("hello", True)

        def built(**options: Any) -> Any:
            settings = ServerSettings(access_log=False)
            identity = Identity(admin_token=Secret("a" * 32))
            return build_app(
                capabilities=[host],
                settings=settings,
                identity=identity,
                health=Health(),
                metrics=Metrics(),
                **options,
            )

        plain = built()
        cases = {
            "without": plain,
            "with the trail": built(witness=Denials(audit)),
            "with trail and limits": built(
                witness=Denials(audit), rates=partial(RateLimits, limiter=limiter)
            ),
        }
        figures: dict[str, list[float]] = {name: [] for name in cases}
        for app in cases.values():
            await seconds(app)
        for _ in range(ROUNDS):
            for name, app in cases.items():
                figures[name].append(await seconds(app))
    base = statistics.median(figures["without"])
    for name, found in figures.items():
        ratio = statistics.median(found) / base
        print(f"{name:24} {statistics.median(found) * 1e6:8.0f} µs a request   {ratio:.3f} of without")
    ratio = statistics.median(figures["with the trail"]) / base
    print(
        f"the trail costs {100 * (ratio - 1):+.1f} % (limit {100 * (LIMIT - 1):.0f} %): {'ok' if ratio <= LIMIT else 'TOO MUCH'}"
    )


if __name__ == "__main__":
    asyncio.run(main())
