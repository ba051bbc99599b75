"""What scripts may do with the files of their app."""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import Any, Final

from runstead.capabilities.apps.assets.store import ASSET_BYTES_MAX, AssetStore
from runstead.capabilities.apps.hostcalls import Calls, Session, text
from runstead.capabilities.apps.uploads import pieces, upload_of
from runstead.kernel.errors import BadRequestError, TooLargeError
from runstead.kernel.limits import MIB

#: Of a file that goes into a script, whose heap is small.
FETCH_BYTES_MAX: Final = 4 * MIB


class AssetCalls:
    """Reading and writing."""

    def __init__(self, store: AssetStore) -> None:
        self._store = store

    def calls(self) -> Calls:
        return {
            "assets.list": self._list,
            "assets.get": self._get,
            "assets.put": self._put,
            "assets.remove": self._remove,
            "assets.save": self._save,
        }

    async def _list(self, session: Session) -> list[str]:
        return [one.name for one in await self._store.list(session.caller.app_id)]

    async def _get(self, session: Session, name: str) -> str | None:
        """In Base64; None where there is none."""
        found = await self._store.find(session.caller.app_id, text(name))
        if found is None:
            return None
        if found.bytes > FETCH_BYTES_MAX:
            raise TooLargeError(f"{found.name} has {found.bytes} bytes; {FETCH_BYTES_MAX} fit in a script")
        return base64.b64encode(await self._store.content(session.caller.app_id, found.digest)).decode()

    async def _put(self, session: Session, name: str, mime: str, encoded: str) -> None:
        try:
            content = base64.b64decode(text(encoded), validate=True)
        except (binascii.Error, ValueError) as error:
            raise BadRequestError("the content is no Base64") from error
        await self._store.put(
            session.caller.app_id, text(name), content, mime=text(mime), author=str(session.caller.actor)
        )

    async def _remove(self, session: Session, name: str) -> bool:
        return await self._store.remove(session.caller.app_id, text(name), author=str(session.caller.actor))

    async def _save(self, session: Session, number: int, name: str) -> dict[str, Any]:
        upload = upload_of(session, number)
        if upload.size > ASSET_BYTES_MAX:
            raise TooLargeError(f"{upload.name} has {upload.size} bytes; {ASSET_BYTES_MAX} are allowed")
        content = await asyncio.to_thread(lambda: b"".join(pieces(upload)))
        kept = await self._store.put(
            session.caller.app_id, text(name), content, mime=upload.type, author=str(session.caller.actor)
        )
        return kept.as_json()
