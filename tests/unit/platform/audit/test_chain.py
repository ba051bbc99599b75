"""The chain, the forms of export and the detection rules."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstead.platform.audit.actions import ACTIONS, severity_of
from runstead.platform.audit.chain import DETAILS_BYTES_MAX, GENESIS, Entry, Stored, bounded, link, seal
from runstead.platform.audit.detection import Burst, Detector
from runstead.platform.audit.export import cef, ndjson, ocsf
from runstead.platform.audit.settings import DetectionSettings
from runstead.platform.audit.verification import Mark, verify_all

KEY = b"k" * 32


def entry(second: int = 0, **facts: Any) -> Entry:
    minute, rest = divmod(second, 60)
    values: dict[str, Any] = {
        "at": f"2026-01-05T03:{minute:02}:{rest:02}.000000Z",
        "action": "user.create",
        "outcome": "success",
        "severity": "notice",
        "actor": "user:ada",
    }
    return Entry(**(values | facts))


def chained(
    entries: list[Entry], start: int = 0, previous: str = GENESIS
) -> tuple[list[Stored], Mark | None]:
    stored: list[Stored] = []
    for seq, one in enumerate(entries, start + 1):
        previous = link(KEY, previous, seq, one)
        stored.append(Stored(seq=seq, entry=one, hash=previous))
    seq = start + len(entries)
    return stored, (seq, previous, seal(KEY, "head", seq, previous)) if stored else None


ENTRIES = st.lists(
    st.builds(
        entry,
        st.integers(0, 3000),
        action=st.sampled_from(sorted(ACTIONS)),
        actor=st.text(max_size=20),
        details=st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3),
    ),
    min_size=1,
    max_size=12,
)


@given(ENTRIES)
def test_a_chain_that_nobody_touched_is_whole(entries: list[Entry]) -> None:
    stored, head = chained(entries)
    assert verify_all(KEY, stored, head=head).whole
    assert not verify_all(b"x" * 32, stored, head=head).whole, "another key sees nothing whole"


@given(ENTRIES, st.data())
def test_any_change_of_any_entry_is_found_at_its_place(entries: list[Entry], data: st.DataObject) -> None:
    stored, head = chained(entries)
    at = data.draw(st.integers(0, len(stored) - 1))
    name = data.draw(
        st.sampled_from(["at", "actor", "resource", "address", "request_id", "outcome", "action"])
    )
    changed = replace(stored[at].entry, **{name: getattr(stored[at].entry, name) + "x"})
    stored[at] = replace(stored[at], entry=changed)
    verdict = verify_all(KEY, stored, head=head)
    assert (verdict.whole, verdict.broken_at) == (False, at + 1)


@given(ENTRIES, st.data())
def test_any_removal_any_insertion_and_any_exchange_is_found(
    entries: list[Entry], data: st.DataObject
) -> None:
    stored, head = chained(entries)
    at = data.draw(st.integers(0, len(stored) - 1))
    removed = stored[:at] + stored[at + 1 :]
    verdict = verify_all(KEY, removed, head=head)
    assert (verdict.whole, verdict.broken_at) == (False, at + 1)
    assert not verify_all(KEY, [*stored[:at], stored[at], *stored[at:]], head=head).whole
    renumbered = [replace(one, seq=number) for number, one in enumerate(removed, 1)]
    assert not verify_all(KEY, renumbered, head=head).whole
    if at:
        swapped = [*stored]
        swapped[at - 1], swapped[at] = swapped[at], swapped[at - 1]
        assert not verify_all(KEY, swapped, head=head).whole


def test_a_mark_that_somebody_else_made_is_found() -> None:
    stored, head = chained([entry(second) for second in range(5)])
    assert head is not None
    cut = stored[:3]
    forged = (3, cut[-1].hash, seal(b"x" * 32, "head", 3, cut[-1].hash))
    assert "somebody else" in verify_all(KEY, cut, head=forged).reason
    copied = (3, cut[-1].hash, head[2])
    assert not verify_all(KEY, cut, head=copied).whole
    assert not verify_all(KEY, cut, head=None).whole
    as_checkpoint = (3, cut[-1].hash, seal(KEY, "head", 3, cut[-1].hash))
    assert not verify_all(KEY, stored[3:], head=head, checkpoint=as_checkpoint).whole, (
        "a head is no checkpoint"
    )


def test_a_chain_goes_on_after_a_checkpoint() -> None:
    stored, head = chained([entry(second) for second in range(5)])
    checkpoint = (3, stored[2].hash, seal(KEY, "checkpoint", 3, stored[2].hash))
    assert verify_all(KEY, stored[3:], head=head, checkpoint=checkpoint).whole
    assert verify_all(KEY, stored[4:], head=head, checkpoint=checkpoint).broken_at == 4
    assert verify_all(KEY, [], head=None).whole


def test_every_action_has_a_severity_and_what_fails_is_a_warning() -> None:
    for action in ACTIONS:
        assert severity_of(action, "failure") in ("warning", "alert")
    assert severity_of("identity.login", "success") == "info"
    with pytest.raises(KeyError):
        severity_of("made.up", "success")


def test_details_are_bounded_and_plain() -> None:
    assert bounded({"a": None, "b": (1, 2), "c": {"d": object}}).keys() == {"b", "c"}
    assert bounded({"huge": "x" * DETAILS_BYTES_MAX}) == {"cut": ["huge"]}
    assert bounded(None) == {}


def test_cef_escapes_what_would_end_a_field() -> None:
    nasty = entry(actor="a=b\\c\nd", resource="x|y=z", details={"text": "p=q"})
    line = cef(Stored(seq=7, entry=nasty, hash="h")).decode()
    assert line.count("\n") == 1
    assert line.startswith("CEF:0|Runstead|Runstead|")
    assert "suser=a\\=b\\\\c\\nd " in line
    assert "cs1=x|y\\=z" in line
    header = line.split("rt=")[0]
    assert header.count("|") - header.count("\\|") == 7


@given(st.text(max_size=50))
def test_each_form_is_one_line_whatever_is_in_it(text: str) -> None:
    stored = Stored(seq=1, entry=entry(actor=text, resource=text, details={text: text}), hash="h")
    for form in (ndjson, cef, ocsf):
        line = form(stored)
        assert line.endswith(b"\n")
        assert line.count(b"\n") == 1
    assert json.loads(ndjson(stored))["actor"] == text
    assert json.loads(ocsf(stored))["actor"]["user"]["uid"] == text


@given(st.lists(st.floats(0, 100), max_size=60).map(sorted), st.integers(1, 5), st.floats(0.1, 20))
def test_a_burst_is_what_counting_says(times: list[float], count: int, seconds: float) -> None:
    burst, silent_until = Burst(count=count, seconds=seconds), 0.0
    for index, at in enumerate(times):
        window = times[max(0, index - count + 1) : index + 1]
        expected = len(window) == count and at - window[0] <= seconds and at >= silent_until
        assert burst.feed("key", at) == expected
        if expected:
            silent_until = at + seconds


def test_the_rules_find_what_they_are_for_and_say_it_once() -> None:
    detector = Detector(DetectionSettings(failed_logins=3, acts=20, failed_secrets=2, office_hours=(8, 18)))

    def rules(one: Entry) -> list[str]:
        return [alert.rule for alert in detector.feed(one)]

    guess = {"action": "identity.login", "outcome": "failure", "actor": "anonymous", "address": "203.0.113.5"}
    assert [rules(entry(second, **guess)) for second in range(4)] == [[], [], ["brute force"], []]
    scan = {"action": "secret.read", "outcome": "denied", "actor": "app:shop"}
    assert [rules(entry(second, **scan)) for second in range(3)] == [[], ["secret scanning"], []]
    assert rules(entry(0, action="grant.create", actor="user:eve")) == ["privileges at odd hours"]
    late = entry(0, action="grant.create", actor="user:bob", at="2026-01-05T12:00:00.000000Z")
    assert rules(late) == [], "office hours"
    busy = [rules(entry(second, action="job.start", actor="user:zoe")) for second in range(30)]
    assert [one for one in busy if one] == [["impossible rate"]]
    assert rules(entry(0, action="alert.raised", actor="server")) == [], "no alert about alerts"
