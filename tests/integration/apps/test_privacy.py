"""What apps know of a person: told, and forgotten."""

from __future__ import annotations

import pytest

from runstead.capabilities.apps import MIGRATIONS
from runstead.capabilities.apps.assets import AssetStore
from runstead.capabilities.apps.privacy import AppsPersonalData
from runstead.capabilities.apps.storage import AppStorage
from runstead.kernel.privacy import Person
from runstead.platform.storage.sql import Database, migrate
from runstead.testing.clock import FakeClock

ADA = Person(id="ada", name="Ada", mail="ada@example.org")


@pytest.mark.req("SEC-014")
async def test_what_is_kept_of_a_person_is_told_and_removed(database: Database) -> None:
    await migrate(database, {"apps": MIGRATIONS})
    storage = AppStorage(database, bytes_max=10_000, clock=FakeClock())
    files = AssetStore(database, bytes_max=10_000, clock=FakeClock())
    for owner in ("user:ada", "user:bob", ""):
        await storage.set("app", owner, "colour", f"of {owner}")
    await files.put("app", "a.txt", b"a", author="user:ada")
    await files.put("app", "b.txt", b"b", author="user:bob")
    personal = AppsPersonalData(database)
    known = await personal.copy(ADA)
    assert known["apps.personal_storage"] == [{"app_id": "app", "key": "colour", "value": "of user:ada"}]
    assert [one["name"] for one in known["apps.file_author"]] == ["a.txt"]
    assert set(known) | {"apps.source", "apps.database"} == {one.name for one in personal.classes}

    done = await personal.erase(ADA)
    assert (done["apps.personal_storage"], done["apps.file_author"]) == (1, 1)
    assert await storage.get("app", "user:ada", "colour") is None
    assert await storage.get("app", "user:bob", "colour") == "of user:bob"
    assert {one.name: one.author for one in await files.list("app")} == {"a.txt": "", "b.txt": "user:bob"}
