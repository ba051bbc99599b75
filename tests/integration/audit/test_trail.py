"""The trail on both databases and through HTTP."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from runstead.kernel.errors import BadRequestError
from runstead.platform.audit import MIGRATIONS, Audit, AuditSettings, Filter
from runstead.platform.audit.denials import Denials
from runstead.platform.audit.detection import Alert
from runstead.platform.audit.http import audit_routes
from runstead.platform.audit.settings import DetectionSettings
from runstead.platform.audit.tables import entries, marks
from runstead.platform.identity.asking import on_behalf_of
from runstead.platform.storage.sql import Database, DatabaseError, migrate
from runstead.testing.clock import FakeClock
from runstead.testing.scenario import AS_ADMINISTRATOR, AS_OPERATOR, Scenario, running

KEY = b"k" * 32


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def audit(database: Database, clock: FakeClock) -> Audit:
    await migrate(database, {"audit": MIGRATIONS})
    return Audit(database, key=KEY, settings=AuditSettings(retention_days=30), clock=clock)


async def tamper(database: Database, *statements: Any) -> None:
    """As somebody does who has the database, but not the key: without the triggers."""

    def work(connection: sa.Connection) -> None:
        drop = (
            (
                "DROP TRIGGER IF EXISTS audit_entries_no_update",
                "DROP TRIGGER IF EXISTS audit_entries_no_delete",
            )
            if database.dialect == "sqlite"
            else ("DROP TRIGGER IF EXISTS audit_entries_keep ON audit_entries",)
        )
        for statement in drop:
            connection.execute(sa.text(statement))
        for statement in statements:
            connection.execute(statement)

    await database.change_schema(work)


async def test_an_act_and_its_entry_stand_or_fall_together(audit: Audit, database: Database) -> None:
    traced = audit.note("user.create", resource="user:1")

    def fails(connection: sa.Connection) -> None:
        traced(connection)
        raise BadRequestError

    with pytest.raises(BadRequestError):
        await database.write(fails)
    assert await audit.query(Filter(), limit=10) == []
    await database.write(traced)
    (one,) = await audit.query(Filter(), limit=10)
    assert (one.seq, one.entry.action, one.entry.actor) == (1, "user.create", "server")


async def test_a_thousand_acts_at_once_give_an_unbroken_chain(audit: Audit) -> None:
    await asyncio.gather(*(audit.write("job.start", resource=f"job:{n}") for n in range(1000)))
    verdict = await audit.verify()
    assert (verdict.whole, verdict.entries) == (True, 1000)
    found = [one async for page in audit.export(Filter()) for one in page]
    assert [one.seq for one in found] == list(range(1, 1001))
    assert {one.entry.resource for one in found} == {f"job:{n}" for n in range(1000)}


@pytest.mark.req("LOG-008")
async def test_the_database_refuses_to_change_or_remove_an_entry(audit: Audit, database: Database) -> None:
    await audit.write("user.create")
    for statement in (entries.update().values(actor="nobody"), entries.delete()):
        with pytest.raises(DatabaseError):
            await database.write(lambda connection, it=statement: connection.execute(it).rowcount)  # type: ignore[misc]
    assert (await audit.verify()).whole


@pytest.mark.parametrize("column", [one.name for one in entries.c if one.name not in ("seq", "details")])
async def test_an_edit_of_any_column_is_found(audit: Audit, database: Database, column: str) -> None:
    for number in range(5):
        await audit.write("user.create", resource=f"user:{number}")
    await tamper(database, entries.update().where(entries.c.seq == 3).values(**{column: "0000"}))
    verdict = await audit.verify()
    assert (verdict.whole, verdict.broken_at) == (False, 3)


async def test_details_renumbering_removal_and_a_cut_end_are_found(audit: Audit, database: Database) -> None:
    for number in range(6):
        await audit.write("user.create", details={"n": number})
    assert (await audit.verify()).whole
    await tamper(database, entries.update().where(entries.c.seq == 2).values(details='{"n": 9}'))
    assert (await audit.verify()).broken_at == 2
    await tamper(database, entries.update().where(entries.c.seq == 2).values(details="{"))
    assert (await audit.verify()).broken_at == 2
    await tamper(database, entries.update().where(entries.c.seq == 2).values(details='{"n": 1}'))
    assert (await audit.verify()).whole, "as it was"
    await tamper(database, entries.delete().where(entries.c.seq == 6))
    assert (await audit.verify()).broken_at == 6
    await tamper(database, marks.update().values(seq=5))
    assert not (await audit.verify()).whole, "the mark of the end is sealed"
    await tamper(database, entries.delete(), marks.delete())
    await audit.write("user.create")
    assert (await audit.verify()).whole, "an empty trail that begins anew is one: copy it out in time"


@pytest.mark.req("LOG-008")
async def test_old_entries_go_and_the_rest_still_verifies(audit: Audit, clock: FakeClock) -> None:
    assert await audit.sweep() == 0
    for number in range(10):
        await audit.write("user.create", resource=f"user:{number}")
        clock.advance(timedelta(days=5).total_seconds())
    assert await audit.sweep() == 4
    verdict = await audit.verify()
    assert (verdict.whole, verdict.entries) == (True, 7)
    newest = (await audit.query(Filter(), limit=1))[0].entry
    assert newest.action == "audit.retention"
    clock.advance(timedelta(days=100).total_seconds())
    assert await audit.sweep() == 7
    assert (await audit.verify()).whole
    await audit.write("user.create")
    assert (await audit.verify()).entries == 2


async def test_filters_and_pages(audit: Audit, clock: FakeClock) -> None:
    with on_behalf_of("user:ada", address="203.0.113.1", request_id="r1"):
        await audit.write("user.create", resource="user:1")
        await audit.write("user.change", outcome="denied", resource="user:1")
    clock.advance(60)
    await audit.write("app.put", resource="app:hello")

    async def actions(**wanted: str) -> list[str]:
        return [one.entry.action for one in await audit.query(Filter(**wanted), limit=10)]

    assert await actions(actor="user:ada") == ["user.change", "user.create"]
    assert await actions(action="user.") == ["user.change", "user.create"]
    assert await actions(action="user.create") == ["user.create"]
    assert await actions(action="user") == []
    assert await actions(action="%.") == []
    assert await actions(outcome="denied") == await actions(severity="warning") == ["user.change"]
    assert await actions(request_id="r1", address="203.0.113.1") == ["user.change", "user.create"]
    assert await actions(resource="app:hello") == await actions(since="2026-01-01T00:00:30Z") == ["app.put"]
    assert await actions(until="2026-01-01T00:00:30Z", actor="server") == []
    page = await audit.query(Filter(), limit=2)
    assert [one.seq for one in page] == [3, 2]
    assert [one.seq for one in await audit.query(Filter(), limit=2, before=2)] == [1]


@pytest.mark.req("SEC-012")
async def test_an_alert_is_written_down_and_told_once(database: Database, clock: FakeClock) -> None:
    await migrate(database, {"audit": MIGRATIONS})
    told: asyncio.Queue[Alert] = asyncio.Queue()
    settings = AuditSettings(detection=DetectionSettings(failed_logins=3))
    audit = Audit(database, key=KEY, settings=settings, clock=clock, on_alert=told.put)
    async with audit.opened():
        with on_behalf_of("anonymous", address="203.0.113.9"):
            for _ in range(5):
                await audit.write("identity.login", outcome="failure")
        alert = await asyncio.wait_for(told.get(), 10)
    assert (alert.rule, alert.key) == ("brute force", "address 203.0.113.9")
    assert told.empty()
    (written,) = await audit.query(Filter(action="alert.raised"), limit=10)
    assert (written.entry.severity, written.entry.actor) == ("alert", "server")


SCENARIOS = [
    Scenario(name=f"{who} {path}", url=f"/api/audit{path}", status=status, headers=headers)
    for path in ("", "/export", "/verify")
    for who, headers, status in (
        ("nobody", {}, 401),
        ("operator", AS_OPERATOR, 403),
        ("root", AS_ADMINISTRATOR, 200),
    )
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
async def test_doors(audit: Audit, scenario: Scenario) -> None:
    async with running(routes=[audit_routes(audit)]) as client:
        await scenario.run(client)


@pytest.mark.req("LOG-008")
@pytest.mark.req("SEC-012")
async def test_it_is_read_and_exported_in_each_form(audit: Audit) -> None:
    async with running(routes=[audit_routes(audit)], headers=AS_ADMINISTRATOR) as client:
        for number in range(3):
            await audit.write("user.create", resource=f"user:{number}")
        page = (await client.get("/api/audit", params={"limit": 2})).json()
        assert [one["seq"] for one in page["entries"]] == [3, 2]
        rest = (await client.get("/api/audit", params={"cursor": page["next_cursor"]})).json()
        assert [one["seq"] for one in rest["entries"]] == [1]
        for form in ("ndjson", "cef", "ocsf"):
            lines = (await client.get("/api/audit/export", params={"format": form, "action": "user."})).text
            assert len(lines.splitlines()) == 3
        exported = (await client.get("/api/audit", params={"action": "audit.export"})).json()["entries"]
        assert exported[0]["details"] == {"format": "ocsf", "action": "user."}
        assert exported[0]["actor"] == "machine:administrator"
        assert (await client.get("/api/audit/verify")).json()["whole"] is True
        assert json.loads((await client.get("/api/audit/export")).text.splitlines()[0])["seq"] == 1


async def test_whoever_is_refused_is_written_down_once_a_minute(audit: Audit) -> None:
    denials = Denials(audit)
    async with running(routes=[audit_routes(audit)], witness=denials, headers=AS_OPERATOR) as client:
        for _ in range(5):
            assert (await client.get("/api/audit")).status_code == 403
        assert (await client.get("/api/audit/verify")).status_code == 403
    found = await audit.query(Filter(action="access.denied"), limit=10)
    assert [one.entry.details["action"] for one in found] == ["audit.verify", "audit.read"]
    assert {one.entry.actor for one in found} == {"machine:operator"}
