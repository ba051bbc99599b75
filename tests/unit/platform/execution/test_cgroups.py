"""Finding one's place in the trees of control groups, and what is written there: on folders that look like the kernel's, and on
the kernel's own version 2 where it can be written.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runstead.platform.execution.process import cgroups
from runstead.platform.execution.process.cgroups import ControlGroups, Group, Usage
from runstead.platform.execution.process.hierarchies import hierarchies
from runstead.platform.execution.process.identity import Identity
from runstead.platform.execution.process.model import ProcessLimits

V1 = """\
30 23 0:26 / {root}/memory rw,relatime - cgroup cgroup rw,memory
31 23 0:27 / {root}/pids rw,relatime - cgroup cgroup rw,pids
32 23 0:28 / {root}/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
33 23 0:29 / {root}/unified rw,relatime - cgroup2 cgroup2 rw
"""
V2 = "30 23 0:26 {top} {root} rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"


def proc(tmp_path: Path, groups: str, mounts: str) -> Path:
    folder = tmp_path / "proc"
    folder.mkdir()
    (folder / "cgroup").write_text(groups)
    (folder / "mountinfo").write_text(mounts)
    return folder


@pytest.fixture
def files_appear(monkeypatch: pytest.MonkeyPatch) -> None:
    """As they do in the kernel's folders."""
    monkeypatch.setattr(cgroups, "_set", lambda path, text: path.write_text(text))


def make_v2(folder: Path, controllers: str = "cpuset cpu io memory pids") -> None:
    folder.mkdir(parents=True)
    (folder / "cgroup.controllers").write_text(controllers)
    (folder / "cgroup.procs").write_text("")
    (folder / "cgroup.subtree_control").write_text("")


@pytest.mark.usefixtures("files_appear")
def test_version_1_is_taken_where_memory_and_pids_can_be_written(tmp_path: Path) -> None:
    root = tmp_path / "cgroup"
    for name in ("memory/mine", "pids", "cpu,cpuacct"):
        (root / name).mkdir(parents=True)
    found = hierarchies(
        proc(tmp_path, "4:memory:/mine\n8:pids:/\n1:cpu,cpuacct:/\n0::/\n", V1.format(root=root))
    )
    assert found.version == 1
    assert found.folders == {
        "cpu": root / "cpu,cpuacct",
        "cpuacct": root / "cpu,cpuacct",
        "memory": root / "memory/mine",
        "pids": root / "pids",
    }
    groups = ControlGroups(found, Identity.of(os.getpid()))
    group = groups.make(ProcessLimits(memory_bytes=1_000_000, processes=7, cpu_percent=80))
    assert len(group.distinct) == 3
    written = {path.name: path.read_text() for folder in group.distinct for path in folder.iterdir()}
    assert written["memory.limit_in_bytes"] == "1000000"
    assert written["pids.max"] == "7"
    assert (written["cpu.cfs_quota_us"], written["cpu.cfs_period_us"]) == ("80000", "100000")


@pytest.mark.usefixtures("files_appear")
@pytest.mark.parametrize(
    ("top", "own", "place"),
    [("/", "/house.service", "house.service"), ("/", "/", "."), ("/docker/abc", "/docker/abc/sub", "sub")],
    ids=["a service", "a container with groups of its own", "a container that sees the host's"],
)
def test_version_2_is_divided_with_its_controllers_switched_on(
    tmp_path: Path, top: str, own: str, place: str
) -> None:
    root, me = tmp_path / "cgroup", Identity.of(os.getpid())
    make_v2(root / place)
    found = hierarchies(proc(tmp_path, f"0::{own}\n", V2.format(top=top, root=root)))
    assert found.version == 2
    assert set(found.controllers) == {"cpu", "io", "memory", "pids"}
    # The kernel makes this file in each new group.
    for folder in (root / place / "runstead", root / place / "runstead" / str(me)):
        folder.mkdir()
        (folder / "cgroup.subtree_control").touch()
    groups = ControlGroups(found, me)
    assert (root / place / "cgroup.subtree_control").read_text() == "+cpu +memory +pids +io"
    group = groups.make(ProcessLimits(memory_bytes=5_000_000, processes=9, cpu_percent=150))
    folder = group.folders[""]
    written = {path.name: path.read_text() for path in folder.iterdir()}
    assert written["memory.max"] == "5000000"
    assert (written["memory.swap.max"], written["memory.oom.group"]) == ("0", "1")
    assert written["pids.max"] == "9"
    assert written["cpu.max"] == "150000 100000"


def test_a_server_that_another_one_moved_is_not_put_deeper(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "cgroup"
    for place in ("house", "house/server"):
        make_v2(root / place)
    mounts = V2.format(top="/", root=root)
    own = hierarchies(proc(tmp_path, "0::/house/server\n", mounts))
    assert own.folders[""] == root / "house/server", "somebody else calls a group so"
    seen = tmp_path / "again"
    seen.mkdir()
    again = proc(seen, "0::/house/server\n", mounts)
    # As systemd does with Delegate= and DelegateSubgroup=.
    with monkeypatch.context() as patched:
        patched.setattr(
            os,
            "getxattr",
            lambda path, name: b"1" if (path, name) == (root / "house", "user.delegate") else b"0",
        )
        assert hierarchies(again).folders[""] == root / "house"
    assert hierarchies(again).folders[""] == root / "house/server"
    (root / "house/runstead").mkdir()
    assert hierarchies(again).folders[""] == root / "house"


@pytest.mark.parametrize(
    ("controllers", "mode"), [("cpu io", 0o755), ("cpu memory pids", 0o555)], ids=["no memory", "not ours"]
)
def test_what_cannot_be_limited_or_written_is_not_taken(tmp_path: Path, controllers: str, mode: int) -> None:
    root = tmp_path / "cgroup"
    make_v2(root, controllers)
    root.chmod(mode)
    if mode == 0o555 and os.getuid() == 0:
        pytest.skip("root may write everywhere")
    with pytest.raises(OSError, match=r"."):
        hierarchies(proc(tmp_path, "0::/\n", V2.format(top="/", root=root)))
    root.chmod(0o755)


def test_what_version_2_has_counted_is_read(tmp_path: Path) -> None:
    files = {
        "cpu.stat": "usage_usec 2500000\nuser_usec 2000000\n",
        "memory.peak": "123456\n",
        "memory.events": "low 0\nhigh 0\nmax 5\noom 1\noom_kill 2\noom_group_kill 1\n",
        "pids.events": "max 3\n",
        "io.stat": "8:0 rbytes=4096 wbytes=8192 rios=1 wios=2\n8:16 rbytes=100 wbytes=0 rios=1 wios=0\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert Group({"": tmp_path}, 2).usage() == Usage(
        cpu_seconds=2.5,
        memory_peak_bytes=123456,
        read_bytes=4196,
        written_bytes=8192,
        memory_kills=2,
        forks_refused=3,
    )
    assert Group({"": tmp_path / "nothing"}, 2).usage() == Usage()


@pytest.fixture
def real_v2() -> Iterator[Path]:
    for line in Path("/proc/mounts").read_text().splitlines():
        words = line.split()
        if words[2] == "cgroup2" and os.access(words[1], os.W_OK):
            folder = Path(words[1]) / f"runstead-test-{time.monotonic_ns()}"
            folder.mkdir()
            yield folder
            folder.rmdir()
            return
    pytest.skip("no tree of version 2 can be written here")


def test_a_group_of_version_2_is_entered_and_killed_whole(real_v2: Path) -> None:
    group = Group({"": real_v2}, 2)
    code = f"echo 0 >{real_v2}/cgroup.procs; trap '' TERM; (setsid sleep 600 &) ; exec sleep 600"
    process = subprocess.Popen(["/bin/sh", "-c", code])
    while len(group.pids()) < 2:
        os.sched_yield()
    group.kill()
    assert group.pids() == []
    assert process.wait(10) == -9
    assert (group.cpu_seconds() or 0) > 0


def test_a_process_is_known_by_more_than_its_number() -> None:
    process = subprocess.Popen(["sleep", "600"])
    identity = Identity.of(process.pid)
    assert Identity.parse(str(identity)) == identity
    assert identity.is_alive()
    assert identity.age_seconds() < 60
    assert not Identity(identity.pid, identity.ticks + 1, identity.boot).is_alive()
    assert not Identity(identity.pid, identity.ticks, "another").is_alive()
    process.kill()
    assert not identity.is_alive() or process.wait() == -9
    process.wait()
    assert not identity.is_alive()
    with pytest.raises(ProcessLookupError):
        Identity.of(process.pid)


@pytest.mark.parametrize("text", ["", "1", "1-2", "a-2-b", "1-b-c", "-1-2-3", "kept-1"])
def test_other_names_are_nobody(text: str) -> None:
    assert Identity.parse(text) is None
