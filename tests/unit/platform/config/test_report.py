"""What ``config show`` is told."""

import json

from tests.unit.platform.config.samples import Folder

from runstead.platform.config import show


def test_every_value_is_shown_with_where_it_comes_from(folder: Folder) -> None:
    folder.write(
        "runstead.toml",
        '[server]\n  port = 1\n[records]\nlabels = {a = "b"}\nroots = ["x"]\n'
        '[[endpoints]]\nname = "a"\npath = "/a"\nscript_path = "a.py"\n',
    )
    folder.write("runstead.prod.yaml", "storage:\n  readers: 2\n")
    folder.write(".env", "\nRUNSTEAD_SERVER_BACKLOG=5\n")
    shown = show(
        folder.load(profile="prod", env={"RUNSTEAD_HOST": "::1"}, overrides={"server.engine": "uvicorn"})
    )
    values = shown["values"]
    assert shown["profile"] == "prod"
    assert shown["config_file"] == str(folder.path / "runstead.toml")
    assert values["server.port"] == {"value": 1, "source": "runstead.toml:2:3"}
    assert values["storage.readers"] == {"value": 2, "source": "runstead.prod.yaml:2:3"}
    assert values["server.backlog"] == {"value": 5, "source": ".env:2:1"}
    assert values["server.host"] == {"value": "::1", "source": "RUNSTEAD_HOST"}
    assert values["server.engine"] == {"value": "uvicorn", "source": "flag"}
    assert values["server.access_log"] == {"value": True, "source": "default"}
    assert values["records.labels"] == {"value": {"a": "b"}, "source": "runstead.toml:4:1"}
    assert values["records.roots"] == {"value": [str(folder.path / "x")], "source": "runstead.toml:5:1"}
    assert values["endpoints[0].script_path"] == {
        "value": str(folder.path / "a.py"),
        "source": "runstead.toml:9:1",
    }
    assert values["endpoints[0].timeout_ms"] == {"value": 30_000, "source": "default"}
    json.dumps(shown)


def test_secrets_are_masked_wherever_they_are(folder: Folder) -> None:
    shown = show(
        folder.load(
            env={
                "MASTER_PASSWORD": "hunter2-hunter2",
                "RUNSTEAD_RECORDS_INGEST_TOKEN": "hunter2",
                "RUNSTEAD_DATABASE_URL": "postgresql://me:hunter2@db/runstead",
                "RUNSTEAD_RECORDS_LABELS": '{"upstream": "https://u:hunter2@x/y"}',
            }
        )
    )
    assert "hunter2" not in json.dumps(shown)
    assert shown["values"]["storage.database_url"]["value"] == "postgresql://me:***@db/runstead"
    assert shown["secrets"] == {
        "RUNSTEAD_ADMIN_TOKEN": None,
        "MASTER_PASSWORD": "***",
        "RUNSTEAD_MASTER_KEY": None,
        "records.ingest_token": "***",
    }
    assert "records.ingest_token" not in shown["values"]
