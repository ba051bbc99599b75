"""What ``deploy/`` hands out is what the programs that read it accept."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SYSTEMD = Path(__file__).parents[2] / "deploy/systemd"


@pytest.mark.req("DEPLOY-003")
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    installed = (SYSTEMD / "runstead.service").read_text()
    assert installed.count("/opt/runstead/bin/runstead ") == 1
    here = Path(sys.executable).parent / "runstead"
    (tmp_path / "runstead.service").write_text(installed.replace("/opt/runstead/bin/runstead ", f"{here} "))
    verify = ["systemd-analyze", "verify", str(tmp_path / "runstead.service")]

    def told() -> list[str]:
        ran = subprocess.run(verify, capture_output=True, text=True, timeout=60, check=False)
        # It also has opinions on what else is installed.
        return [line for line in ran.stderr.splitlines() if "runstead.service" in line]

    assert told() == []
    (tmp_path / "runstead.service").write_text(installed.replace("Delegate=yes", "Delegat=yes"))
    assert told(), "what one gets wrong is found at all"
