"""``runstead config``."""

import json

from tests.unit.platform.cli.conftest import Shell

BROKEN = "[server]\nport = 0.5\nprot = 1\n"


def test_check_says_ok_and_which_file(shell: Shell) -> None:
    assert shell.run("config", "check").out == "ok: no file, defaults only (profile dev)\n"
    file = shell.write("runstead.toml", "")
    ended = shell.run("config", "check", "--profile", "prod")
    assert (ended.code, ended.out) == (0, f"ok: {file} (profile prod)\n")
    assert shell.run("config", "check", "--json").json == {
        "ok": True,
        "config_file": str(file),
        "profile": "dev",
        "problems": [],
    }


def test_check_prints_every_problem_and_ends_with_2(shell: Shell) -> None:
    file = shell.write("other.toml", BROKEN)
    ended = shell.run("config", "check", "--config", str(file))
    assert ended.code == 2
    assert ended.out.splitlines() == [
        "other.toml:2:1: server.port: found 0.5, allowed: integer from 0 to 65535",
        "other.toml:3:1: server.prot: unknown field; did you mean 'port'?",
    ]
    ended = shell.run("config", "check", "--config", "other.toml", "--json")
    assert ended.code == 2
    assert ended.json["ok"] is False
    assert ended.json["problems"][1] == {
        "file": "other.toml",
        "line": 3,
        "column": 1,
        "field": "server.prot",
        "message": "unknown field; did you mean 'port'?",
    }


def test_show_prints_values_with_their_sources(shell: Shell) -> None:
    shell.write("runstead.toml", "[server]\nport = 1\n")
    lines = shell.run("config", "show").out.splitlines()
    assert ["server.port", "1", "runstead.toml:2:1"] in [line.split() for line in lines]
    shown = shell.run("config", "show", "--json").json
    assert shown["values"]["server.port"] == {"value": 1, "source": "runstead.toml:2:1"}


def test_show_of_a_broken_configuration_is_its_problems(shell: Shell) -> None:
    shell.write("runstead.toml", BROKEN)
    ended = shell.run("config", "show")
    assert ended.code == 2
    assert ended.out == ""
    assert ended.err.startswith("runstead: runstead.toml:2:1: server.port: ")


def test_schema_knows_the_sections_of_the_capabilities(shell: Shell) -> None:
    schema = json.loads(shell.run("config", "schema").out)
    assert {"server", "endpoints", "records", "profile"} < set(schema["properties"])
