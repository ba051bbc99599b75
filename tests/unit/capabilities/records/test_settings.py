from __future__ import annotations

from pathlib import Path

import pytest

from runstead.capabilities.records import SECTION, RecordsSettings, inherited_environment
from runstead.platform.config import ConfigError, Settings, load

TOKEN = "a-token-that-nobody-guesses"


def load_records(tmp_path: Path, text: str = "", **env: str) -> RecordsSettings:
    (tmp_path / "runstead.toml").write_text(text)
    settings: Settings = load({"records": SECTION}, env=env, cwd=tmp_path)
    found: RecordsSettings = settings.section("records")
    return found


def test_the_defaults_are_those_of_the_contract(tmp_path: Path) -> None:
    settings = load_records(tmp_path)
    assert (settings.prefix, settings.auth_mode, settings.ingest_token) == ("stricture", "none", None)


@pytest.mark.parametrize("prefix", ["RUNSTEAD_RECORDS_", "STRICTURE_SERVER_"])
@pytest.mark.req("REC-012")
def test_mode_token_takes_its_token_from_the_environment(tmp_path: Path, prefix: str) -> None:
    settings = load_records(tmp_path, **{f"{prefix}AUTH_MODE": "token", f"{prefix}INGEST_TOKEN": TOKEN})
    assert settings.auth_mode == "token"
    assert settings.ingest_token is not None
    assert settings.ingest_token.matches(TOKEN)
    assert TOKEN not in repr(settings)


def test_our_own_names_win(tmp_path: Path) -> None:
    settings = load_records(tmp_path, RUNSTEAD_RECORDS_PREFIX="ours", STRICTURE_SERVER_OBJECT_PREFIX="theirs")
    assert settings.prefix == "ours"


@pytest.mark.parametrize(
    ("text", "field", "message"),
    [
        ('auth_mode = "jwt"', "records.auth_mode", "cannot check yet"),
        ('auth_mode = "token"', "records.auth_mode", "RUNSTEAD_RECORDS_INGEST_TOKEN"),
        ('auth_mode = "basic"', "records.auth_mode", "basic"),
        ('ingest_token = "secret"', "records.ingest_token", "RUNSTEAD_RECORDS_INGEST_TOKEN"),
        ('prefix = "../up"', "records.prefix", "../up"),
        ('prefix = "a//b"', "records.prefix", "a//b"),
        ('prefix = "a/"', "records.prefix", "a/"),
        ('prefix = ""', "records.prefix", ""),
        ('prefix = "a\\n"', "records.prefix", ""),
        ('organization = "a b"', "records.organization", "a b"),
        ('project = ".a"', "records.project", ".a"),
        ('surprise = "x"', "records.surprise", ""),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, field: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_records(tmp_path, f"[records]\n{text}\n")
    assert field in str(caught.value)
    assert message in str(caught.value)
    assert "runstead.toml:" in str(caught.value) or "token" in text


@pytest.mark.parametrize(
    ("env", "found"),
    [
        ({}, {}),
        ({"STRICTURE_SERVER_ADDR": ":8085"}, {"RUNSTEAD_HOST": "0.0.0.0", "RUNSTEAD_PORT": "8085"}),
        ({"STRICTURE_SERVER_ADDR": "[::1]:80"}, {"RUNSTEAD_HOST": "::1", "RUNSTEAD_PORT": "80"}),
        ({"STRICTURE_SERVER_DATA_DIR": "/srv/r"}, {"RUNSTEAD_OBJECTS_URL": "/srv/r"}),
        (
            {"STRICTURE_SERVER_STORAGE_DRIVER": "s3", "STRICTURE_SERVER_OBJECT_BUCKET": "b"},
            {"RUNSTEAD_OBJECTS_URL": "s3://b"},
        ),
    ],
)
@pytest.mark.req("REC-012")
def test_the_names_of_the_original_are_understood(env: dict[str, str], found: dict[str, str]) -> None:
    assert inherited_environment(env) == found
