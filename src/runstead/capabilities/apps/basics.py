"""Who asks, storage, secrets, fetch."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from runstead.capabilities.apps.fetching import Fetching
from runstead.capabilities.apps.hostcalls import Calls, Session, text
from runstead.capabilities.apps.ports import Secrets
from runstead.capabilities.apps.storage import AppStorage, DryStorage
from runstead.kernel.errors import ForbiddenError, UnavailableError
from runstead.kernel.secret import Secret
from runstead.platform.identity import Resource, allow

#: App → its owner, for the question whether somebody may manage it.
OwnerOf = Callable[[str], Awaitable[str | None]]


class BasicCalls:
    """What nearly every script uses."""

    def __init__(
        self,
        *,
        storage: AppStorage,
        owner_of: OwnerOf,
        secrets: Secrets | None = None,
        fetching: Fetching | None = None,
    ) -> None:
        self._storage = storage
        self._owner_of = owner_of
        self._secrets = secrets
        self._fetching = fetching

    def calls(self) -> Calls:
        return {
            "auth.canManage": self._can_manage,
            **{f"shared.{name}": call for name, call in self._area(lambda _session: "").items()},
            **{f"personal.{name}": call for name, call in self._area(_person).items()},
            "secrets.exists": self._secret_exists,
            "secrets.list": self._list_secrets,
            "secrets.set": self._set_secret,
            "secrets.remove": self._remove_secret,
            "secrets.clear": self._clear_secrets,
            "fetch": self._fetch,
        }

    async def _can_manage(self, session: Session, app_id: str) -> bool:
        owner = await self._owner_of(text(app_id))
        if owner is None:
            return False
        return allow(session.caller.actor, "apps.write", Resource("app", app_id, owner)).allowed

    def _area(self, owner_of: Callable[[Session], str]) -> Mapping[str, Callable[..., Awaitable[Any]]]:
        """The four calls of one storage."""

        async def get(session: Session, key: str) -> str | None:
            return await self._in(session).get(session.caller.app_id, owner_of(session), text(key))

        async def put(session: Session, key: str, value: str) -> None:
            await self._in(session).set(session.caller.app_id, owner_of(session), text(key), text(value))

        async def remove(session: Session, key: str) -> None:
            await self._in(session).remove(session.caller.app_id, owner_of(session), text(key))

        async def clear(session: Session) -> None:
            await self._in(session).clear(session.caller.app_id, owner_of(session))

        return {"get": get, "set": put, "remove": remove, "clear": clear}

    def _in(self, session: Session) -> AppStorage | DryStorage:
        if not session.dry:
            return self._storage
        kept: DryStorage = session.kept.setdefault("storage", DryStorage(self._storage))
        return kept

    async def _secret_exists(self, session: Session, secret_id: str) -> bool:
        return text(secret_id) in await self._vault().names(session.caller.scopes)

    async def _list_secrets(self, session: Session) -> list[str]:
        return list(await self._vault().names(session.caller.scopes))

    async def _set_secret(self, session: Session, secret_id: str, value: str) -> None:
        await self._vault().put(text(secret_id), Secret(text(value)), scope=_person(session))

    async def _remove_secret(self, session: Session, secret_id: str) -> bool:
        return await self._vault().discard(text(secret_id), scope=_person(session))

    async def _clear_secrets(self, session: Session) -> int:
        return await self._vault().delete_scope(_person(session))

    async def _fetch(self, session: Session, wanted: Any) -> dict[str, Any]:
        if self._fetching is None:
            raise UnavailableError("fetch is not to be had here")
        return await self._fetching.fetch(
            wanted, used_by=f"app:{session.caller.app_id}", scopes=session.caller.scopes
        )

    def _vault(self) -> Secrets:
        if self._secrets is None:
            raise UnavailableError("there are no secrets here")
        return self._secrets


def _person(session: Session) -> str:
    if not session.caller.user:
        raise ForbiddenError("this is kept for each user: nobody is signed in")
    return session.caller.user
