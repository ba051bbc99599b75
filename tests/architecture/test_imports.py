"""The direction of imports: the contracts of pyproject.toml."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.architecture.sources import ROOT


def test_imports_point_left_only() -> None:
    # A process of its own: the linter changes into folders and keeps what it has imported.
    linter = Path(sys.executable).with_name("lint-imports")
    checked = subprocess.run(
        [str(linter), "--no-cache", "--config", "pyproject.toml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )
    assert checked.returncode == 0, (
        "kernel <- platform <- capabilities <- bootstrap; let the left side declare a port, and bootstrap connect it:\n"
        + checked.stdout
        + checked.stderr
    )
