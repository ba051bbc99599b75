"""Write-once blobs under keys."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from runstead.platform.storage.objects.base import (
    CONTENT_TYPE,
    LIST_OBJECTS_MAX,
    ObjectExistsError,
    ObjectInfo,
    ObjectMissingError,
    Objects,
    ObjectsUnavailableError,
)
from runstead.platform.storage.objects.folder import FolderObjects
from runstead.platform.storage.objects.keys import ObjectKeyError, check_key, check_prefix

__all__ = [
    "CONTENT_TYPE",
    "LIST_OBJECTS_MAX",
    "FolderObjects",
    "ObjectExistsError",
    "ObjectInfo",
    "ObjectKeyError",
    "ObjectMissingError",
    "Objects",
    "ObjectsUnavailableError",
    "check_key",
    "check_prefix",
    "open_objects",
]


def open_objects(url: str) -> Objects:
    """The store that a URL names: a folder (``/var/lib/x``, ``file:///var/lib/x``) or ``s3://bucket/prefix``.

    :raises ValueError: for any other scheme.
    """
    scheme, separator, _ = url.partition("://")
    if not separator:
        return FolderObjects(Path(url))
    if scheme == "file":
        return FolderObjects(Path(unquote(urlsplit(url).path)))
    if scheme == "s3":
        from runstead.platform.storage.objects.s3 import S3Objects

        return S3Objects.from_url(url)
    raise ValueError(f"an object store is a folder, file:// or s3://bucket/prefix, not {scheme}://")
