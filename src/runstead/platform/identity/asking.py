"""Who asks, from where, under which request id: what every entry of a request says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Asking:
    """The one for whom something is done."""

    actor: str
    address: str = ""
    request_id: str = ""


_SERVER = Asking("server")
_asking: ContextVar[Asking] = ContextVar("runstead_asking", default=_SERVER)


def asking() -> Asking:
    """Who asks; outside of requests it is the server itself."""
    return _asking.get()


def set_asking(who: Asking) -> Token[Asking]:
    """From here on, until :func:`reset_asking`."""
    return _asking.set(who)


def reset_asking(token: Token[Asking]) -> None:
    """Undo :func:`set_asking`."""
    _asking.reset(token)


@contextmanager
def on_behalf_of(actor: str, *, address: str = "", request_id: str = "") -> Iterator[None]:
    """For what is done for somebody outside of a request."""
    token = _asking.set(Asking(actor, address, request_id))
    try:
        yield
    finally:
        _asking.reset(token)
