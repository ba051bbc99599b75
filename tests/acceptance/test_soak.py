"""The minute of the soak that belongs to the suite; `benchmarks/soak.py` runs half an hour of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SECONDS = 60
ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(SECONDS + 240)
@pytest.mark.req("JOBS-001")
def test_after_a_minute_of_sudden_deaths_nothing_is_lost_left_or_stuck() -> None:
    command = [sys.executable, "benchmarks/soak.py", str(SECONDS)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "servers killed" in ended.stdout
