"""What scripts may ask the server for. Every call is checked here, for the app, the user and the tenant that it is made for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from runstead.capabilities.apps.fetching import Fetching
from runstead.capabilities.apps.ports import Secrets
from runstead.capabilities.apps.storage import AppStorage
from runstead.kernel.errors import BadRequestError, ForbiddenError, TooManyRequestsError, UnavailableError
from runstead.kernel.secret import Secret
from runstead.platform.execution.script import HostCalls
from runstead.platform.identity import ANONYMOUS, Actor, Resource, allow

#: Calls of one invocation: more is a loop that was not meant.
CALLS_MAX: Final = 2000
_SERVER: Final = "server"

#: App → its owner, for the question whether somebody may manage it.
OwnerOf = Callable[[str], Awaitable[str | None]]


@dataclass(frozen=True, slots=True)
class Caller:
    """For whom a script runs."""

    app_id: str
    actor: Actor = ANONYMOUS
    #: How they signed in.
    provider: str = ""

    @property
    def user(self) -> str:
        """As owners are written; empty for machines and strangers."""
        return str(self.actor) if self.actor.kind == "user" else ""

    @property
    def scopes(self) -> tuple[str, ...]:
        """Whose secrets a script may use, the nearest first."""
        own = (self.user,) if self.user else ()
        return (*own, f"app:{self.app_id}", _SERVER)

    def described(self) -> dict[str, Any] | None:
        """What the script is told of whoever asks; None for strangers."""
        actor = self.actor
        if actor.is_anonymous:
            return None
        administers = allow(actor, "apps.privilege").allowed
        roles = sorted(actor.roles)
        return {
            "id": actor.id,
            "name": actor.name or actor.id,
            "mail": actor.mail or None,
            "provider": self.provider or actor.kind,
            "role": "administrator" if administers else (roles[0] if roles else "user"),
            "isEditor": administers or allow(actor, "apps.create").allowed,
            "isAdmin": administers,
            "groups": sorted(actor.groups),
        }


class HostApi:
    """Opens a session of calls for each invocation."""

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
        self._calls: Mapping[str, Callable[..., Awaitable[Any]]] = {
            "auth.canManage": self._can_manage,
            "shared.get": self._get_shared,
            "shared.set": self._set_shared,
            "shared.remove": self._remove_shared,
            "shared.clear": self._clear_shared,
            "personal.get": self._get_personal,
            "personal.set": self._set_personal,
            "personal.remove": self._remove_personal,
            "personal.clear": self._clear_personal,
            "secrets.exists": self._secret_exists,
            "secrets.list": self._list_secrets,
            "secrets.set": self._set_secret,
            "secrets.remove": self._remove_secret,
            "secrets.clear": self._clear_secrets,
            "fetch": self._fetch,
        }

    def session(self, caller: Caller) -> HostCalls:
        """The calls of one invocation."""
        left = CALLS_MAX

        async def call(name: str, arguments: str) -> str:
            nonlocal left
            left -= 1
            if left < 0:
                raise TooManyRequestsError(f"more than {CALLS_MAX} calls to the server in one request")
            handler = self._calls.get(name)
            if handler is None:
                raise UnavailableError(f"{name[:64]} is not to be had here")
            try:
                values = msgspec.json.decode(arguments, type=list[Any])
            except (msgspec.DecodeError, RecursionError) as error:
                raise BadRequestError("the arguments are malformed") from error
            try:
                result = await handler(caller, *values)
            except TypeError as error:
                raise BadRequestError(f"{name}: other arguments are needed") from error
            return msgspec.json.encode(result).decode()

        return call

    async def _can_manage(self, caller: Caller, app_id: str) -> bool:
        owner = await self._owner_of(_text(app_id))
        if owner is None:
            return False
        return allow(caller.actor, "apps.write", Resource("app", app_id, owner)).allowed

    async def _get_shared(self, caller: Caller, key: str) -> str | None:
        return await self._storage.get(caller.app_id, "", _text(key))

    async def _set_shared(self, caller: Caller, key: str, value: str) -> None:
        await self._storage.set(caller.app_id, "", _text(key), _text(value))

    async def _remove_shared(self, caller: Caller, key: str) -> None:
        await self._storage.remove(caller.app_id, "", _text(key))

    async def _clear_shared(self, caller: Caller) -> None:
        await self._storage.clear(caller.app_id, "")

    async def _get_personal(self, caller: Caller, key: str) -> str | None:
        return await self._storage.get(caller.app_id, _person(caller), _text(key))

    async def _set_personal(self, caller: Caller, key: str, value: str) -> None:
        await self._storage.set(caller.app_id, _person(caller), _text(key), _text(value))

    async def _remove_personal(self, caller: Caller, key: str) -> None:
        await self._storage.remove(caller.app_id, _person(caller), _text(key))

    async def _clear_personal(self, caller: Caller) -> None:
        await self._storage.clear(caller.app_id, _person(caller))

    async def _secret_exists(self, caller: Caller, secret_id: str) -> bool:
        return _text(secret_id) in await self._vault().names(caller.scopes)

    async def _list_secrets(self, caller: Caller) -> list[str]:
        return list(await self._vault().names(caller.scopes))

    async def _set_secret(self, caller: Caller, secret_id: str, value: str) -> None:
        await self._vault().put(_text(secret_id), Secret(_text(value)), scope=_person(caller))

    async def _remove_secret(self, caller: Caller, secret_id: str) -> bool:
        return await self._vault().discard(_text(secret_id), scope=_person(caller))

    async def _clear_secrets(self, caller: Caller) -> int:
        return await self._vault().delete_scope(_person(caller))

    async def _fetch(self, caller: Caller, wanted: Any) -> dict[str, Any]:
        if self._fetching is None:
            raise UnavailableError("fetch is not to be had here")
        return await self._fetching.fetch(wanted, used_by=f"app:{caller.app_id}", scopes=caller.scopes)

    def _vault(self) -> Secrets:
        if self._secrets is None:
            raise UnavailableError("there are no secrets here")
        return self._secrets


def _person(caller: Caller) -> str:
    if not caller.user:
        raise ForbiddenError("this is kept for each user: nobody is signed in")
    return caller.user


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise BadRequestError("a text is needed")
    return value
