"""SQL in each parameter, paths that lead out, line breaks in headers."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from tests.acceptance.attacks.operations import attempts
from tests.acceptance.house import ROOT, House

SQL = [
    "' OR '1'='1",
    "1; DROP TABLE identity_users; --",
    "' UNION SELECT name, password, roles FROM identity_users --",
    '" OR ""="',
    "%' OR 1=1 --",
    "\\'; DELETE FROM audit_entries; --",
    "$1); SELECT pg_sleep(5); --",
]
#: What databases and their drivers say.
COMPLAINTS = ("sqlite3", "sqlalchemy", "psycopg", "syntax error", "OperationalError", "unrecognized token")


def tables_of(data: Path) -> dict[str, int]:
    connection = sqlite3.connect(f"file:{data / 'runstead.db'}?mode=ro", uri=True)
    try:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names}
    finally:
        connection.close()


@pytest.mark.req("SEC-001")
async def test_no_parameter_reaches_the_database_as_sql(world: House) -> None:
    root = world.clients[ROOT]
    before, count = tables_of(world.data), 0
    for text in SQL:
        for attempt in attempts(world, text):
            if attempt.operation.method == "delete" and attempt.where.startswith("query"):
                continue
            answer = await attempt.send(root)
            count += 1
            assert answer.status_code < 500, f"{attempt}: {answer.text}"
            said = answer.text.lower()
            assert not [word for word in COMPLAINTS if word.lower() in said], f"{attempt}: {answer.text}"
            assert "$argon2" not in said, str(attempt)
    after = tables_of(world.data)
    assert after.keys() == before.keys(), "a table is gone, or new"
    for name in ("identity_users", "identity_members", "apps_apps", "audit_entries"):
        if name in before:
            assert after[name] >= before[name], f"{name} lost rows"
    assert count > 700, "what is attacked is what the description lists"


async def test_a_search_for_sql_finds_only_what_says_so(world: House) -> None:
    root = world.clients[ROOT]
    for path, name in (("/api/audit", "actor"), ("/api/audit", "resource"), ("/api/log", "q")):
        everything = (await root.get(path)).json()
        answer = await root.get(path, params={name: "' OR '1'='1"})
        found = answer.json()
        rows = found["entries" if "entries" in found else "logs"] if answer.status_code == 200 else []
        assert answer.status_code in (200, 400)
        assert rows == [], path
        assert everything


PATHS = [
    "../../../../../../../../etc/passwd",
    "..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
    "%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "..\\..\\..\\etc\\passwd",
    "/etc/passwd",
    "....//....//etc/passwd",
    "..%c0%af..%c0%afetc/passwd",
    "../admin-token",
    "../../data/master-key",
    "..%00/admin-token",
    "C:\\windows\\win.ini",
]


@pytest.mark.req("SEC-001")
async def test_no_path_leads_out(world: House) -> None:
    root = world.clients[ROOT]
    (world.data / "canary").write_text("canary-of-the-data-folder")
    hidden = ["root:x:0:0", "canary-of-the-data-folder", (world.data / "master-key").read_text().strip()]
    for text in PATHS:
        for attempt in attempts(world, text):
            answer = await attempt.send(root)
            assert answer.status_code < 500, f"{attempt}: {answer.text}"
            assert not [one for one in hidden if one in answer.text], str(attempt)
    for path in (
        "/docs/",
        "/auth/",
        "/v1/artifacts/a/b/c/runs/",
        "/api/endpoints/wordcount/runs/x/artifacts/",
    ):
        for text in (*PATHS, "../../../canary", "%2e%2e/%2e%2e/canary"):
            answer = await root.get(path + text)
            assert answer.status_code in (307, 308, 400, 403, 404, 405), path + text
            assert not [one for one in hidden if one in answer.text], path + text


@pytest.mark.req("SEC-001")
async def test_no_answer_gets_a_header_of_the_senders_making(world: House) -> None:
    root = world.clients[ROOT]
    for text in (
        "x\r\nSet-Cookie: stolen=1",
        "x\nX-Injected: 1",
        "x\r\n\r\n<html>",
        "x\u010d\u010aX-Injected: 1",
    ):
        for attempt in attempts(world, text):
            answer = await attempt.send(root)
            assert answer.status_code < 500, f"{attempt}: {answer.text}"
            assert "x-injected" not in answer.headers, str(attempt)
            assert "stolen" not in answer.headers.get("set-cookie", ""), str(attempt)
            assert not [value for value in answer.headers.values() if "\n" in value or "\r" in value]
