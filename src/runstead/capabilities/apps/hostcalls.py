"""What scripts may ask the server for. Every call is checked here, for the app, the user and the tenant that it is made for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from runstead.kernel.errors import BadRequestError, TooManyRequestsError, UnavailableError
from runstead.platform.identity import ANONYMOUS, Actor, allow

#: Calls of one invocation: more is a loop that was not meant.
CALLS_MAX: Final = 2000
_SERVER: Final = "server"
#: Calls that reach others, or leave something behind.
_LASTING: Final = frozenset(
    {
        "assets.put", "assets.remove", "assets.save", "fetch", "graphql.send", "message.send", "schedule.add", "schedule.clear",
        "secrets.clear", "secrets.remove", "secrets.set", "stream.send",
    }
)  # fmt: skip


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


#: Called when an invocation has ended, with whether it succeeded.
Ending = Callable[[bool], Awaitable[None]]


@dataclass(slots=True, eq=False)
class Session:
    """One invocation, as long as it lasts."""

    caller: Caller
    #: Nothing that it changes stays, and what cannot be undone is refused.
    dry: bool = False
    #: What a module keeps for it, by the module's name.
    kept: dict[str, Any] = field(default_factory=dict)
    endings: list[Ending] = field(default_factory=list)
    calls_left: int = CALLS_MAX

    async def end(self, succeeded: bool) -> None:
        """Let go of what the invocation holds; what it has not finished is undone unless it succeeded."""
        for ending in reversed(self.endings):
            await ending(succeeded)


#: ``await handler(session, *arguments)``: what comes back goes to the script as JSON.
Calls = Mapping[str, Callable[..., Awaitable[Any]]]


class HostApi:
    """What all modules offer, by name."""

    def __init__(self, *modules: Calls) -> None:
        self._calls = {name: handler for module in modules for name, handler in module.items()}

    async def call(self, session: Session, name: str, arguments: str) -> str:
        """Answer one call.

        :param arguments: a JSON array.
        :raises RunsteadError: it is refused, or failed; the script gets the message.
        """
        session.calls_left -= 1
        if session.calls_left < 0:
            raise TooManyRequestsError(f"more than {CALLS_MAX} calls to the server in one request")
        if session.dry and name in _LASTING:
            raise BadRequestError(f"{name} is not to be had in a dry run, for it could not be undone")
        handler = self._calls.get(name)
        if handler is None:
            raise UnavailableError(f"{name[:64]} is not to be had here")
        try:
            values = msgspec.json.decode(arguments, type=list[Any])
        except (msgspec.DecodeError, RecursionError) as error:
            raise BadRequestError("the arguments are malformed") from error
        try:
            result = await handler(session, *values)
        except TypeError as error:
            raise BadRequestError(f"{name}: other arguments are needed") from error
        return msgspec.json.encode(result).decode()


def text(value: Any) -> str:
    """An argument that has to be a text.

    :raises BadRequestError: it is none.
    """
    if not isinstance(value, str):
        raise BadRequestError("a text is needed")
    return value
