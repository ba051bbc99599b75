"""Apps that stand in folders of the configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from runstead.capabilities.apps.model import is_app_id
from runstead.capabilities.apps.sources import MAIN_NAMES
from runstead.kernel.limits import MIB

#: Of one file; and how many of them belong to an app.
FILE_BYTES_MAX: Final = 16 * MIB
FILES_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class FolderApp:
    """A folder with a source, or what is wrong with it."""

    app_id: str
    source: str = ""
    main: str = "app.js"
    #: Everything beside the source, by path below the folder.
    files: Mapping[str, bytes] = field(default_factory=dict)
    problem: str = ""


def read_folders(folders: Sequence[Path]) -> Iterator[FolderApp]:
    """Every app below these folders. Nothing raises: one bad folder must not keep the others from starting."""
    for folder in folders:
        try:
            children = sorted(child for child in folder.iterdir() if child.is_dir())
        except OSError as error:
            yield FolderApp(folder.name, problem=f"{folder} cannot be read: {error.strerror}")
            continue
        for child in children:
            found = read_folder(child)
            if found is not None:
                yield found


def read_folder(folder: Path) -> FolderApp | None:
    """The app of a folder; None when it holds none."""
    file = next((folder / name for name in MAIN_NAMES if (folder / name).is_file()), None)
    return None if file is None else _read(folder.name, file)


def _read(app_id: str, main: Path) -> FolderApp:
    if not is_app_id(app_id):
        return FolderApp(app_id, problem=f"the folder's name {app_id!r} is no id of an app")
    file = main
    try:
        source = main.read_text(encoding="utf-8")
        files = {}
        for file in _files(main.parent):
            if file != main:
                files[file.relative_to(main.parent).as_posix()] = file.read_bytes()
    except OSError as error:
        return FolderApp(app_id, problem=f"{file} cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        return FolderApp(app_id, problem=f"{main} is not UTF-8 (byte {error.start})")
    return FolderApp(app_id, source=source, main=main.name, files=files)


def _files(folder: Path) -> list[Path]:
    """What belongs to an app: neither hidden files nor what links lead to."""
    found = []
    for path in sorted(folder.rglob("*")):
        hidden = any(
            part.startswith(".") or part == "node_modules" for part in path.relative_to(folder).parts
        )
        if hidden or path.is_symlink() or not path.is_file() or path.stat().st_size > FILE_BYTES_MAX:
            continue
        found.append(path)
    return found[:FILES_MAX]
