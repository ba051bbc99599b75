"""What a worker takes from itself before it reads its first message, by means that the kernel enforces."""

from __future__ import annotations

import _socket
import os
import resource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Address space: the heap limit of one script, the interpreter, and room. The engine's own limit comes first.
ADDRESS_BYTES_MAX = 1024 * 1024 * 1024
#: The three that are open: no file, socket or pipe can be opened any more, wherever it may be.
OPEN_FILES_MAX = 3
#: Set by the interpreter and by bubblewrap themselves.
OUR_VARIABLES = frozenset({"LC_CTYPE", "PWD"})
#: ``nobody`` on every Linux.
NOBODY = 65_534


def blow_fuses() -> None:
    """Give up files, sockets, processes and, where the server runs as root, root."""
    for name, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_AS, ADDRESS_BYTES_MAX),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_NOFILE, OPEN_FILES_MAX),
    ):
        resource.setrlimit(name, (value, value))
    if os.getuid() == 0:
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
        except OSError:
            # Inside bubblewrap: this root has no capability, not even the one to become somebody else.
            return


def find_holes(pid: int) -> list[str]:
    """Try what a script that has broken out of the engine would try; what succeeded. Empty is good.

    :param pid: of this process as the server knows it: when it is ours too, we are in the server's process tree.
    """
    holes = []
    attempts: tuple[tuple[str, Any], ...] = (
        ("a file of the system can be read", lambda: os.close(os.open("/etc/passwd", os.O_RDONLY))),
        ("a folder can be listed", lambda: os.listdir("/")),  # noqa: PTH208 - no pathlib in a worker
        ("a file can be written", lambda: os.close(os.open("/tmp/runstead-probe", os.O_WRONLY | os.O_CREAT))),  # noqa: S108
        ("a socket can be opened", _open_socket),
        ("a process can be started", _start_process),
    )
    if os.getpid() == pid:
        attempts += (("the server can be signalled", lambda: os.kill(os.getppid(), 0)),)
    for what, attempt in attempts:
        try:
            attempt()
        except OSError:
            continue
        holes.append(what)
    if seen := sorted(set(os.environ) - OUR_VARIABLES):
        holes.append(f"the environment holds {', '.join(seen)}")
    return holes


def _open_socket() -> None:
    _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM).close()


def _start_process() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
