"""``runstead serve``: open, listen, reload, drain."""

from __future__ import annotations

import asyncio
import importlib
import json
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from runstead.kernel.background import background
from runstead.kernel.capability import HealthCheck
from runstead.kernel.errors import RunsteadError, UnavailableError
from runstead.platform.cli import CliError, ExitCode

if TYPE_CHECKING:
    from runstead.bootstrap import Server
    from runstead.platform.config import Settings

#: Seconds between two looks at the configuration file in the profile ``dev``.
_WATCH_SECONDS: Final = 1.0


def serve(
    *,
    config: Path | None = None,
    profile: str | None = None,
    host: str | None = None,
    port: int | None = None,
    data_dir: Path | None = None,
    apps: Path | None = None,
    set_: Annotated[list[str] | None, Parameter(name="--set")] = None,
) -> int:
    """Run the server until SIGTERM or Ctrl-C; SIGHUP reads the configuration again.

    Example: runstead serve --port 9000 --set observability.log_level=debug

    Parameters
    ----------
    config
        The configuration file; default: RUNSTEAD_CONFIG, else runstead.toml (or .yaml, .json) in this folder.
    profile
        dev, staging or prod.
    apps
        A folder of apps instead of apps.folders: each subfolder is one, and in the profile dev loaded again when it changes.
    set_
        Any other field, as section.field=value; may be given often.
    """
    _import_structlog_without_rich()
    from runstead.bootstrap import read_settings

    overrides = {
        name: str(value)
        for name, value in (("server.host", host), ("server.port", port), ("storage.data_dir", data_dir))
        if value is not None
    }
    if apps is not None:
        if not apps.is_dir():
            raise CliError(f"{apps} is no folder", exit_code=ExitCode.USAGE)
        overrides["apps.folders"] = json.dumps([str(apps.resolve())])
    for assignment in set_ or ():
        field, equals, value = assignment.partition("=")
        if not equals:
            raise CliError(f"--set takes section.field=value, not {assignment!r}", exit_code=ExitCode.USAGE)
        overrides[field] = value

    def read() -> Settings:
        return read_settings(config=config, profile=profile, overrides=overrides)

    return asyncio.run(_run(read(), read))


def _import_structlog_without_rich() -> None:
    """structlog.dev loads rich for tracebacks that our renderer does not draw: 60 ms and 5 MB of an idle server."""
    loaded = sys.modules.get("rich")
    sys.modules["rich"] = None  # type: ignore[assignment]
    try:
        importlib.import_module("structlog")
    finally:
        if loaded is None:
            del sys.modules["rich"]
        else:
            sys.modules["rich"] = loaded


async def _run(settings: Settings, read: Any) -> int:
    from runstead.bootstrap import opened
    from runstead.data_folder import DataFolderError
    from runstead.platform.http import serve as serve_http
    from runstead.platform.observability import TracingUnavailableError
    from runstead.platform.secrets import MasterKeyError

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    try:
        async with opened(settings) as server, _reloading(server, read):

            def on_ready(url: str) -> None:
                _print_banner(server, url)

            await serve_http(server.app, settings.server, stop=stop, on_ready=on_ready)
    except (DataFolderError, MasterKeyError, TracingUnavailableError, RunsteadError) as error:
        raise CliError(f"runstead cannot start: {error}") from error
    except OSError as error:
        address = f"{settings.server.host}:{settings.server.port}"
        raise CliError(
            f"runstead cannot listen on {address}: {error.strerror}; another port: --port"
        ) from error
    print("stopped", flush=True)  # noqa: T201 - the last line of the banner
    return ExitCode.OK


def _print_banner(server: Server, url: str) -> None:
    from runstead.banner import Banner

    storage = server.settings.storage
    banner = Banner(
        url=url,
        profile=server.settings.profile,
        database=_without_password(storage.database_url),
        objects=storage.objects_url,
        sandbox=server.sandbox,
        app_routes=[
            route.path
            for _, route in server.services["apps"].routes()
            if route.method == "GET" and route.kind == "handler"
        ],
        endpoint_routes=[
            (one.settings.method, one.settings.path)
            for one in server.services["endpoints"].endpoints()
            if one.settings.enabled
        ],
        token_file=server.token_file,
        setup_path=server.setup_path,
        password_needed=server.settings.credentials.master_password is not None,
    )
    print("\n".join(banner.lines()), flush=True)  # noqa: T201 - what a start says


def _without_password(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    login, at, place = rest.rpartition("@")
    return f"{scheme}{separator}{login.partition(':')[0]}{at}{place}"


@asynccontextmanager
async def _reloading(server: Server, read: Any) -> AsyncIterator[None]:
    """Read the endpoints again on SIGHUP, and in ``dev`` when the file changes. An invalid configuration changes nothing."""
    import structlog

    log = structlog.get_logger("config")
    refused: list[str] = []
    requested = asyncio.Event()

    async def probe() -> Mapping[str, Any]:
        if refused:
            raise UnavailableError(f"the changed configuration was refused: {refused[0]}")
        return {"file": str(server.settings.config_file or "none")}

    server.health.add(HealthCheck(name="configuration", probe=probe, critical=False))

    async def reload() -> None:
        from runstead.platform.config import ConfigError

        try:
            settings = await asyncio.to_thread(read)
        except ConfigError as error:
            refused[:] = str(error).splitlines()
            log.error("configuration refused; the old one goes on", problems=refused)
            return
        refused.clear()
        server.services["endpoints"].replace(settings.section("endpoints"))
        log.info("configuration read again", endpoints=len(settings.section("endpoints")))

    async def watch() -> None:
        file = server.settings.config_file
        seen = _stamp(file)
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_WATCH_SECONDS if server.settings.profile == "dev" else None):
                    await requested.wait()
            now = _stamp(file)
            if requested.is_set() or (now != seen and now is not None):
                requested.clear()
                seen = now
                await reload()

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, requested.set)
    async with background(watch(), "configuration"):
        yield


def _stamp(file: Path | None) -> tuple[int, int] | None:
    try:
        status = file.stat() if file is not None else None
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_size) if status is not None else None
