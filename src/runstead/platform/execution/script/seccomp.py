"""A filter for the system calls that a worker never makes, as a classic BPF program (kernel documentation: seccomp_filter).

bubblewrap loads it as the last thing before it becomes the worker. It is the second wall behind the namespaces and the fuses: no
sockets, no further processes, no reading of others' memory, no new namespaces, mounts, keys or kernel programs.
"""

from __future__ import annotations

import platform
import struct
from typing import Final

_LOAD_WORD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
_JUMP_EQUAL: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_JUMP_AT_LEAST: Final = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_RETURN: Final = 0x06  # BPF_RET | BPF_K
_NUMBER_AT: Final = 0  # in struct seccomp_data
_ARCHITECTURE_AT: Final = 4
_ALLOW: Final = 0x7FFF0000
_REFUSE: Final = 0x00050000 | 1  # SECCOMP_RET_ERRNO with EPERM
_KILL: Final = 0x80000000
#: Numbers from here on are of the x32 ABI: the same calls under other numbers.
_X32: Final = 0x40000000

#: machine → (AUDIT_ARCH, numbers). clone3 and io_uring_setup have the same number everywhere.
_REFUSED: Final[dict[str, tuple[int, dict[str, int]]]] = {
    "x86_64": (
        0xC000003E,
        {
            "socket": 41, "connect": 42, "bind": 49, "socketpair": 53, "clone": 56, "fork": 57, "vfork": 58, "kill": 62,
            "ptrace": 101, "personality": 135, "pivot_root": 155, "mount": 165, "umount2": 166, "add_key": 248,
            "request_key": 249, "keyctl": 250, "unshare": 272, "perf_event_open": 298, "open_by_handle_at": 304, "setns": 308,
            "process_vm_readv": 310, "process_vm_writev": 311, "memfd_create": 319, "bpf": 321, "execveat": 322,
            "userfaultfd": 323, "io_uring_setup": 425, "clone3": 435,
        },
    ),
    "aarch64": (
        0xC00000B7,
        {
            "socket": 198, "socketpair": 199, "bind": 200, "connect": 203, "clone": 220, "kill": 129, "ptrace": 117,
            "personality": 92, "pivot_root": 41, "mount": 40, "umount2": 39, "add_key": 217, "request_key": 218,
            "keyctl": 219, "unshare": 97, "perf_event_open": 241, "open_by_handle_at": 265, "setns": 268,
            "process_vm_readv": 270, "process_vm_writev": 271, "memfd_create": 279, "bpf": 280, "execveat": 281,
            "userfaultfd": 282, "io_uring_setup": 425, "clone3": 435,
        },
    ),
}  # fmt: skip


def worker_filter(machine: str | None = None) -> bytes | None:
    """The program for this machine; None for one whose numbers we do not know."""
    known = _REFUSED.get(machine or platform.machine())
    if known is None:
        return None
    architecture, numbers = known
    refused = sorted(set(numbers.values()))
    checks = [(_JUMP_EQUAL, number) for number in refused] + [(_JUMP_AT_LEAST, _X32)]
    program = [
        _instruction(_LOAD_WORD, _ARCHITECTURE_AT),
        _instruction(_JUMP_EQUAL, architecture, then=1),
        _instruction(_RETURN, _KILL),
        _instruction(_LOAD_WORD, _NUMBER_AT),
        # Each check that hits jumps over those that are left and over "allow".
        *(_instruction(code, number, then=len(checks) - at) for at, (code, number) in enumerate(checks)),
        _instruction(_RETURN, _ALLOW),
        _instruction(_RETURN, _REFUSE),
    ]
    return b"".join(program)


def _instruction(code: int, value: int, *, then: int = 0) -> bytes:
    return struct.pack("<HBBI", code, then, 0, value)
