# ruff: noqa: E501 - scripts
"""Databases of apps, in both styles: tables by name, SQL by promises, transactions, leases, isolation, limits."""

from __future__ import annotations

import asyncio
import json
import secrets as randomness
from pathlib import Path

import pytest
from tests.conformance.apps.town import Town, open_town

from runstead.capabilities.apps.database import sessions
from runstead.platform.execution.script import ScriptPool
from runstead.platform.storage.sql import Database

SHOP = r"""
const J = JSON.parse;
const must = (text) => { const value = J(text); if (value.error) throw new Error(value.error); return value; };
function setup() {
  must(database.createTable('people'));
  must(database.addTextColumn('people', 'name', false, 'nobody'));
  must(database.createTable('orders'));
  must(database.addIntegerColumn('orders', 'amount', true, 7));
  must(database.addTextColumn('orders', 'note'));
  must(database.addBooleanColumn('orders', 'paid', false, false));
  must(database.addTimestampColumn('orders', 'at'));
  must(database.addReferenceColumn('orders', 'person', 'people'));
  must(database.addUniqueIndex('people', JSON.stringify(['name'])));
  return 'ready';
}
function crud() {
  const ada = must(database.insert('people', JSON.stringify({ name: 'Ada' })));
  const one = must(database.insert('orders', { person: ada.id, paid: true, at: '2026-01-31T12:00:00Z' }));
  const two = must(database.insert('orders', JSON.stringify({ amount: 20, note: "it's" })));
  const changed = must(database.update('orders', two.id, JSON.stringify({ amount: 21 })));
  const kept = must(database.upsert('people', JSON.stringify(['name']), JSON.stringify({ name: 'Ada' })));
  const made = must(database.upsert('people', JSON.stringify({ name: 'Bob' }), '{}'));
  const found = must(database.query('orders', JSON.stringify({ amount: { $gte: 7, $lt: 21, $ne: 8 } }), 10, 'amount', 'desc'));
  const all = must(database.query('orders'));
  const none = must(database.query('orders', JSON.stringify({ note: null, amount: { $gt: 100 } })));
  const gone = must(database.delete('orders', one.id));
  const rest = must(database.deleteWhere('orders', JSON.stringify({ amount: { $lte: 21 } })));
  return Response.json({ ada, one, two, changed, kept, made, found, all: all.length, none, gone, rest });
}
function mistakes() {
  return Response.json([
    database.createTable('bad name'), database.createTable('sqlite_x'), database.query('nowhere'), database.insert('people', '{"name":'),
    database.insert('people', JSON.stringify({ nothing: 1 })), database.update('people', 999, '{"name":"x"}'), database.delete('people', 'x; drop'),
    database.query('people', JSON.stringify({ 'name" or 1=1 --': 1 })), database.query('people', JSON.stringify({ name: { $like: 'x' } })),
    database.deleteWhere('people', '{}'), database.dropColumn('people', 'id'), database.insert('people', JSON.stringify({ name: 'Ada' })),
    database.insert('people', JSON.stringify({ name: 'Ada' })), database.commitTransaction(), database.releaseSavepoint('x'),
  ].map((text) => J(text).error ?? 'ok'));
}
function forms() {
  must(database.createTable('passing'));
  must(database.addIntegerColumn('passing', 'n'));
  must(database.dropColumn('passing', 'n'));
  must(database.dropTable('passing'));
  return Response.json(J(database.generateGraphQLForTable('people', '{}')));
}
function commits() { must(database.beginTransaction(5000)); must(database.insert('people', '{"name":"committed"}')); return 'ok'; }
function throwsAway() { must(database.beginTransaction()); must(database.insert('people', '{"name":"thrown"}')); throw new Error('no'); }
function steps() {
  must(database.beginTransaction());
  must(database.insert('people', '{"name":"first"}'));
  must(database.createSavepoint('a'));
  must(database.insert('people', '{"name":"second"}'));
  must(database.rollbackToSavepoint('a'));
  const auto = must(database.createSavepoint());
  must(database.insert('people', '{"name":"third"}'));
  must(database.releaseSavepoint(auto.savepoint));
  const twice = J(database.beginTransaction()).error;
  must(database.commitTransaction());
  must(database.beginTransaction());
  must(database.insert('people', '{"name":"fourth"}'));
  must(database.rollbackTransaction());
  return Response.json({ twice, names: must(database.query('people')).map((row) => row.name) });
}
function lease(c) { must(database.createLeaseTable('leases')); return Response.json(J(database.acquireLease('leases', 'job', c.request.query.who, Number(c.request.query.ms)))); }
function add(c) { must(database.beginTransaction()); const row = must(database.query('counters'))[0]; must(database.update('counters', row.id, { n: row.n + 1 })); return 'ok'; }
function counter() { must(database.createTable('counters')); must(database.addIntegerColumn('counters', 'n', false, 0)); must(database.insert('counters', '{"n":0}')); return 'ok'; }
function count() { return Response.json(must(database.query('counters'))[0]); }

async function sql() {
  const taken = await db.migrate(["create table notes (id integer primary key, text text, version integer not null default 1)", "create index notes_text on notes (text)"]);
  const again = await db.migrate(["create table notes (id integer primary key, text text, version integer not null default 1)", "create index notes_text on notes (text)"]);
  const done = await db.execute("insert into notes (id, text) values (?, ?), ($3, $4)", [1, "a?b", 2, "x"]);
  const rows = await db.query("select id, text from notes where text <> '?' and id >= ? order by id", [1]);
  const back = await db.execute("update notes set text = ? where id = ? returning text", ["y", 2]);
  return Response.json({ taken, again, done: done.changes, rows, back: back.rows });
}
async function transactions() {
  await db.execute("delete from notes");
  const inside = await db.transaction(async (tx) => { await tx.execute("insert into notes (id, text) values (10, 'in')"); return (await tx.query("select count(*) as n from notes"))[0].n; });
  let outer = null;
  const failed = await db.transaction(async (tx) => {
    await tx.execute("insert into notes (id, text) values (11, 'out')");
    outer = await db.execute("delete from notes").then(() => 'done', (error) => error.message);
    throw new Error('undo');
  }).catch((error) => error.message);
  return Response.json({ inside, failed, outer, rows: await db.query("select id from notes") });
}
async function versions() {
  await db.execute("delete from notes");
  await db.execute("insert into notes (id, text) values (1, 'old')");
  const [row] = await db.query("select * from notes");
  const first = await db.updateVersioned("notes", row, { text: 'mine' });
  const second = await db.updateVersioned("notes", row, { text: 'yours' }).catch((error) => ({ name: error.name, status: error.status, current: error.current.text, yours: error.yours.text }));
  return Response.json({ first: [first.text, first.version], second });
}
async function refused(c) { return Response.json(await db.execute(c.request.body).then((done) => ({ done }), (error) => ({ error: error.message }))); }
async function read(c) { return Response.json(await db.query(c.request.body).then((rows) => ({ rows }), (error) => ({ error: error.message }))); }
function init() {
  for (const name of ['setup', 'crud', 'mistakes', 'forms', 'commits', 'throwsAway', 'steps', 'lease', 'add', 'counter', 'count', 'sql', 'transactions', 'versions']) register('/' + name, name);
  register('/refused', refused, 'POST');
  register('/read', read, 'POST');
}
"""


@pytest.fixture
async def shop(town: Town) -> Town:
    await town.put("shop", SHOP)
    assert await town.answer("GET", "/setup") == "ready"
    return town


@pytest.mark.req("DATA-003")
async def test_tables_by_name_and_value(shop: Town) -> None:
    found = await shop.answer("GET", "/crud")
    assert found["ada"]["name"] == "Ada"
    assert found["one"]["paid"] is True
    assert found["one"]["amount"] == 7
    assert found["one"]["person"] == found["ada"]["id"]
    assert found["one"]["at"].startswith("2026-01-31T12:00:00")
    assert found["two"] == {**found["two"], "note": "it's", "paid": False, "person": None}
    assert found["changed"]["amount"] == 21
    assert found["kept"]["id"] == found["ada"]["id"]
    assert found["made"]["name"] == "Bob"
    assert [row["amount"] for row in found["found"]] == [7]
    assert found["all"] == 2
    assert found["none"] == []
    assert found["gone"]["deleted"] == 1
    assert found["rest"]["deleted"] == 1


async def test_mistakes_are_answered_as_errors_and_nothing_is_lost(shop: Town) -> None:
    said = await shop.answer("GET", "/mistakes")
    assert [text == "ok" for text in said] == [False] * 11 + [True, False, False, False], said
    assert all(isinstance(text, str) and len(text) > 4 for text in said[:11])
    operations = await shop.answer("GET", "/forms")
    assert operations["queries"] == ["people", "peopleById"]


async def test_a_handler_that_returns_commits_and_one_that_throws_does_not(shop: Town) -> None:
    assert await shop.answer("GET", "/commits") == "ok"
    assert (await shop.client.get("/throwsAway")).status_code == 500
    found = await shop.answer("GET", "/steps")
    assert found["twice"] == "a transaction is open already"
    assert found["names"] == ["committed", "first", "third"]


async def test_a_lease_has_one_owner(shop: Town) -> None:
    first = await shop.answer("GET", "/lease", params={"who": "a", "ms": 60_000})
    assert first["acquired"] is True
    other = await shop.answer("GET", "/lease", params={"who": "b", "ms": 60_000})
    assert (other["acquired"], other["owner"]) == (False, "a")
    assert (await shop.answer("GET", "/lease", params={"who": "a", "ms": 1}))["acquired"] is True
    await asyncio.sleep(0.01)
    assert (await shop.answer("GET", "/lease", params={"who": "b", "ms": 60_000}))["owner"] == "b"


@pytest.mark.req("DATA-003", "DATA-006")
async def test_transactions_of_many_requests_lose_nothing(shop: Town) -> None:
    assert await shop.answer("GET", "/counter") == "ok"
    answers = await asyncio.gather(*(shop.client.get("/add") for _ in range(20)))
    succeeded = sum(answer.status_code == 200 for answer in answers)
    assert succeeded >= 1
    # On PostgreSQL one of two that meet is refused; what was answered with success has happened.
    assert (await shop.answer("GET", "/count"))["n"] == succeeded


@pytest.mark.req("DATA-003", "DATA-006")
async def test_sql_by_promises(shop: Town) -> None:
    found = await shop.answer("GET", "/sql")
    assert found["taken"] == {"taken": 2, "version": 2}
    assert found["again"] == {"taken": 0, "version": 2}
    assert found["done"] == 2
    assert found["rows"] == [{"id": 1, "text": "a?b"}, {"id": 2, "text": "x"}]
    assert found["back"] == [{"text": "y"}]
    assert await shop.answer("GET", "/transactions") == {
        "inside": 1,
        "failed": "undo",
        "outer": "a transaction is open: use what it was given",
        "rows": [{"id": 10}],
    }
    assert await shop.answer("GET", "/versions") == {
        "first": ["mine", 2],
        "second": {"name": "ConflictError", "status": 409, "current": "mine", "yours": "yours"},
    }


REFUSED = (
    "attach database '/etc/passwd' as x",
    "detach main",
    "pragma journal_mode = off",
    "pragma writable_schema = on",
    "vacuum into '/tmp/stolen.db'",
    "begin",
    "commit",
    "savepoint x",
    "set role postgres",
    "reset role",
    "set session authorization runstead",
    "copy people to '/tmp/stolen'",
    "copy people from program 'id'",
    "do $$ begin perform 1; end $$",
    "call nothing()",
    "listen x",
    "select set_config('role', 'runstead', false)",
    "select load_extension('x')",
    "select pg_read_file('/etc/passwd')",
    "select * from apps_apps",
    "select * from public.apps_apps",
    "select * from apps_storage",
    "create schema other",
    "create extension dblink",
    "create role other",
    "select 1; drop table people",
    "insert into people (name) values ('a'); delete from people",
    "",
    ";",
    "-- nothing",
    "nonsense",
    "create function f() returns int language sql as 'select 1'",
    "create or replace function f() returns int language plpgsql as $$ begin return 1; end $$",
    "create  PROCEDURE p() language sql as 'select 1'",
    "create user somebody",
    "create database other",
    "alter role current_user set statement_timeout = 0",
    "alter system set work_mem = '1GB'",
    "alter default privileges grant all on tables to public",
    "drop role runstead",
    "drop schema public cascade",
    "drop owned by current_user",
    "select pg_advisory_lock(1)",
    "select pg_catalog.pg_try_advisory_lock(1)",
    "select pg_notify('runstead', 'x')",
    "select lo_create(0)",
    "select pg_terminate_backend(1)",
    "select file from pragma_database_list",
    "select * from pragma_journal_mode('off')",
)


@pytest.mark.req("SEC-008")
@pytest.mark.parametrize("statement", REFUSED)
async def test_nothing_beyond_the_own_database_can_be_said(shop: Town, statement: str) -> None:
    told = await shop.answer("POST", "/refused", content=statement)
    assert "error" in told, told
    assert "data.db" not in told["error"], "no path of ours"
    assert "done" in await shop.answer(
        "POST", "/refused", content="insert into people (name) values ('still')"
    )


async def test_what_apps_make_can_be_made(shop: Town) -> None:
    for statement in (
        "create table made (id integer primary key, text text, hello_world text)",
        "create unique index made_text on made (text)",
        "create view seen as select text from made",
        "create temp table passing (a integer)",
        "alter table made add column more text",
        "drop view seen",
        "drop index made_text",
        "drop table made",
    ):
        told = await shop.answer("POST", "/refused", content=statement)
        assert "done" in told, (statement, told)


async def test_reading_reads(shop: Town) -> None:
    told = await shop.answer("POST", "/read", content="delete from orders")
    assert "error" in told
    told = await shop.answer("POST", "/read", content="select count(*) as n from people")
    assert told == {"rows": [{"n": 0}]}


@pytest.mark.req("SEC-008")
async def test_apps_do_not_see_each_others_tables(shop: Town) -> None:
    await shop.put(
        "thief",
        "async function steal() { return Response.json(await db.query('select * from people').catch((e) => e.message)); }"
        "function names() { return Response.json(JSON.parse(database.query('people'))); }"
        "function init() { register('/steal', steal); register('/names', names); }",
    )
    assert "people" in await shop.answer("GET", "/steal")
    assert "error" in await shop.answer("GET", "/names")
    gone = await shop.host.api("DELETE", "/shop")
    assert gone.status_code == 204
    await shop.put("shop", SHOP)
    assert await shop.answer("GET", "/setup") == "ready", "a new app of that name begins with nothing"


async def test_everything_can_be_taken_away(shop: Town) -> None:
    assert await shop.answer("GET", "/commits") == "ok"
    answer = await shop.host.api("GET", "/shop/database")
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    tables = {line["table"]: line["columns"] for line in lines if "table" in line}
    assert tables == {"orders": ["id", "amount", "note", "paid", "at", "person"], "people": ["id", "name"]}
    assert [line["row"] for line in lines if "row" in line] == [[1, "committed"]]
    assert "done" in await shop.answer(
        "POST", "/refused", content="insert into people (name) values ('after')"
    )


async def test_limits_of_statements(
    database: Database, database_url: str, tmp_path: Path, pool: ScriptPool
) -> None:
    limits = {"rows_max": 50, "statement_ms": 300, "bytes_max": 2**20}
    async with open_town(database, database_url, tmp_path, pool, database=limits) as town:
        await town.put("shop", SHOP)
        many = "with recursive n(i) as (select 1 union all select i + 1 from n where i < {}) select {} from n"
        told = await town.answer("POST", "/read", content=many.format(100, "i"))
        assert "50 rows" in told["error"]
        told = await town.answer("POST", "/read", content=many.format(10**9, "max(i)"))
        assert "300 ms" in told["error"]
        assert await town.answer("POST", "/read", content="select 1 as one") == {"rows": [{"one": 1}]}


async def test_a_database_is_no_larger_than_it_may_be(
    database: Database, database_url: str, tmp_path: Path, pool: ScriptPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On PostgreSQL its size is looked at when a connection is made.
    monkeypatch.setattr(sessions, "AGE_SECONDS_MAX", 0.0)
    async with open_town(database, database_url, tmp_path, pool, database={"bytes_max": 2**20}) as town:
        await town.put("shop", SHOP)
        assert await town.answer("GET", "/setup") == "ready"
        # Nothing that a database could make smaller.
        fill = "insert into orders (note) values ('{}')"
        texts = [randomness.token_hex(40_000) for _ in range(40)]
        told = [await town.answer("POST", "/refused", content=fill.format(text)) for text in texts]
        assert "bytes_max" in told[-1]["error"]
        assert "done" in told[0]
        assert "done" in await town.answer("POST", "/refused", content="delete from orders")


async def test_a_request_that_is_given_up_leaves_nothing_half_done(
    database: Database, database_url: str, tmp_path: Path, pool: ScriptPool
) -> None:
    source = """
    const slow = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 100000000) select max(i) as m from n";
    async function long() {
      await db.transaction(async (tx) => { await tx.execute("insert into t (a) values (1)"); await tx.query(slow); });
      return 'done';
    }
    async function short() { await db.execute("insert into t (a) values (2)"); return Response.json(await db.query("select a from t")); }
    async function init() { await db.migrate(["create table t (a integer)"]); register('/long', long); register('/short', short); }
    """
    async with open_town(
        database, database_url, tmp_path, pool, request_timeout_ms=500, database={"statement_ms": 1500}
    ) as town:
        await town.put("giving", source)
        answers = await asyncio.gather(*(town.client.get("/long") for _ in range(3)))
        assert {answer.status_code for answer in answers} <= {408, 500, 504}
        async with asyncio.timeout(30):
            while (answer := await town.client.get("/short")).status_code != 200:  # noqa: ASYNC110 - the last one ends
                await asyncio.sleep(0.05)
        assert answer.json() == [{"a": 2}] * len(answer.json()), "of the long ones nothing stayed"
