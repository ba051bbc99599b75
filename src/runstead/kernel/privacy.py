"""What is known of people, and the seam through which it is copied out and erased."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class DataClass:
    """One kind of data that a part of the server keeps."""

    #: ``area.what``, as ``jobs.owner``.
    name: str
    description: str
    #: personal: tells of somebody; secret: opens something; content: what people and programs made.
    kind: Literal["personal", "secret", "content"]
    #: How long it is kept.
    retention: str
    #: What becomes of it when somebody is erased: gone, nobody's any more, or kept, and why.
    erasure: Literal["removed", "anonymised", "kept"]
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody, by all names that parts of the server may know them by."""

    #: The id of the account; empty: they have none.
    id: str
    name: str
    mail: str

    @property
    def subject(self) -> str:
        """As owners and actors are written."""
        return f"user:{self.id}"

    @property
    def names(self) -> Sequence[str]:
        """Whatever stands for them, where others write it: id, name and mail address."""
        return [one for one in (self.id, self.name, self.mail) if one]


class PersonalData(Protocol):
    """A part of the server that knows something of people."""

    @property
    def classes(self) -> Sequence[DataClass]: ...

    async def copy(self, person: Person) -> Mapping[str, Any]:
        """What is known: class → JSON."""
        ...

    async def erase(self, person: Person) -> Mapping[str, int]:
        """Erase it; class → how many pieces were removed, anonymised, or had to be kept."""
        ...
