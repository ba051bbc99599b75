from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from runstead.capabilities.endpoints import (
    RUNS_SECTION,
    SECTION,
    EndpointSettings,
    RunsSettings,
    validate_endpoints,
)
from runstead.platform.config import ConfigError, Settings, load


def declare(**fields: Any) -> EndpointSettings:
    return msgspec.convert({"name": "a", "path": "/a", "script_path": "a.sh", **fields}, EndpointSettings)


def problems(base_dir: Path, *endpoints: EndpointSettings) -> list[tuple[str, str]]:
    return list(validate_endpoints(endpoints, base_dir))


@pytest.fixture
def base_dir(tmp_path: Path) -> Path:
    (tmp_path / "a.sh").write_text("#!/bin/sh\n")
    return tmp_path


def test_the_defaults_are_those_of_the_contract() -> None:
    endpoint = declare()
    assert (endpoint.method, endpoint.timeout_ms, endpoint.enabled, endpoint.network) == (
        "POST",
        30_000,
        True,
        False,
    )
    assert (endpoint.max_cpu_seconds, endpoint.max_memory_mb) == (60, 512)
    assert (endpoint.max_output_bytes, endpoint.max_processes) == (8 * 1024 * 1024, 64)
    assert (endpoint.concurrency, endpoint.queue_limit) == (4, 64)
    assert (endpoint.working_dir, endpoint.venv, endpoint.env) == (None, None, ())
    assert RunsSettings().record is False


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "Upper"),
        ("name", ""),
        ("name", "../a"),
        ("name", "a\n"),
        ("name", "a" * 64),
        ("method", "HEAD"),
        ("timeout_ms", 0),
        ("timeout_ms", 3_600_001),
        ("timeout_ms", "30000"),
        ("max_output_bytes", 0),
        ("concurrency", 0),
        ("queue_limit", -1),
        ("env", ["A=B"]),
        ("script", "a.sh"),
    ],
)
def test_a_value_out_of_its_bounds_is_refused(field: str, value: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        declare(**{field: value})


def test_a_good_declaration_has_no_problems(base_dir: Path) -> None:
    assert (
        problems(base_dir, declare(), declare(name="b", method="GET"), declare(name="c", path="/a/{x}")) == []
    )


def test_names_and_routes_are_unique_and_parameters_do_not_tell_routes_apart(base_dir: Path) -> None:
    found = problems(
        base_dir, declare(path="/a/{x}"), declare(path="/b"), declare(name="c", path="/a/{y}", enabled=False)
    )
    assert [field for field, _ in found] == ["[1].name", "[2].path"]
    assert "first: endpoints[0]" in found[0][1]
    assert "first: endpoints[0]" in found[1][1]


@pytest.mark.parametrize(
    ("field", "value", "at", "complaint"),
    [
        ("path", "relative", "path", "absolute path"),
        ("path", "/a/{b", "path", "segment"),
        ("path", "/api/mine", "path", "built-in"),
        ("path", "/metrics", "path", "built-in"),
        ("path", "/v1/x", "path", "built-in"),
        ("script_path", "missing.sh", "script_path", "existing file"),
        ("script_path", "plain", "script_path", "executable"),
        ("venv", "nowhere", "venv", "virtual environment"),
        ("working_dir", "nowhere", "working_dir", "existing folder"),
        ("env", ["HOME", "MASTER_PASSWORD"], "env[1]", "configure this server"),
        ("env", ["RUNSTEAD_ADMIN_TOKEN"], "env[0]", "configure this server"),
    ],
)
def test_what_types_cannot_say_is_named_with_its_field(
    base_dir: Path, field: str, value: Any, at: str, complaint: str
) -> None:
    (base_dir / "plain").write_text("text")
    found = problems(base_dir, declare(name="fine", path="/fine"), declare(**{field: value}))
    assert [name for name, _ in found] == [f"[1].{at}"]
    assert complaint in found[0][1]


@pytest.mark.req("EP-001")
def test_all_problems_are_reported_at_once(base_dir: Path) -> None:
    bad = declare(
        path="bad", script_path="missing.py", venv="nowhere", working_dir="nowhere", env=["MASTER_PASSWORD"]
    )
    assert [field for field, _ in problems(base_dir, bad)] == [
        "[0].path",
        "[0].venv",
        "[0].script_path",
        "[0].working_dir",
        "[0].env[0]",
    ]


def read(base_dir: Path, text: str) -> Settings:
    config = base_dir / "runstead.toml"
    config.write_text(text)
    sections = {"endpoints": SECTION, "runs": RUNS_SECTION}
    return load(sections, config=config, profile=None, overrides={}, env={}, cwd=base_dir)


def test_the_sections_are_read_from_the_config_file(base_dir: Path) -> None:
    settings = read(
        base_dir,
        """
[[endpoints]]
name = "a"
path = "/a/{x}"
script_path = "a.sh"
env = ["TOKEN"]

[runs]
record = true
folder = "kept"
""",
    )
    (endpoint,) = settings.section("endpoints")
    assert endpoint == declare(path="/a/{x}", env=["TOKEN"])
    assert settings.section("runs").record is True
    assert settings.section("runs").folder == base_dir / "kept"


@pytest.mark.req("EP-001")
def test_every_error_has_its_file_line_column_and_field(base_dir: Path) -> None:
    with pytest.raises(ConfigError) as refusal:
        read(
            base_dir,
            """[[endpoints]]
name = "a"
path = "/api/mine"
script_path = "a.sh"
[[endpoints]]
name = "a"
path = "/b"
  script_path = "missing.sh"
""",
        )
    problems = [(each.line, each.column, each.field) for each in refusal.value.problems]
    assert problems == [
        (3, 1, "endpoints[0].path"),
        (6, 1, "endpoints[1].name"),
        (8, 3, "endpoints[1].script_path"),
    ]
    assert all(str(each.file).endswith("runstead.toml") for each in refusal.value.problems)
