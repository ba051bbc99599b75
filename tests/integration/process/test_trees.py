"""Programs that do not want to end, and programs that want too much."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.integration.process.test_supervisor import BOTH, PATH, Output, begin, run

from runstead.kernel.clock import SystemClock
from runstead.platform.execution.process import (
    Launch,
    ProcessLimits,
    SandboxMode,
    Supervisor,
    group_status,
)
from runstead.platform.execution.process.tree import descendants

GROUPS = pytest.mark.skipif(not group_status().available, reason=group_status().reason)

#: Leaves the session and the process group, twice removed from its parent, deaf to what asks; it tells that it lives.
DAEMON = """
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        with open(sys.argv[1], "w") as told:
            told.write("alive " + sys.argv[2])
        time.sleep(600)
    os._exit(0)
os.wait()
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
if sys.argv[3] == "stays":
    time.sleep(600)
"""


def alive(marker: str) -> list[int]:
    """Processes with this word among their arguments, zombies aside."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and marker.encode() in (entry / "cmdline").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def python(*arguments: str) -> tuple[str, ...]:
    return ("/usr/bin/env", "python3", "-S", "-c", *arguments)


def state_of(pid: int) -> str:
    """As in proc(5), field 3 of stat."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


@BOTH
@pytest.mark.parametrize("parent", ["goes", "stays"])
async def test_a_daemon_that_hides_ends_with_its_program(
    tmp_path: Path, sandbox: SandboxMode, parent: str
) -> None:
    marker, told = f"daemon-{os.getpid()}-{time.monotonic_ns()}", tmp_path / "told"
    process = await begin(
        tmp_path,
        *python(DAEMON, str(told), marker, parent),
        sandbox=sandbox,
        writable=(tmp_path,),
        # By which it is found where there are no groups.
        run_id=marker,
    )
    while parent == "stays" and not told.exists():
        os.sched_yield()
    if parent == "stays":
        assert alive(marker)
        await process.kill(grace_seconds=0.2)
    end = await process.wait()
    assert told.read_text() == f"alive {marker}"
    assert (end.code == 0) == (parent == "goes")
    assert not alive(marker)


async def test_a_daemon_is_found_by_its_mark_where_there_are_no_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runstead.platform.execution.process.supervisor.control_groups", lambda: None)
    marker, told = f"daemon-{os.getpid()}-{time.monotonic_ns()}", tmp_path / "told"
    launch = Launch(
        argv=python(DAEMON, str(told), marker, "goes"),
        working_dir=tmp_path,
        env={**PATH, "RUNSTEAD_RUN_ID": marker},
        sandbox="off",
        mark=f"RUNSTEAD_RUN_ID={marker}",
    )
    process = await Supervisor().start(launch, on_stdout=lambda _: None, on_stderr=lambda _: None)
    assert (await process.wait()).code == 0
    assert told.exists()
    assert not alive(marker)


@BOTH
async def test_a_group_that_stops_itself_is_ended_too(tmp_path: Path, sandbox: SandboxMode) -> None:
    marker = f"stops-{os.getpid()}-{time.monotonic_ns()}"
    process = await begin(tmp_path, "sh", "-c", "kill -STOP $$; sleep 600", marker, sandbox=sandbox)
    while not any(state_of(pid) == "T" for pid in alive(marker)):
        os.sched_yield()
    await process.kill(grace_seconds=0.1)
    assert (await process.wait()).signal == "SIGKILL"


@GROUPS
@BOTH
async def test_a_fork_bomb_is_contained_and_named(tmp_path: Path, sandbox: SandboxMode) -> None:
    bomb = (
        "import os, time\n"
        "while True:\n"
        "    try:\n        if os.fork() == 0: pass\n"
        "    except OSError:\n        time.sleep(0.05)\n"
    )
    limits = ProcessLimits(processes=40, wall_seconds=1.5)
    marker = f"bomb-{time.monotonic_ns()}"
    process = await begin(tmp_path, *python(bomb, marker), sandbox=sandbox, limits=limits)
    most = 0
    task = asyncio.ensure_future(process.wait())
    while not task.done():
        most = max(most, len(alive(marker)))
        await asyncio.wait({task}, timeout=0.05)
    end = await task
    assert end.limit == "wall"
    assert 10 < most <= 43, "with the sandbox around it"
    assert not alive(marker)
    assert end.ended_at - end.started_at < timedelta(seconds=8)


@GROUPS
@BOTH
async def test_a_program_that_may_not_fork_is_told_why(tmp_path: Path, sandbox: SandboxMode) -> None:
    code = "import os\nfor _ in range(100):\n    if os.fork() == 0:\n        import time; time.sleep(60)\n"
    end, _, stderr = await run(
        tmp_path, *python(code), sandbox=sandbox, limits=ProcessLimits(processes=20, wall_seconds=20)
    )
    assert (end.code, end.limit) == (1, "processes"), stderr


@GROUPS
@BOTH
async def test_a_memory_bomb_of_many_processes_is_stopped_together(
    tmp_path: Path, sandbox: SandboxMode
) -> None:
    """Each stays far below the limit; all together pass it."""
    code = (
        "import os, time\n"
        "for _ in range(8):\n"
        "    if os.fork() == 0:\n        block = bytearray(b'x' * 30_000_000); time.sleep(60); os._exit(0)\n"
        "status = [os.waitpid(-1, 0)[1] for _ in range(1)]\n"
        "raise SystemExit(9)\n"
    )
    end, _, _ = await run(
        tmp_path, *python(code), sandbox=sandbox, limits=ProcessLimits(memory_bytes=100_000_000)
    )
    assert end.limit == "memory"
    assert end.max_rss_bytes is not None
    assert end.max_rss_bytes <= 100_000_000


@GROUPS
@BOTH
async def test_processor_time_is_counted_over_the_whole_tree(tmp_path: Path, sandbox: SandboxMode) -> None:
    """Four that spin for half the limit each: no single one passes it."""
    spin = "while :; do :; done & while :; do :; done & while :; do :; done & while :; do :; done & wait"
    end, _, _ = await run(tmp_path, "sh", "-c", spin, sandbox=sandbox, limits=ProcessLimits(cpu_seconds=2))
    assert end.limit == "cpu"
    assert end.cpu_seconds is not None
    assert 1.9 < end.cpu_seconds < 5


@GROUPS
@BOTH
async def test_a_share_of_a_processor_is_kept(tmp_path: Path, sandbox: SandboxMode) -> None:
    limits = ProcessLimits(wall_seconds=2, cpu_percent=20)
    end, _, _ = await run(tmp_path, "sh", "-c", "while :; do :; done", sandbox=sandbox, limits=limits)
    assert end.limit == "wall"
    assert end.cpu_seconds is not None
    assert end.cpu_seconds < 1.0, "a fifth of two seconds, and of the one that it has to go"


@BOTH
async def test_zombies_neither_hold_up_the_end_nor_stay(tmp_path: Path, sandbox: SandboxMode) -> None:
    marker = f"zombie-{time.monotonic_ns()}"
    code = "import os, sys\nfor _ in range(20):\n    if os.fork() == 0: os._exit(0)\nprint(os.getpid())\nsys.exit(4)"
    end, stdout, _ = await run(tmp_path, *python(code, marker), sandbox=sandbox)
    assert end.code == 4
    assert stdout
    assert not alive(marker)


@BOTH
async def test_endless_output_without_a_line_end_costs_no_memory(
    tmp_path: Path, sandbox: SandboxMode
) -> None:
    output = Output()
    limits = ProcessLimits(output_bytes=20_000_000)
    process = await begin(
        tmp_path, "head", "-c", "1G", "/dev/zero", sandbox=sandbox, limits=limits, output=output
    )
    end = await process.wait()
    assert end.limit == "output"
    assert len(output.stdout) < 25_000_000


class JumpingClock(SystemClock):
    """A wall clock that somebody sets while programs run."""

    def __init__(self) -> None:
        self.offset = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset


@BOTH
@pytest.mark.parametrize("jump", [timedelta(days=400), timedelta(days=-400)])
async def test_a_clock_that_is_set_neither_ends_nor_saves_a_program(
    tmp_path: Path, sandbox: SandboxMode, jump: timedelta
) -> None:
    clock = JumpingClock()
    for seconds, wanted in ((0.3, "wall"), (60, None)):
        launch = Launch(
            argv=("sleep", "0.8"),
            working_dir=tmp_path,
            env=PATH,
            sandbox=sandbox,
            limits=ProcessLimits(wall_seconds=seconds),
        )
        process = await Supervisor(clock).start(launch, on_stdout=lambda _: None, on_stderr=lambda _: None)
        clock.offset += jump
        assert (await process.wait()).limit == wanted


def test_what_was_started_in_a_thread_is_found() -> None:
    code = (
        "import subprocess, threading, time\n"
        "def work():\n"
        "    print(subprocess.Popen(['sleep', '600']).pid, flush=True)\n"
        "    time.sleep(600)\n"
        "threading.Thread(target=work).start()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        child = int(program.stdout.readline())
        try:
            assert list(descendants(program.pid)) == [child]
        finally:
            program.kill()
            os.kill(child, signal.SIGKILL)


@BOTH
async def test_secrets_in_open_files_are_in_no_environment(tmp_path: Path, sandbox: SandboxMode) -> None:
    code = "cat $KEY_FILE; cat $KEY_FILE; env; tr '\\0' '\\n' </proc/self/environ; ls /proc/self/fd | wc -l"
    end, stdout, stderr = await run(
        tmp_path, "sh", "-c", code, sandbox=sandbox, descriptors={"KEY": "the-value\n"}
    )
    assert end.code == 0, stderr
    assert stdout.count(b"the-value") == 2
    assert b"KEY_FILE=/proc/self/fd/" in stdout


@GROUPS
async def test_what_a_dead_server_left_is_ended_by_the_next(tmp_path: Path) -> None:
    """Without a sandbox nothing else would end it: its program goes on when the server is killed."""
    seconds = f"600.{time.monotonic_ns()}"
    code = (
        "import asyncio, os, signal, sys\nfrom pathlib import Path\n"
        "from runstead.platform.execution.process import Launch, Supervisor\n"
        "async def main():\n"
        "    launch = Launch(argv=('sh', '-c', 'echo here; exec sleep ' + sys.argv[1]), working_dir=Path('/tmp'),"
        " env={'PATH': '/usr/bin:/bin'}, sandbox='off')\n"
        "    def told(data): os.kill(os.getpid(), signal.SIGKILL)\n"
        "    await (await Supervisor().start(launch, on_stdout=told, on_stderr=told)).wait()\n"
        "asyncio.run(main())\n"
    )
    server = await asyncio.create_subprocess_exec(sys.executable, "-c", code, seconds)
    assert await server.wait() == -9
    # It began, for that was what the server died of; a server of another test may have been the next one.
    next_server = (
        "from runstead.platform.execution.process.cgroups import *\ncontrol_groups()\nclose_control_groups()"
    )
    other = await asyncio.create_subprocess_exec(sys.executable, "-c", next_server)
    assert await other.wait() == 0
    assert not alive(seconds)
