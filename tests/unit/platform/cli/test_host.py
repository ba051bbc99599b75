"""How the command line ends, and what it loads to start."""

import subprocess
import sys

import pytest
from tests.unit.platform.cli.conftest import Shell

import runstead
from runstead.platform.cli import Composition, ExitCode, build_cli, composition

SAMPLE = {
    "sample": "tests.unit.platform.cli.sample_commands:app",
    "alone": "tests.unit.platform.cli.sample_commands:alone",
}


@pytest.mark.parametrize(
    ("argv", "code", "err"),
    [
        (["sample", "fail", "4"], 4, "runstead: two lines\nrunstead: of complaint\n"),
        (["sample", "misconfigured"], 2, "runstead: runstead.toml:1:2: server.port: found 0\n"),
        (["sample", "interrupted"], 130, ""),
        (["sample", "code", "3"], 3, ""),
        (["sample", "code", "0"], 0, ""),
    ],
)
def test_every_end_has_its_exit_code_and_its_message_on_stderr(
    shell: Shell, argv: list[str], code: int, err: str
) -> None:
    ended = shell.run(*argv, commands=SAMPLE)
    assert (ended.code, ended.out, ended.err) == (code, "", err)


@pytest.mark.parametrize(
    "argv",
    [["nonsense"], ["sample", "nonsense"], ["sample", "fail"], ["sample", "code", "x"], ["version", "--jsn"]],
)
def test_a_wrong_command_line_is_exit_code_2_with_the_reason_on_stderr(shell: Shell, argv: list[str]) -> None:
    ended = shell.run(*argv, commands=SAMPLE)
    assert ended.code == ExitCode.USAGE
    assert ended.out == ""
    assert "Error" in ended.err


def test_a_bug_is_not_dressed_up_as_an_error_of_the_user(shell: Shell) -> None:
    with pytest.raises(ZeroDivisionError):
        shell.run("sample", "broken", commands=SAMPLE)


def test_a_function_can_be_a_command_of_its_own(shell: Shell) -> None:
    assert shell.run("alone", commands=SAMPLE).out == "alone\n"


def test_a_misspelt_command_is_answered_with_the_right_one(shell: Shell) -> None:
    assert "version" in shell.run("versoin", commands=SAMPLE).err


def test_help_lists_the_commands_and_the_exit_codes_without_importing_them(shell: Shell) -> None:
    ended = shell.run("--help", commands={"later": "no.such.module:app"})
    assert ended.code == 0
    for word in ("later", "config", "doctor", "db", "Exit codes: 0 done", "130"):
        assert word in ended.out


@pytest.mark.parametrize(
    "argv",
    [
        ["config", "check"],
        ["config", "show"],
        ["config", "schema"],
        ["db", "status"],
        ["db", "upgrade"],
        ["db", "backup"],
        ["doctor"],
        ["version"],
    ],
    ids=" ".join,
)
def test_the_help_of_every_command_teaches_by_an_example(shell: Shell, argv: list[str]) -> None:
    ended = shell.run(*argv, "--help")
    assert ended.code == 0
    assert f"Example: runstead {' '.join(argv)}" in ended.out
    assert "--json" in ended.out


def test_version_is_told_for_people_and_for_programs(shell: Shell) -> None:
    assert shell.run("version").out.startswith(f"runstead {runstead.__version__} (Python 3.")
    assert shell.run("version", "--json").json["runstead"] == runstead.__version__
    assert shell.run("--version").out == f"{runstead.__version__}\n"


def test_the_composition_is_asked_for_only_by_a_command_that_needs_it() -> None:
    def refuse() -> Composition:
        raise AssertionError("nobody needs it")

    assert build_cli({}, provide=refuse).run(["version"]) == 0
    assert composition() == Composition()


def test_version_loads_neither_configuration_nor_server_nor_client() -> None:
    program = (
        "import sys\n"
        "from runstead.platform.cli import build_cli\n"
        "build_cli({}).run(['version'])\n"
        "unwanted = {'msgspec', 'httpx', 'litestar', 'sqlalchemy', 'granian', 'yaml', 'structlog', 'asyncio'}\n"
        "print(sorted(unwanted & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_reader_that_goes_away_ends_the_command_in_silence() -> None:
    program = (
        "import sys\n"
        "from runstead.platform.cli import build_cli\n"
        "sys.exit(build_cli({}).run(['config', 'schema']))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=30) == 0
