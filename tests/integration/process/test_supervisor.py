"""Real programs under the supervisor, bare and in the sandbox."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from runstead.platform.execution.process import (
    Exit,
    Launch,
    ProcessLimits,
    RunningProcess,
    SandboxMode,
    SandboxRequiredError,
    SandboxStatus,
    StartError,
    Supervisor,
    group_status,
    sandbox_status,
    supervisor,
)

PATH = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
SEALED = pytest.mark.skipif(
    not sandbox_status().available, reason=f"no sandbox here: {sandbox_status().reason}"
)
BOTH = pytest.mark.parametrize("sandbox", ["off", pytest.param("required", marks=SEALED)])


class Output:
    def __init__(self) -> None:
        self.stdout = bytearray()
        self.stderr = bytearray()


async def begin(
    tmp_path: Path,
    *argv: str,
    sandbox: SandboxMode,
    output: Output | None = None,
    stdin: bytes | None = None,
    run_id: str = "",
    **more: Any,
) -> RunningProcess:
    output = output or Output()
    marked = {"RUN": run_id} if run_id else {}
    mark = f"RUN={run_id}" if run_id else ""
    launch = Launch(
        argv=argv,
        working_dir=tmp_path,
        env={**PATH, **marked},
        sandbox=sandbox,
        stdin=stdin,
        mark=mark,
        **more,
    )
    return await Supervisor().start(launch, on_stdout=output.stdout.extend, on_stderr=output.stderr.extend)


async def run(tmp_path: Path, *argv: str, sandbox: SandboxMode, **more: Any) -> tuple[Exit, bytes, bytes]:
    output = Output()
    process = await begin(tmp_path, *argv, sandbox=sandbox, output=output, **more)
    end = await process.wait()
    return end, bytes(output.stdout), bytes(output.stderr)


@BOTH
async def test_both_streams_and_the_exit_code_come_back(tmp_path: Path, sandbox: SandboxMode) -> None:
    end, stdout, stderr = await run(tmp_path, "sh", "-c", "echo out; echo err >&2; exit 3", sandbox=sandbox)
    assert (end.code, end.signal, end.limit, stdout, stderr) == (3, None, None, b"out\n", b"err\n")


@BOTH
async def test_the_signal_that_ended_it_is_told(tmp_path: Path, sandbox: SandboxMode) -> None:
    end, _, _ = await run(tmp_path, "sh", "-c", "kill -SEGV $$", sandbox=sandbox)
    assert (end.code, end.signal) == (None, "SIGSEGV")


@BOTH
async def test_input_larger_than_a_pipe_arrives_whole(tmp_path: Path, sandbox: SandboxMode) -> None:
    data = os.urandom(3_000_000)
    end, stdout, _ = await run(tmp_path, "cat", sandbox=sandbox, stdin=data)
    assert end.code == 0
    assert stdout == data


@BOTH
async def test_a_program_need_not_read_its_input(tmp_path: Path, sandbox: SandboxMode) -> None:
    end, stdout, _ = await run(
        tmp_path, "sh", "-c", "exec <&-; echo done", sandbox=sandbox, stdin=b"x" * 3_000_000
    )
    assert (end.code, stdout) == (0, b"done\n")


@BOTH
@pytest.mark.parametrize(
    ("script", "limits", "limit"),
    [
        ("sleep 600", ProcessLimits(wall_seconds=0.2), "wall"),
        ("trap '' TERM; sleep 600; sleep 600", ProcessLimits(wall_seconds=0.2), "wall"),
        ("while :; do :; done", ProcessLimits(cpu_seconds=1), "cpu"),
        ("yes", ProcessLimits(output_bytes=100_000), "output"),
    ],
    ids=["wall", "wall-ignoring-term", "cpu", "output"],
)
async def test_a_limit_ends_it_and_is_named(
    tmp_path: Path, sandbox: SandboxMode, script: str, limits: ProcessLimits, limit: str
) -> None:
    end, stdout, _ = await run(tmp_path, "sh", "-c", script, sandbox=sandbox, limits=limits)
    assert end.limit == limit
    assert len(stdout) < 10_000_000


@BOTH
async def test_memory_is_limited_by_the_kernel(tmp_path: Path, sandbox: SandboxMode) -> None:
    hungry = "x = bytearray(2_000_000_000)"
    python = sys.executable
    end, _, stderr = await run(
        tmp_path,
        python,
        "-S",
        "-c",
        hungry,
        sandbox=sandbox,
        limits=ProcessLimits(memory_bytes=500_000_000),
        readable=(Path(sys.prefix), Path(sys.base_prefix)),
    )
    if group_status().available:
        assert (end.signal, end.limit) == ("SIGKILL", "memory")
    else:
        assert end.code == 1
        assert b"MemoryError" in stderr


@BOTH
async def test_kill_takes_the_whole_tree(tmp_path: Path, sandbox: SandboxMode) -> None:
    output = Output()
    script = "trap '' TERM; sleep 611 & setsid sleep 612 & echo ready; while :; do sleep 613; done"
    process = await begin(tmp_path, "sh", "-c", script, sandbox=sandbox, output=output)
    while b"ready" not in output.stdout:  # noqa: ASYNC110 - the callback only fills a buffer
        await asyncio.sleep(0.01)
    await process.kill(grace_seconds=0.1)
    assert (await process.wait()).signal == "SIGKILL"
    assert not [name for name in _command_lines() if "sleep 61" in name]


def _command_lines() -> list[str]:
    lines = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(entry.read_text().replace("\0", " "))
        except OSError:
            continue
    return lines


@BOTH
async def test_a_child_that_outlives_the_program_does_not_hold_up_its_end(
    tmp_path: Path, sandbox: SandboxMode
) -> None:
    end, stdout, _ = await run(tmp_path, "sh", "-c", "sleep 621 & echo hi", sandbox=sandbox)
    assert (end.code, stdout) == (0, b"hi\n")
    assert not [name for name in _command_lines() if "sleep 621" in name]


async def test_a_slow_reader_makes_the_program_wait(tmp_path: Path) -> None:
    seen = 0
    gate = asyncio.Event()

    async def on_stdout(chunk: bytes) -> None:
        nonlocal seen
        seen += len(chunk)
        await gate.wait()

    launch = Launch(
        argv=("sh", "-c", "head -c 5000000 /dev/zero; echo end >&2"),
        working_dir=tmp_path,
        env=PATH,
        sandbox="off",
    )
    errors = bytearray()
    process = await Supervisor().start(launch, on_stdout=on_stdout, on_stderr=errors.extend)
    await asyncio.sleep(0.1)
    # What fits into the pipe and the reader's buffers, and no more.
    assert seen <= 1_000_000
    assert not errors
    gate.set()
    await process.wait()
    assert (seen, bytes(errors)) == (5_000_000, b"end\n")


async def test_what_cannot_be_started_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="nonesuch"):
        await begin(tmp_path, "nonesuch", sandbox="off")
    (tmp_path / "data").write_text("no program")
    with pytest.raises(StartError, match="executed"):
        await begin(tmp_path, "./data", sandbox="off")


async def test_required_refuses_where_there_is_no_sandbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "sandbox_status", lambda: SandboxStatus(False, "gone", "install it"))
    with pytest.raises(SandboxRequiredError) as refused:
        await begin(tmp_path, "true", sandbox="required")
    assert refused.value.details == {"reason": "gone", "mend": "install it"}
    process = await begin(tmp_path, "true", sandbox="auto")
    assert (await process.wait()).code == 0


@SEALED
class TestInside:
    """What a program sees of this machine."""

    async def test_no_network_not_even_loopback(self, tmp_path: Path) -> None:
        server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        script = f"(exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null && echo reached || echo refused"
        for network, said in ((False, b"refused\n"), (True, b"reached\n")):
            _, stdout, _ = await run(
                tmp_path, "bash", "-c", script, sandbox="required", limits=ProcessLimits(network=network)
            )
            assert stdout == said
        server.close()
        await server.wait_closed()

    async def test_no_files_but_the_system_and_its_own(self, tmp_path: Path) -> None:
        work, secret = tmp_path / "work", tmp_path / "secret"
        work.mkdir()
        secret.write_text("s3cr3t")
        for path in ("/etc/passwd", "/etc/shadow", str(secret), "/root"):
            end, stdout, _ = await run(work, "cat", path, sandbox="required")
            assert (end.code, stdout) == (1, b"")

    async def test_its_working_folder_is_read_only_unless_declared(self, tmp_path: Path) -> None:
        end, _, _ = await run(tmp_path, "touch", "x", sandbox="required")
        assert end.code == 1
        end, _, _ = await run(tmp_path, "touch", "x", sandbox="required", writable=(tmp_path,))
        assert end.code == 0
        assert (tmp_path / "x").exists()

    async def test_what_is_hidden_is_empty_also_inside_a_folder_that_is_writable(
        self, tmp_path: Path
    ) -> None:
        hidden, own = tmp_path / "data", tmp_path / "data" / "own"
        own.mkdir(parents=True)
        (hidden / "token").write_text("s3cr3t")
        (tmp_path / ".env").write_text("s3cr3t")
        script = "ls data; cat data/token .env; touch data/own/made"
        _, stdout, _ = await run(
            tmp_path,
            "sh",
            "-c",
            script,
            sandbox="required",
            writable=(tmp_path, own),
            hidden=(hidden, tmp_path / ".env"),
        )
        assert stdout == b"own\n"
        assert (own / "made").exists()

    async def test_no_other_processes_and_no_environment(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CANARY", "s3cr3t")
        _, stdout, _ = await run(tmp_path, "sh", "-c", "ls -d /proc/[0-9]* | wc -l; env", sandbox="required")
        processes, *environment = stdout.decode().split("\n")
        assert int(processes) <= 5
        assert {line.partition("=")[0] for line in environment if line} <= {
            "PATH",
            "PWD",
            "SHLVL",
            "_",
            "OLDPWD",
        }

    async def test_a_killed_server_leaves_nothing_behind(self, tmp_path: Path) -> None:
        code = """
import asyncio, sys
from pathlib import Path
from runstead.platform.execution.process import Launch, Supervisor
async def main():
    argv = ("sh", "-c", "sleep 631 & echo ready; sleep 631")
    launch = Launch(argv=argv, working_dir=Path(sys.argv[1]), env={"PATH": "/usr/bin:/bin"})
    process = await Supervisor().start(launch, on_stdout=lambda data: print(data, flush=True), on_stderr=print)
    await process.wait()
asyncio.run(main())
"""
        server = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, str(tmp_path), stdout=asyncio.subprocess.PIPE
        )
        assert server.stdout is not None
        while b"ready" not in (line := await server.stdout.readline()):
            assert line, "it ended"
        server.send_signal(signal.SIGKILL)
        await server.wait()
        for _ in range(500):
            if not [name for name in _command_lines() if "sleep 631" in name]:
                return
            await asyncio.sleep(0.01)
        raise AssertionError("the program outlived the server")
