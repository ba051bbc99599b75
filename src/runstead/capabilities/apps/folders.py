"""Apps that stand in folders of the configuration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runstead.capabilities.apps.model import is_app_id

#: Names under which the source may stand, the first that is there is taken.
SOURCE_NAMES: Final = ("app.js", "main.js", "index.js")


@dataclass(frozen=True, slots=True)
class FolderApp:
    """A folder with a source, or what is wrong with it."""

    app_id: str
    source: str = ""
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
            file = next((child / name for name in SOURCE_NAMES if (child / name).is_file()), None)
            if file is not None:
                yield _read(child.name, file)


def _read(app_id: str, file: Path) -> FolderApp:
    if not is_app_id(app_id):
        return FolderApp(app_id, problem=f"the folder's name {app_id!r} is no id of an app")
    try:
        return FolderApp(app_id, source=file.read_text(encoding="utf-8"))
    except OSError as error:
        return FolderApp(app_id, problem=f"{file} cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        return FolderApp(app_id, problem=f"{file} is not UTF-8 (byte {error.start})")
