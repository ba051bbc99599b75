"""The composition root: settings → houses → ASGI app and command line.

Read it with ``catalogue`` (what there is: commands, sections, migrations) and ``assembly`` (how one house is put together): these
three know all. The imports of what they compose are inside the functions, so that ``runstead version`` loads no web server.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runstead.catalogue import COMMANDS, migrations, sections
from runstead.kernel.capability import ASGIApp
from runstead.platform.cli import Composition, build_cli
from runstead.platform.config import Settings, load

if TYPE_CHECKING:
    from runstead.platform.observability import Health


def main(argv: Sequence[str]) -> int:
    """The command line; returns its exit code."""
    provide = lambda: Composition(sections=sections(), migration_folders=migrations())  # noqa: E731
    return build_cli(COMMANDS, provide=provide).run(argv)


def read_settings(*, config: Path | None, profile: str | None, overrides: Mapping[str, str]) -> Settings:
    """The configuration that holds for this process.

    :raises ConfigError: names everything that is wrong with it.
    """
    from runstead.capabilities import records

    env = {**records.inherited_environment(os.environ), **os.environ}
    return load(sections(), config=config, profile=profile, overrides=overrides, env=env, cwd=Path.cwd())


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What is open while the server runs."""

    app: ASGIApp
    settings: Settings
    health: Health
    services: Mapping[str, Any]
    #: None when the token came from the environment.
    token_file: Path | None
    #: What runs programs and scripts is sealed; else why not.
    sandbox: str
    #: The path that makes the first administrator; None when there is one.
    setup_path: str | None


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Server]:
    """Open the house, and those of its tenants.

    :raises DataFolderError: the data folder is not to be had.
    :raises RunsteadError: a part could not be opened.
    """
    from runstead.assembly import open_house, open_shared
    from runstead.data_folder import data_folder
    from runstead.platform.execution.process import sandbox_status
    from runstead.platform.observability import Redactor, configure_logging
    from runstead.tenants import tenancy

    async with AsyncExitStack() as stack:
        stack.enter_context(data_folder(settings.storage.data_dir))
        redactor = Redactor(*settings.credentials)
        stack.callback(configure_logging(settings.observability, redactor, profile=settings.profile).close)
        shared = await stack.enter_async_context(open_shared(settings, redactor))
        house = await stack.enter_async_context(
            open_house(settings, shared, extend=tenancy(settings, shared))
        )
        yield Server(
            app=house.app,
            settings=settings,
            health=house.parts.health,
            services=house.services,
            token_file=house.parts.token_file,
            sandbox="off (execution.sandbox)"
            if settings.execution.sandbox == "off"
            else str(sandbox_status()),
            setup_path=await house.setup_path(),
        )
