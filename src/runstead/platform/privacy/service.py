"""One call for the whole server."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from runstead.kernel.errors import BadRequestError, RunsteadError
from runstead.kernel.privacy import DataClass, Person, PersonalData
from runstead.kernel.trail import Trail
from runstead.platform.identity.people import People
from runstead.platform.storage.sql import Database

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What became of one class of data."""

    data: DataClass
    count: int


@dataclass(slots=True, kw_only=True)
class Report:
    """What an erasure did."""

    person: Person
    done: list[Done] = field(default_factory=list)
    #: Parts that could not do theirs, and why; the erasure can be asked for again.
    failed: list[str] = field(default_factory=list)


class Privacy:
    """Asks every part that knows something of people."""

    def __init__(
        self, db: Database, *, holders: Sequence[PersonalData], people: People, trail: Trail
    ) -> None:
        """:param holders: in the order of erasure."""
        self._db = db
        self._holders = holders
        self._people = people
        self._trail = trail

    def classes(self) -> list[DataClass]:
        """All classes of data that the server keeps."""
        return [one for holder in self._holders for one in holder.classes]

    async def copy(self, who: str) -> dict[str, Any]:
        """What is known of somebody: class → JSON.

        :param who: id of an account, name or mail address.
        """
        person = await self.person(who)
        found: dict[str, Any] = {}
        for holder in self._holders:
            found.update(await holder.copy(person))
        await self._note("privacy.export", person)
        return found

    async def erase(self, who: str) -> Report:
        """Erase somebody, part by part. What one part cannot do does not stop the others; asking again goes on.

        :raises BadRequestError: the name is empty.
        """
        person = await self.person(who)
        report = Report(person=person)
        for holder in self._holders:
            try:
                counts = await holder.erase(person)
            except RunsteadError as error:
                report.failed.append(f"{holder.classes[0].name.partition('.')[0]}: {error.message}")
                continue
            except Exception:
                log.exception("a part could not erase what it knows of somebody")
                report.failed.append(f"{holder.classes[0].name.partition('.')[0]}: see the server's log")
                continue
            report.done += [Done(data=one, count=counts.get(one.name, 0)) for one in holder.classes]
        await self._note("privacy.erase", person, failed=len(report.failed))
        return report

    async def person(self, who: str) -> Person:
        """Somebody by id, name or mail address; a stranger to the accounts may still stand in logs."""
        if not who.strip():
            raise BadRequestError("whom?")
        found = await self._people.find(who)
        if found is None:
            try:
                user = await self._people.get(who)
            except RunsteadError:
                return Person(id="", name="" if "@" in who else who, mail=who if "@" in who else "")
        else:
            user = found[0]
        return Person(id=user.id, name=user.name, mail=user.mail or "")

    async def _note(self, action: str, person: Person, **details: Any) -> None:
        # Not the name: an entry about an erasure must not keep what was erased.
        resource = person.subject if person.id else "user:(without an account)"
        await self._db.write(self._trail.note(action, resource=resource, details=details))
