"""Where everything lies in the object store. Pure; the same on every kind of store.

Below ``<prefix>/v1/org=<organization>/project=<project>/service=<service>/``:

- ``date=<YYYY-MM-DD>/run=<run_id>/payload.json``: the record. Immutable, and the only thing that cannot be rebuilt.
- ``by-run/<run_id>.json``: the date of a run whose id does not tell it.
- ``by-time/<folder>/<folder>/<when>-<run_id>.json`` and ``by-commit/<sha>/<when>-<run_id>.json``: one small object per record.
  ``when`` counts down, so that a listing gives the newest first.
- ``latest.json``: a copy of the newest entry of ``by-time``.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from runstead.capabilities.records.model import NAME_PATTERN, Scope
from runstead.kernel.ids import is_uuid

#: Room for four names of 128 characters and the words between them in the 900 of a key.
PREFIX_CHARS_MAX: Final = 128
PREFIX_PATTERN: Final = r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*"

ENTRY_NAME_PATTERN: Final = rf"[0-9a-f]{{16}}-{NAME_PATTERN}"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
#: More microseconds than there are until the year 9999. Sixteen hexadecimal digits count down from here.
_COUNTDOWN: Final = 1 << 60
#: Leading digits that name a folder: one of about 19 hours, and in it one of about 4 minutes, so that none holds many entries.
_FOLDER_DIGITS: Final = (7, 9)

_RECORD = re.compile(
    rf"org=({NAME_PATTERN})/project=({NAME_PATTERN})/service=({NAME_PATTERN})"
    rf"/date=(\d{{4}}-\d\d-\d\d)/run=({NAME_PATTERN})/payload\.json"
)
_ENTRY_NAME = re.compile(ENTRY_NAME_PATTERN)


@dataclass(frozen=True, slots=True)
class Layout:
    """The keys below one prefix."""

    prefix: str

    @property
    def root(self) -> str:
        return f"{self.prefix}/v1/"

    @property
    def marker(self) -> str:
        """Says what this store holds; health checks look for it."""
        return f"{self.root}format.json"

    def folder(self, scope: Scope) -> str:
        """All of a service, with a slash at the end."""
        return f"{self.root}org={scope.organization}/project={scope.project}/service={scope.service}/"

    def record(self, scope: Scope, run_id: str, date: str) -> str:
        return f"{self.folder(scope)}date={date}/run={run_id}/payload.json"

    def parse_record(self, key: str) -> tuple[Scope, str, str] | None:
        """Scope, run and date of a record's key; None for any other key."""
        found = _RECORD.fullmatch(key.removeprefix(self.root)) if key.startswith(self.root) else None
        return None if found is None else (Scope(found[1], found[2], found[3]), found[5], found[4])

    def run_date(self, scope: Scope, run_id: str) -> str:
        return f"{self.folder(scope)}by-run/{run_id}.json"

    def latest(self, scope: Scope) -> str:
        return f"{self.folder(scope)}latest.json"

    def times(self, scope: Scope) -> str:
        return f"{self.folder(scope)}by-time/"

    def time(self, scope: Scope, name: str) -> str:
        folders = "/".join(name[:digits] for digits in _FOLDER_DIGITS)
        return f"{self.times(scope)}{folders}/{name}.json"

    def commits(self, scope: Scope, commit_sha: str) -> str:
        return f"{self.folder(scope)}by-commit/{commit_sha}/"

    def commit(self, scope: Scope, commit_sha: str, name: str) -> str:
        return f"{self.commits(scope, commit_sha)}{name}.json"


def entry_name(received_at: datetime, run_id: str) -> str:
    """The name of a record in the indexes: later ones sort first."""
    return f"{_count_down(received_at)}-{run_id}"


def is_entry_name(text: str) -> bool:
    """Whether this could be the name of an entry."""
    return _ENTRY_NAME.fullmatch(text) is not None


def is_received_since(name: str, moment: datetime) -> bool:
    """Whether the entry of this name was received at this moment or later."""
    return name.partition("-")[0] <= _count_down(moment)


def name_before(moment: datetime) -> str:
    """The greatest name that an entry received at this moment or later could have: listing after it gives earlier ones."""
    # "~" sorts after every character of a run id.
    return f"{_count_down(moment)}-~"


def _count_down(moment: datetime) -> str:
    return f"{_COUNTDOWN - (moment - _EPOCH) // _MICROSECOND:016x}"


def date_of_run(run_id: str) -> str | None:
    """The UTC date that a UUIDv7 carries (RFC 9562 section 5.7); None for other ids and for dates beyond the year 9999."""
    if not is_uuid(run_id):
        return None
    value = uuid.UUID(run_id)
    if value.version != 7:
        return None
    try:
        return (_EPOCH + timedelta(milliseconds=value.int >> 80)).date().isoformat()
    except OverflowError:
        return None
