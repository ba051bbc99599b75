"""GraphQL, as far as it goes: what apps register is accepted and listed, and not served yet."""

from __future__ import annotations

import msgspec

from runstead.capabilities.apps.hostcalls import Calls, Session

_ABSENT = "GraphQL is not served yet"


def graphql_calls() -> Calls:
    """What scripts may ask for; they are told that it is not there, in the form in which GraphQL tells."""
    return {"graphql.execute": _execute, "graphql.send": _send}


async def _execute(_session: Session, _query: str, _variables: str) -> str:
    return msgspec.json.encode({"data": None, "errors": [{"message": _ABSENT}]}).decode()


async def _send(_session: Session, _name: str, _data: str, _filter: str | None, _mode: str) -> int:
    """Nobody subscribes, so nobody is reached."""
    return 0
