"""The main job, through the public doors of a real process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

from runstead.testing.server import ServerProcess


def _runstead(server: ServerProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "runstead", *arguments],
        cwd=server.folder,
        env={"PATH": "/usr/bin:/bin", "RUNSTEAD_URL": server.url, "RUNSTEAD_ADMIN_TOKEN": server.admin_token},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_the_tour_passes_through_all_five(start_server: Callable[..., ServerProcess]) -> None:
    server = start_server()
    tour = _runstead(server, "demo", "--json")
    assert tour.returncode == 0, tour.stdout + tour.stderr
    steps = json.loads(tour.stdout)
    assert {step["capability"] for step in steps} == {"apps", "endpoints", "jobs", "logs", "records"}


def test_the_tour_says_what_is_wrong_when_there_is_no_server(
    start_server: Callable[..., ServerProcess],
) -> None:
    server = start_server()
    server.stop()
    tour = _runstead(server, "demo")
    assert tour.returncode == 3
    assert server.url in tour.stderr
    assert "Traceback" not in tour.stderr


def test_a_server_stops_cleanly_on_sigterm_and_says_so(start_server: Callable[..., ServerProcess]) -> None:
    server = start_server()
    assert server.stop() == 0
    assert "Traceback" not in server.output
    assert "stopped" in server.output
