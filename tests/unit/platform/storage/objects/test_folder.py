"""The folder store at the disk: what is synced, what a crash leaves, what a full disk does."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runstead.platform.storage.objects import (
    FolderObjects,
    ObjectExistsError,
    ObjectsUnavailableError,
    folder,
    open_objects,
)


class Disk:
    """Sees every fsync by the path of what is synced, and refuses it when told to."""

    def __init__(self, root: Path) -> None:
        self.synced: list[str] = []
        self.broken: int | None = None
        self._root = root

    def fsync(self, descriptor: int) -> None:
        if self.broken is not None:
            raise OSError(self.broken, os.strerror(self.broken))
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        self.synced.append(str(path.relative_to(self._root.parent)))

    def forget(self) -> list[str]:
        seen, self.synced = self.synced, []
        return ["objects/.tmp/*" if one.startswith("objects/.tmp/") else one for one in seen]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "objects"


@pytest.fixture
def disk(root: Path) -> Disk:
    return Disk(root)


@pytest.fixture
def store(root: Path, disk: Disk) -> FolderObjects:
    return FolderObjects(root, fsync=disk.fsync)


def files(root: Path) -> list[str]:
    return sorted(str(one.relative_to(root)) for one in root.rglob("*") if one.is_file())


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


async def test_a_new_object_is_synced_with_its_folder_and_all_folders_made_for_it(
    store: FolderObjects, disk: Disk
) -> None:
    await store.create("a/b/c", b"x")
    # The folders, each by syncing the one that holds its name; then the file before it gets its name; then the name.
    assert disk.forget() == ["objects/a", "objects", ".", "objects/.tmp/*", "objects/a/b"]
    await store.create("a/b/d", b"x")
    assert disk.forget() == ["objects/.tmp/*", "objects/a/b"]
    await store.create("a/e/f", b"x")
    assert disk.forget() == ["objects/a", "objects/.tmp/*", "objects/a/e"]


async def test_a_folder_that_somebody_else_made_is_synced_too_since_they_may_not_have_come_to_it(
    store: FolderObjects, disk: Disk, root: Path
) -> None:
    (root / "a/b").mkdir(parents=True)
    await store.create("a/b/c", b"x")
    assert disk.forget()[:3] == ["objects/a", "objects", "."]


async def test_whoever_is_told_that_an_object_exists_may_rely_on_it(store: FolderObjects, disk: Disk) -> None:
    await store.create("a/b", b"x")
    disk.forget()
    with pytest.raises(ObjectExistsError):
        await store.create("a/b", b"x")
    assert disk.forget()[-1] == "objects/a"


async def test_replacing_and_deleting_are_synced(store: FolderObjects, disk: Disk) -> None:
    await store.create("a", b"x")
    disk.forget()
    await store.replace("a", b"y")
    assert disk.forget() == ["objects/.tmp/*", "objects"]
    await store.delete("a")
    assert disk.forget() == ["objects"]


async def test_an_object_whose_content_could_not_be_synced_is_not_there(
    store: FolderObjects, disk: Disk, root: Path
) -> None:
    await store.create("first", b"x")
    disk.broken = errno.EIO
    with pytest.raises(ObjectsUnavailableError) as caught:
        await store.create("second", b"x")
    assert caught.value.status == 503
    assert isinstance(caught.value.__cause__, OSError)
    assert files(root) == ["first"]


async def test_a_full_disk_is_unavailable_and_leaves_nothing(
    store: FolderObjects, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, data: memoryview) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        for call in (store.create("a", b"x"), store.replace("a", b"x")):
            with pytest.raises(ObjectsUnavailableError):
                await call
    assert files(root) == []


async def test_short_writes_are_continued(store: FolderObjects, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, data: whole(descriptor, bytes(data[:7])))
        await store.create("a", bytes(range(256)))
    assert await store.get("a") == bytes(range(256))


async def test_no_temporary_file_is_left_whatever_happens(store: FolderObjects, root: Path) -> None:
    await store.create("a/b", b"x")
    for key in ("a/b", "a/b/c", "a"):
        with pytest.raises(ObjectExistsError):
            await store.create(key, b"x")
        if key != "a/b":
            with pytest.raises(ObjectExistsError):
                await store.replace(key, b"x")
    assert files(root) == ["a/b"]


async def test_what_a_crash_left_is_never_listed_and_is_swept_when_it_is_old(root: Path) -> None:
    temporary = root / folder.TEMPORARY
    temporary.mkdir(parents=True)
    for name, age in (("old", folder.TEMPORARY_SECONDS_MAX + 60), ("new", 1.0)):
        (temporary / name).write_bytes(b"half an obj")
        os.utime(temporary / name, (time.time() - age,) * 2)
    store = FolderObjects(root)
    assert await store.list("") == []
    await store.create("a", b"x")
    assert [one.key for one in await store.list("")] == ["a"]
    assert files(root) == [".tmp/new", "a"]


async def test_what_others_finish_while_it_sweeps_is_passed_over(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = root / folder.TEMPORARY
    temporary.mkdir(parents=True)
    (temporary / "theirs").touch()
    look = Path.lstat

    def look_late(path: Path) -> os.stat_result:
        (temporary / "theirs").unlink(missing_ok=True)
        return look(path)

    monkeypatch.setattr(Path, "lstat", look_late)
    store = FolderObjects(root)
    await store.create("a", b"x")
    assert await store.get("a") == b"x"


async def test_objects_and_folders_belong_to_their_owner_alone(store: FolderObjects, root: Path) -> None:
    await store.create("a/b", b"x")
    assert mode(root) == 0o700
    assert mode(root / "a/b") == 0o600


async def test_too_many_calls_at_once_are_refused(
    store: FolderObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "CALLS_MAX", 3)
    results = await asyncio.gather(*(store.head(f"{number}") for number in range(5)), return_exceptions=True)
    assert [type(one) for one in results] == [type(None)] * 3 + [ObjectsUnavailableError] * 2
    assert await store.head("again") is None


async def test_forgetting_which_folders_are_durable_costs_a_sync_and_nothing_else(
    store: FolderObjects, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "DURABLE_FOLDERS_MAX", 2)
    for number in range(5):
        await store.create(f"{number}/x", b"")
    assert len(await store.list("")) == 5
    assert len(store._durable) <= 2


async def test_two_stores_on_one_folder_never_both_create_a_key(root: Path) -> None:
    stores = [FolderObjects(root) for _ in range(4)]
    for number in range(10):
        results = await asyncio.gather(
            *(store.create(f"x/{number}", b"%d" % index) for index, store in enumerate(stores)),
            return_exceptions=True,
        )
        assert sum(result is None for result in results) == 1


async def test_no_acknowledged_object_is_lost_when_the_process_is_killed(root: Path) -> None:
    script = """
import asyncio, itertools, sys
from pathlib import Path
from runstead.platform.storage.objects import FolderObjects

async def write_forever(store, numbers):
    for number in numbers:
        await store.create(f"{number % 7}/{number}", b"content of %d" % number)
        print(number, flush=True)

async def main(root):
    store, numbers = FolderObjects(Path(root)), itertools.count()
    await asyncio.gather(*(write_forever(store, numbers) for _ in range(8)))

asyncio.run(main(sys.argv[1]))
"""
    with subprocess.Popen(  # noqa: ASYNC220 - nothing else runs on this loop
        [sys.executable, "-c", script, str(root)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        acknowledged = [int(process.stdout.readline()) for _ in range(100)]
        process.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in process.stdout if line.endswith("\n")]
    store = FolderObjects(root)
    for number in acknowledged:
        assert await store.get(f"{number % 7}/{number}") == b"content of %d" % number
    for one in await store.list(""):
        assert await store.get(one.key) == b"content of %d" % int(one.key.partition("/")[2])


@pytest.mark.parametrize("form", ["{}", "file://{}"])
async def test_a_folder_is_named_by_its_path_or_a_file_url(form: str, tmp_path: Path) -> None:
    store = open_objects(
        form.format(tmp_path / "some%20where" if "file" in form else tmp_path / "some where")
    )
    await store.create("a", b"x")
    assert (tmp_path / "some where/a").read_bytes() == b"x"


@pytest.mark.parametrize("url", ["ftp://x/y", "s3://", "http://x"])
def test_a_url_that_is_no_object_store_of_ours_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="s3://bucket"):
        open_objects(url)


def test_the_s3_library_is_imported_only_for_s3() -> None:
    script = (
        "import sys; from runstead.platform.storage.objects import open_objects; open_objects('/tmp/x'); "
        "sys.exit('obstore' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
