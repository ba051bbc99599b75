"""The shipped examples, served by a real process. Of the apps only hello: what they answer is for test_example_apps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runstead.testing.server import ServerProcess

ROOT = Path(__file__).parents[2]

EXAMPLES = f"""
[apps]
folders = ["{ROOT}/tests/acceptance/apps"]
[[endpoints]]
name = "wordcount"
path = "/wordcount"
script_path = "{ROOT}/examples/endpoints/wordcount.py"
[runs]
record = true
[jobs]
record = true
working_dir = "{ROOT}"
"""


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., ServerProcess]]:
    """Start servers over one data folder; whatever is still running at the end of the test is stopped."""
    started: list[ServerProcess] = []

    def start(config: str = EXAMPLES, **options: object) -> ServerProcess:
        server = ServerProcess(tmp_path / "server", config=config, **options)  # type: ignore[arg-type]
        started.append(server)
        return server.start()

    yield start
    for server in started:
        server.kill()
