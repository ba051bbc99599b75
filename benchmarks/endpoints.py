"""What a call of an endpoint costs, beside Debian's ``webhook`` (adnanh's, ``apt-get install webhook wrk``), in turns in one run.

Ours leaves a folder of each run, checks the answer, limits the program, and seals it; webhook starts it. Also what the
supervisor adds to a bare spawn: at most 3 ms without the sandbox, 8 ms with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from wrk import Load, free_port, until_listening, wrk

from runstead.platform.execution.process import Launch, ProcessLimits, SandboxMode, Supervisor
from runstead.testing.server import ServerProcess

SECONDS = 5
ROUNDS = 3
CONNECTIONS = 8
SPAWNS = 200
PATH = {"PATH": "/usr/bin:/bin"}
BODY = {"params": {"text": "hello", "number": 7}}
#: Both run the same: one program does nothing (but say so in JSON, which is asked of ours), one gives back what it was given.
TRUE = "#!/bin/sh\necho '{}'\n"
ECHO_STDIN = "#!/bin/sh\nprintf '{\"results\":['; cat; printf ']}'\n"
ECHO_ARGUMENT = '#!/bin/sh\nprintf \'{"results":[%s]}\' "$1"\n'


@contextlib.contextmanager
def ours(sandbox: str) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        config = f'[execution]\nsandbox = "{sandbox}"\n[server]\naccess_log = false\n'
        for name, script in (("true", "true.sh"), ("echo", "echo.sh")):
            config += (
                f'[[endpoints]]\nname = "{name}"\npath = "/{name}"\nscript_path = "{script}"\n'
                f"concurrency = {CONNECTIONS}\n"
            )
        _script(Path(folder) / "true.sh", TRUE)
        _script(Path(folder) / "echo.sh", ECHO_STDIN)
        with ServerProcess(Path(folder), config=config) as server:
            yield server.url


@contextlib.contextmanager
def webhook() -> Iterator[str]:
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        _script(Path(folder) / "true.sh", TRUE)
        _script(Path(folder) / "echo.sh", ECHO_ARGUMENT)
        output = {"include-command-output-in-response": True}
        payload = {"pass-arguments-to-command": [{"source": "entire-payload"}]}
        hooks = [
            {"id": "true", "execute-command": f"{folder}/true.sh", **output},
            {"id": "echo", "execute-command": f"{folder}/echo.sh", **output, **payload},
        ]
        (Path(folder) / "hooks.json").write_text(json.dumps(hooks))
        command = [
            "webhook",
            "-hooks",
            f"{folder}/hooks.json",
            "-ip",
            "127.0.0.1",
            "-port",
            str(port),
            "-urlprefix",
            "",
        ]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until_listening(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def _script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def load(url: str) -> Load:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(
            'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n'
            f"wrk.body = {json.dumps(json.dumps(BODY))}\n"
        )
        script.flush()
        return wrk(url, connections=CONNECTIONS, seconds=SECONDS, script=Path(script.name))


async def spawns() -> dict[str, float]:
    """Milliseconds from the start of ``/bin/true`` to its end, medians of turns."""
    supervisor = Supervisor()

    async def bare() -> None:
        process = await asyncio.create_subprocess_exec(
            "/bin/true", stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=PATH
        )
        await process.communicate()

    async def supervised(sandbox: SandboxMode) -> None:
        limits = ProcessLimits(
            wall_seconds=10,
            cpu_seconds=10,
            memory_bytes=512 << 20,
            processes=64,
            open_files=1024,
            output_bytes=1 << 20,
        )
        launch = Launch(
            argv=("/bin/true",), working_dir=Path("/tmp"), env=PATH, limits=limits, sandbox=sandbox
        )
        process = await supervisor.start(launch, on_stdout=lambda _: None, on_stderr=lambda _: None)
        await process.wait()

    kinds: dict[str, Callable[[], Awaitable[None]]] = {
        "bare spawn": bare,
        "supervised": lambda: supervised("off"),
        "sealed": lambda: supervised("required"),
    }
    taken: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(SPAWNS):
        for name, run in kinds.items():
            started = time.perf_counter()
            await run()
            taken[name].append((time.perf_counter() - started) * 1000)
    supervisor.close()
    return {name: statistics.median(times) for name, times in taken.items()}


def main() -> None:
    times = asyncio.run(spawns())
    bare = times["bare spawn"]
    for name, limit in (("bare spawn", 0), ("supervised", 3), ("sealed", 8)):
        print(f"{name:<22} {times[name]:7.2f} ms   +{times[name] - bare:.2f} ms (at most {limit})")
    with contextlib.ExitStack() as stack:
        servers = {
            "ours, no sandbox": stack.enter_context(ours("off")),
            "ours, sealed": stack.enter_context(ours("required")),
        }
        if shutil.which("webhook"):
            servers["webhook"] = stack.enter_context(webhook())
        for program in ("true", "echo"):
            found: dict[str, list[Load]] = {name: [] for name in servers}
            for _ in range(ROUNDS):
                for name, url in servers.items():
                    found[name].append(load(f"{url}/{program}"))
            for name, runs in found.items():
                one = sorted(runs, key=lambda run: run.rate)[len(runs) // 2]
                told = f"p50 {one.p50:6.1f} ms   p99 {one.p99:6.1f} ms"
                print(f"{program:<5} {name:<18} {one.rate:7.0f} req/s   {told}")


if __name__ == "__main__":
    main()
