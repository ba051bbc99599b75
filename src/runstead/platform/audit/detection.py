"""Rules that look at the stream of entries and say when something is wrong. Pure: time is what the entries say."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from runstead.kernel.clock import parse_rfc3339
from runstead.platform.audit.chain import Entry
from runstead.platform.audit.settings import DetectionSettings

#: Keys (addresses, actors) that one rule remembers; the one silent for longest is forgotten.
KEYS_MAX: Final = 10_000

#: What gives somebody more than they had.
_PRIVILEGE: Final = frozenset(
    {
        "user.create",
        "grant.create",
        "group.add",
        "group.change",
        "token.create",
        "app.privilege",
        "link.invitation",
    }
)


@dataclass(frozen=True, slots=True)
class Alert:
    """What a rule found."""

    rule: str
    key: str
    text: str
    #: The number of acts that it stands for.
    count: int = 1


class Burst:
    """So many within so many seconds for one key; then silent for that key until as much time has passed again."""

    def __init__(self, *, count: int, seconds: float) -> None:
        self._count = count
        self._seconds = seconds
        self._seen: OrderedDict[str, deque[float]] = OrderedDict()
        self._silent_until: dict[str, float] = {}

    def feed(self, key: str, at: float) -> bool:
        """Whether this one makes it a burst."""
        times = self._seen.setdefault(key, deque(maxlen=self._count))
        self._seen.move_to_end(key)
        while len(self._seen) > KEYS_MAX:
            forgotten, _ = self._seen.popitem(last=False)
            self._silent_until.pop(forgotten, None)
        times.append(at)
        if len(times) < self._count or at - times[0] > self._seconds or at < self._silent_until.get(key, 0):
            return False
        self._silent_until[key] = at + self._seconds
        return True


class Detector:
    """All rules over one stream."""

    def __init__(self, settings: DetectionSettings) -> None:
        self._settings = settings
        window = float(settings.window_seconds)
        self._guesses = Burst(count=settings.failed_logins, seconds=window)
        self._acts = Burst(count=settings.acts, seconds=window)
        self._secrets = Burst(count=settings.failed_secrets, seconds=window)
        self._odd = Burst(count=1, seconds=window)
        self._zone = ZoneInfo(settings.time_zone)
        self._rules: tuple[Callable[[Entry, float], Iterator[Alert]], ...] = (
            self._brute_force,
            self._impossible_rate,
            self._secret_scanning,
            self._odd_hours,
        )

    def feed(self, entry: Entry) -> list[Alert]:
        """What this entry gives away."""
        if entry.action.startswith(("alert.", "audit.")):
            return []
        at = parse_rfc3339(entry.at).timestamp()
        return [alert for rule in self._rules for alert in rule(entry, at)]

    def _brute_force(self, entry: Entry, at: float) -> Iterator[Alert]:
        if entry.action not in ("identity.login", "access.locked") or entry.outcome == "success":
            return
        for key in (entry.address and f"address {entry.address}", entry.actor != "anonymous" and entry.actor):
            if key and self._guesses.feed(key, at):
                yield Alert(
                    "brute force", key, f"many failed sign-ins of {key}", self._settings.failed_logins
                )

    def _impossible_rate(self, entry: Entry, at: float) -> Iterator[Alert]:
        if entry.actor.startswith("user:") and self._acts.feed(entry.actor, at):
            yield Alert("impossible rate", entry.actor, "more acts than a person can do", self._settings.acts)

    def _secret_scanning(self, entry: Entry, at: float) -> Iterator[Alert]:
        is_about = entry.action.startswith("secret.") or str(entry.details.get("action", "")).startswith(
            "secrets."
        )
        if is_about and entry.outcome != "success" and self._secrets.feed(entry.actor, at):
            yield Alert(
                "secret scanning",
                entry.actor,
                "many refused or unknown secrets",
                self._settings.failed_secrets,
            )

    def _odd_hours(self, entry: Entry, at: float) -> Iterator[Alert]:
        first, last = self._settings.office_hours
        if first == last or entry.action not in _PRIVILEGE or entry.outcome != "success":
            return
        hour = datetime.fromtimestamp(at, self._zone).hour
        is_office = first <= hour < last if first < last else hour >= first or hour < last
        if not is_office and self._odd.feed(entry.actor, at):
            yield Alert("privileges at odd hours", entry.actor, f"{entry.action} at {hour} o'clock")
