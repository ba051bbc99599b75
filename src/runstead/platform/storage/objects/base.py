"""The seam: what every object store does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from runstead.kernel.errors import ConflictError, NotFoundError, UnavailableError
from runstead.kernel.limits import PAGE_ROWS_MAX

#: Objects in one listing.
LIST_OBJECTS_MAX: Final = PAGE_ROWS_MAX

CONTENT_TYPE: Final = "application/octet-stream"


class ObjectExistsError(ConflictError):
    """There is an object under this key already."""


class ObjectMissingError(NotFoundError):
    """There is no object under this key."""


class ObjectsUnavailableError(UnavailableError):
    """The object store cannot do this right now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """What is known of an object without reading it."""

    key: str
    #: Bytes.
    size: int
    #: Changes whenever the content is replaced; opaque.
    etag: str
    #: Aware, UTC.
    modified: datetime


class Objects(Protocol):
    """Write-once blobs under keys (see :func:`check_key`). Every method raises ``ObjectKeyError`` for what is no key.

    A key must not be the folder of another: of ``a`` and ``a/b`` a store may refuse the second with ``ObjectExistsError``.
    """

    async def create(self, key: str, data: bytes, *, content_type: str = CONTENT_TYPE) -> None:
        """Store an object that is not there yet; durable when this returns. Of several at once, one wins.

        :raises ObjectExistsError: there is one; it stays as it is, and is durable.
        """
        ...

    async def replace(self, key: str, data: bytes) -> None:
        """Store an object whether or not it is there, as a whole: for pointers and other helpers only."""
        ...

    async def get(self, key: str) -> bytes:
        """The content.

        :raises ObjectMissingError: there is none.
        """
        ...

    async def head(self, key: str) -> ObjectInfo | None:
        """What is known of the object, or None when there is none."""
        ...

    async def list(
        self, prefix: str, *, after: str | None = None, limit: int = LIST_OBJECTS_MAX
    ) -> list[ObjectInfo]:
        """The objects whose key begins with the prefix, in the order of the keys' bytes.

        :param after: only keys greater than this one.
        :param limit: how many at most, 1 to ``LIST_OBJECTS_MAX``.
        """
        ...

    async def delete(self, key: str) -> None:
        """Remove the object; it is no error when there is none."""
        ...
