"""Where values come from, and which of them wins."""

import itertools
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec import Struct
from tests.unit.platform.config.samples import SECTIONS, Endpoint, Folder, Records

from runstead.kernel.secret import Secret
from runstead.platform.config import ConfigError, SectionSpec, load, load_platform

#: Every way to set the port, the weakest first.
PORT_LAYERS = {
    "file": ("runstead.toml", "[server]\nport = 1\n"),
    "profile table": ("runstead.toml", "[profile.staging.server]\nport = 2\n"),
    "profile file": ("runstead.staging.toml", "[server]\nport = 3\n"),
    ".env": (".env", "RUNSTEAD_PORT=4\n"),
    "environment": ("RUNSTEAD_SERVER_PORT", "5"),
    "environment, short name": ("RUNSTEAD_PORT", "6"),
    "flag": ("flag", "7"),
}


@pytest.mark.req("CFG-001")
@pytest.mark.parametrize(
    "present",
    [
        present
        for count in range(len(PORT_LAYERS) + 1)
        for present in itertools.combinations(PORT_LAYERS, count)
    ],
    ids=lambda present: "+".join(present) or "nothing",
)
def test_flags_win_over_environment_over_dotenv_over_profile_over_file_over_default(
    folder: Folder, present: tuple[str, ...]
) -> None:
    env: dict[str, str] = {}
    overrides: dict[str, str] = {}
    files: dict[str, str] = {}
    expected = 8080
    for name in present:
        where, what = PORT_LAYERS[name]
        expected = list(PORT_LAYERS).index(name) + 1
        if where == "flag":
            overrides["server.port"] = what
        elif name.startswith("environment"):
            env[where] = what
        else:
            files[where] = files.get(where, "") + what
    for where, what in files.items():
        folder.write(where, what)
    assert folder.load(profile="staging", env=env, overrides=overrides).server.port == expected


def test_without_any_configuration_the_defaults_hold(folder: Folder) -> None:
    settings = folder.load()
    assert settings.profile == "dev"
    assert settings.config_file is None
    assert settings.base_dir == folder.path
    assert settings.server.host == "127.0.0.1"
    assert settings.storage.data_dir == folder.path / "data"
    assert settings.storage.database_url == f"sqlite:///{folder.path}/data/runstead.db"
    assert settings.storage.objects_url == f"{folder.path}/data/objects"
    assert settings.section("endpoints") == []
    assert settings.section("records") == Records(data_dir=folder.path / "records")
    assert list(settings.credentials) == []


def test_a_section_that_nobody_declared_is_a_key_error(folder: Folder) -> None:
    with pytest.raises(KeyError):
        folder.load().section("nothing")


@pytest.mark.req("CFG-001")
@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "runstead.toml",
            '[server]\nport = 9\n[[endpoints]]\nname = "a"\npath = "/a"\nscript_path = "a.py"\n',
        ),
        (
            "runstead.yaml",
            "server: {port: 9}\nstorage:\nendpoints:\n  - {name: a, path: /a, script_path: a.py}\n",
        ),
        ("runstead.yml", "server:\n  port: 9\nendpoints:\n- name: a\n  path: /a\n  script_path: a.py\n"),
        (
            "runstead.json",
            '{"$schema": "x", "server": {"port": 9}, "endpoints": [{"name": "a", "path": "/a", "script_path": "a.py"}]}',
        ),
    ],
)
def test_toml_yaml_and_json_say_the_same(folder: Folder, name: str, text: str) -> None:
    folder.write(name, text)
    settings = folder.load()
    assert settings.config_file == folder.path / name
    assert settings.server.port == 9
    assert settings.section("endpoints") == [Endpoint(name="a", path="/a", script_path=folder.path / "a.py")]


def test_the_former_name_of_declared_endpoints_is_read_when_there_is_no_other(folder: Folder) -> None:
    former = folder.write(
        "server.config.json", '{"endpoints": [{"name": "a", "path": "/a", "script_path": "a.py"}]}'
    )
    assert [one.name for one in folder.load().section("endpoints")] == ["a"]
    folder.write("runstead.toml", "")
    assert folder.load().section("endpoints") == []
    assert len(folder.load(config=former).section("endpoints")) == 1


def test_an_empty_file_is_an_empty_configuration(folder: Folder) -> None:
    for name in ("a.toml", "b.yaml"):
        assert folder.load(config=folder.write(name, "")).server.port == 8080


def test_two_files_side_by_side_are_a_problem_until_one_is_chosen(folder: Folder) -> None:
    folder.write("runstead.toml", "")
    chosen = folder.write("runstead.json", "{}")
    assert folder.problems() == [
        "runstead.json: found runstead.toml and runstead.json, allowed: one; remove the others or choose one with --config"
    ]
    assert folder.problems(config=chosen) == []
    assert folder.problems(env={"RUNSTEAD_CONFIG": "runstead.json"}) == []


def test_a_file_that_is_asked_for_must_be_there(folder: Folder) -> None:
    assert folder.problems(config=Path("other.toml")) == [
        "flag: config: found 'other.toml', allowed: an existing file"
    ]
    assert folder.problems(env={"RUNSTEAD_CONFIG": "other.toml"}) == [
        "RUNSTEAD_CONFIG: config: found 'other.toml', allowed: an existing file"
    ]
    folder.write(".env", "\nRUNSTEAD_CONFIG=other.toml")
    assert folder.problems() == [".env:2:1: config: found 'other.toml', allowed: an existing file"]


def test_a_file_of_another_kind_or_size_is_refused_before_it_is_parsed(folder: Folder) -> None:
    assert folder.problems(config=folder.write("runstead.ini", "")) == [
        "runstead.ini: found the suffix '.ini', allowed: .toml, .yaml, .yml, .json"
    ]
    assert folder.problems(config=folder.write("big.toml", "#" * (1024 * 1024 + 1))) == [
        "big.toml: found more than 1048576 bytes, allowed: up to that"
    ]


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("a.toml", "a = " + "[" * 5000, "nested too deeply"),
        ("a.json", '{"a":' * 5000, "nested too deeply"),
        ("b.json", '{"a":' * 40 + "1" + "}" * 40, "nested too deeply, allowed: 32 levels"),
        ("a.yaml", "a: " + "[" * 40 + "]" * 40, "nested too deeply, allowed: 32 levels"),
        ("b.yaml", "a: &a [*a]", "nested too deeply, allowed: 32 levels"),
        (
            "c.yaml",
            "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n"
            + "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)),
            "found more than 100000 values",
        ),
        ("d.json", "[]", "found no table, allowed: a table of sections"),
        ("d.yaml", "just words", "found no table, allowed: a table of sections"),
    ],
)
def test_bombs_and_non_tables_are_refused(folder: Folder, name: str, text: str, problem: str) -> None:
    (told,) = folder.problems(config=folder.write(name, text))
    assert problem in told


def test_a_file_elsewhere_brings_its_own_folder_and_dotenv(folder: Folder) -> None:
    folder.write(".env", "RUNSTEAD_CONFIG=deploy/site.toml\nRUNSTEAD_PORT=1\n")
    file = folder.write(
        "deploy/site.toml", '[storage]\ndata_dir = "d"\nobjects_url = "o"\ndatabase_url = "sqlite:///x.db"\n'
    )
    folder.write("deploy/site.prod.yaml", "server: {backlog: 7}\n")
    folder.write("deploy/.env", "RUNSTEAD_PORT=2\nRUNSTEAD_PROFILE=prod\n")
    settings = folder.load()
    assert settings.config_file == file
    assert settings.base_dir == folder.path / "deploy"
    assert settings.profile == "prod"
    assert (settings.server.port, settings.server.backlog) == (2, 7)
    assert settings.storage.data_dir == folder.path / "deploy/d"
    assert settings.storage.objects_url == str(folder.path / "deploy/o")
    assert settings.storage.database_url == f"sqlite:///{folder.path}/deploy/x.db"


def test_problems_of_a_file_elsewhere_name_it_as_it_would_be_typed(
    folder: Folder, tmp_path_factory: pytest.TempPathFactory
) -> None:
    inside = folder.write("deploy/site.toml", "[server]\nport = -1\n")
    outside = tmp_path_factory.mktemp("elsewhere") / "site.toml"
    outside.write_text("x = 1\n", encoding="utf-8")
    assert folder.problems(config=inside)[0].startswith("deploy/site.toml:2:1: server.port: ")
    assert folder.problems(config=outside)[0].startswith(f"{outside}:1:1: x: ")


@pytest.mark.parametrize("url", ["postgresql://me@db/runstead", "s3://bucket/prefix", "file:///x"])
def test_urls_are_left_as_they_are(folder: Folder, url: str) -> None:
    field = "objects_url" if not url.startswith("postgresql") else "database_url"
    folder.write("runstead.toml", f'[storage]\n{field} = "{url}"\n')
    assert getattr(folder.load().storage, field) == url


@pytest.mark.parametrize(
    ("field", "url", "shown"),
    [
        ("database_url", "mysql://me:hunter2@db/x", "mysql://me:***@db/x"),
        ("database_url", "sqlite://", "sqlite://"),
        ("database_url", "sqlite:///x.db?mode=ro", "sqlite:///x.db?mode=ro"),
        ("database_url", "runstead.db", "runstead.db"),
        ("objects_url", "ftp://host/x", "ftp://host/x"),
        ("objects_url", "file://host", "file://host"),
    ],
)
def test_urls_without_a_driver_are_told_before_the_start(
    folder: Folder, field: str, url: str, shown: str
) -> None:
    (told,) = folder.problems(env={f"RUNSTEAD_{field.upper()}": url})
    assert told.startswith(f"RUNSTEAD_{field.upper()}: storage.{field}: found {shown!r}, allowed: ")


# Profiles


@pytest.mark.req("CFG-002")
def test_profiles_merge_tables_key_by_key_and_replace_lists(folder: Folder) -> None:
    folder.write(
        "runstead.toml",
        '[server]\nport = 1\nallowed_hosts = ["a", "b"]\n[records]\nroots = ["x"]\n[records.labels]\na = "1"\nb = "1"\n'
        '[profile.prod.server]\nallowed_hosts = ["c"]\n[profile.prod.records.labels]\nb = "2"\nc = "2"\n',
    )
    settings = folder.load(profile="prod")
    assert settings.server.port == 1
    assert settings.server.allowed_hosts == ("c",)
    assert settings.section("records").labels == {"a": "1", "b": "2", "c": "2"}
    assert settings.section("records").roots == (folder.path / "x",)
    assert folder.load(profile="dev").server.allowed_hosts == ("a", "b")


@pytest.mark.req("CFG-002")
def test_profiles_change_the_endpoint_of_the_same_name_and_append_any_other(folder: Folder) -> None:
    folder.write(
        "runstead.toml",
        '[[endpoints]]\nname = "a"\npath = "/a"\nscript_path = "a.py"\n'
        '[[endpoints]]\nname = "b"\npath = "/b"\nscript_path = "b.py"\n'
        '[[profile.prod.endpoints]]\nname = "b"\nenabled = false\n'
        '[[profile.prod.endpoints]]\nname = "c"\npath = "/c"\nscript_path = "c.py"\n',
    )
    found = [(one.name, one.path, one.enabled) for one in folder.load(profile="prod").section("endpoints")]
    assert found == [("a", "/a", True), ("b", "/b", False), ("c", "/c", True)]


def test_what_a_profile_breaks_is_blamed_on_the_profile_and_what_it_lacks_on_the_base(folder: Folder) -> None:
    folder.write(
        "runstead.toml",
        '[[endpoints]]\nname = "a"\npath = "/a"\n[[profile.prod.endpoints]]\nname = "a"\ntimeout_ms = 0\n',
    )
    assert folder.problems(profile="prod") == [
        "runstead.toml:1:1: endpoints[0].script_path: missing; allowed: a path",
        "runstead.toml:6:1: endpoints[0].timeout_ms: found 0, allowed: integer from 1 to 3600000",
    ]


def test_profiles_that_are_not_chosen_are_judged_too(folder: Folder) -> None:
    folder.write(
        "runstead.toml",
        "[profile.prod.server]\nport = 0.5\n[[profile.prod.endpoints]]\nname = 'a'\nenabled = 'no'\n"
        "[profile.staging]\nservr = 1\n[profile]\ndev = 3\n",
    )
    assert folder.problems(profile="dev") == [
        "runstead.toml:2:1: profile.prod.server.port: found 0.5, allowed: integer from 0 to 65535",
        "runstead.toml:5:1: profile.prod.endpoints[0].enabled: found 'no', allowed: true or false",
        "runstead.toml:7:1: servr: unknown section; did you mean 'server'?",
        "runstead.toml:9:1: profile.dev: found 3, allowed: a table of sections",
    ]
    folder.write("runstead.toml", "profile = 'prod'\n")
    assert folder.problems() == [
        "runstead.toml:1:1: profile: found no table, allowed: [profile.<name>] tables"
    ]


def test_a_field_without_its_section_is_told_where_it_lives(folder: Folder) -> None:
    folder.write("runstead.toml", "port = 1\nsomething = 2\n")
    assert folder.problems() == [
        "runstead.toml:1:1: port: unknown section; 'port' is a field of [server]",
        (
            "runstead.toml:2:1: something: unknown section; "
            "allowed: server, storage, observability, execution, endpoints, records"
        ),
    ]


def test_a_variable_does_not_hide_that_its_section_is_no_table(folder: Folder) -> None:
    folder.write("runstead.toml", "server = 5\n")
    assert folder.problems(env={"RUNSTEAD_PORT": "1"}) == [
        "runstead.toml:1:1: server: found 5, allowed: a table"
    ]


# The environment


def test_text_of_the_environment_becomes_what_the_field_is(folder: Folder) -> None:
    settings = folder.load(
        env={
            "RUNSTEAD_SERVER_ACCESS_LOG": "Off",
            "RUNSTEAD_SERVER_ALLOWED_HOSTS": "a.example, b.example,",
            "RUNSTEAD_RECORDS_RATIO": " 0.25 ",
            "RUNSTEAD_RECORDS_LABELS": '{"a": "b"}',
            "RUNSTEAD_RECORDS_ROOTS": '["x,y", "/z"]',
            "RUNSTEAD_RECORDS_REPLICATION_ATTEMPTS": "5",
            "RUNSTEAD_OBSERVABILITY_LOG_FILE": "log/x.log",
            "RUNSTEAD_OBSERVABILITY_OTLP_ENDPOINT": "http://collector",
        }
    )
    records = settings.section("records")
    assert settings.server.access_log is False
    assert settings.server.allowed_hosts == ("a.example", "b.example")
    assert settings.observability.log_file == folder.path / "log/x.log"
    assert settings.observability.otlp_endpoint == "http://collector"
    assert records.ratio == 0.25
    assert records.labels == {"a": "b"}
    assert records.roots == (folder.path / "x,y", Path("/z"))
    assert records.replication.attempts == 5


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("RUNSTEAD_SERVER_ACCESS_LOG", "maybe", "server.access_log: found 'maybe', allowed: true or false"),
        ("RUNSTEAD_RECORDS_LABELS", "{", "records.labels: found '{', allowed: a table"),
        ("RUNSTEAD_RECORDS_ROOTS", "[1]", "records.roots[0]: found 1, allowed: a path"),
        ("RUNSTEAD_RECORDS_RATIO", "nan", "records.ratio: found nan, allowed: number above 0 and below 1"),
        ("RUNSTEAD_STORAGE_READERS", "4.0", "storage.readers: found '4.0', allowed: integer from 1 to 64"),
    ],
)
def test_text_that_cannot_become_it_is_told_with_the_variable(
    folder: Folder, name: str, text: str, told: str
) -> None:
    assert folder.problems(env={name: text}) == [f"{name}: {told}"]


def test_an_empty_variable_is_one_that_is_not_set(folder: Folder) -> None:
    folder.write(".env", "RUNSTEAD_PORT=5\n")
    env = {
        "RUNSTEAD_PORT": "",
        "MASTER_PASSWORD": "",
        "RUNSTEAD_CONFIG": "",
        "RUNSTEAD_PROFILE": "",
        "RUNSTEAD_NEW": "",
    }
    settings = folder.load(env=env)
    assert settings.server.port == 5
    assert settings.credentials.master_password is None


@pytest.mark.parametrize(
    "name",
    [
        "RUNSTEAD_URL",
        "RUNSTEAD_ARTIFACTS",
        "RUNSTEAD_RUN_ID",
        "RUNSTEAD_JOB_ID",
        "RUNSTEAD_TEST_X",
        "OTHER_PORT",
        "RUNSTEADY",
    ],
)
def test_variables_for_others_are_no_business_of_the_loader(folder: Folder, name: str) -> None:
    assert folder.problems(env={name: "x"}) == []


def test_aliases_set_fields_and_secrets_and_lose_against_their_own_names(folder: Folder) -> None:
    env = {
        "STRICTURE_SERVER_DATA_DIR": "/a",
        "STRICTURE_SERVER_INGEST_TOKEN": "old",
        "STRICTURE_SERVER_REGION": "eu",
    }
    settings = folder.load(env=env)
    records = settings.section("records")
    assert records.data_dir == Path("/a")
    assert records.replication.region == "eu"
    assert records.ingest_token.matches("old")
    settings = folder.load(
        env={**env, "RUNSTEAD_RECORDS_DATA_DIR": "/b", "RUNSTEAD_RECORDS_INGEST_TOKEN": "new"}
    )
    assert settings.section("records").data_dir == Path("/b")
    assert settings.section("records").ingest_token.matches("new")


def test_a_variable_of_the_process_wins_over_dotenv_whichever_name_is_used(folder: Folder) -> None:
    folder.write(".env", "RUNSTEAD_PORT=1\nRUNSTEAD_RECORDS_DATA_DIR=/dotenv\n")
    settings = folder.load(env={"RUNSTEAD_SERVER_PORT": "2", "STRICTURE_SERVER_DATA_DIR": "/process"})
    assert settings.server.port == 2
    assert settings.section("records").data_dir == Path("/process")


def test_a_flag_for_a_field_that_is_not_there_is_told(folder: Folder) -> None:
    assert folder.problems(overrides={"server.prot": "1", "server.port": "x"}) == [
        "flag: server.prot: unknown field; did you mean 'server.port'?",
        "flag: server.port: found 'x', allowed: integer from 0 to 65535",
    ]
    # Secrets would be seen in the list of processes.
    assert folder.problems(overrides={"records.ingest_token": "x"})[0].startswith(
        "flag: records.ingest_token: unknown field"
    )


# Secrets


@pytest.mark.req("CFG-003")
def test_secrets_come_from_the_environment_and_are_never_printed(folder: Folder) -> None:
    folder.write(
        ".env", "MASTER_PASSWORD='correct horse battery'\nRUNSTEAD_RECORDS_WEBHOOK_SECRET=s3cr3t-hook\n"
    )
    settings = folder.load(
        env={"RUNSTEAD_ADMIN_TOKEN": "s3cr3t-token", "RUNSTEAD_RECORDS_INGEST_TOKEN": "s3cr3t-ingest"}
    )
    credentials = settings.credentials
    assert isinstance(credentials.admin_token, Secret)
    assert credentials.admin_token.matches("s3cr3t-token")
    assert credentials.master_password is not None
    assert credentials.master_password.matches("correct horse battery")
    hook = credentials.secret("records", "webhook_secret")
    assert hook is not None
    assert hook.matches("s3cr3t-hook")
    assert credentials.secret("records", "ingest_token") is settings.section("records").ingest_token
    assert credentials.secret("records", "nothing") is None
    assert credentials.secret("nothing", "nothing") is None
    assert {secret.reveal() for secret in credentials} == {
        "s3cr3t-token",
        "s3cr3t-ingest",
        "s3cr3t-hook",
        "correct horse battery",
    }
    assert "s3cr3t" not in repr(settings)
    assert "correct" not in repr(settings)


@pytest.mark.req("CFG-003")
@pytest.mark.parametrize("name", ["MASTER_PASSWORD", "RUNSTEAD_ADMIN_TOKEN", "RUNSTEAD_RECORDS_INGEST_TOKEN"])
@pytest.mark.parametrize("value", ["with\nbreak", " outer space", "ünïcode", "x" * 5000])
def test_a_secret_that_no_header_can_carry_is_refused_and_not_shown(
    folder: Folder, name: str, value: str
) -> None:
    (told,) = folder.problems(env={name: value})
    assert told.startswith(f"{name}: ")
    assert value not in told


@pytest.mark.req("CFG-003")
def test_a_secret_in_a_file_is_not_shown_in_the_message(folder: Folder) -> None:
    folder.write(
        "runstead.toml",
        "[server]\nadmin_token = 'hunter2'\n[records]\ningest_token = 'hunter2'\n"
        "[observability]\notlp_endpoint = 'https://u:hunter2@c'\n[storage]\nreaders = 'x://u:hunter2@y'\n"
        "[profile.prod.records]\ningest_token = 'hunter2'\n",
    )
    told = folder.problems()
    assert len(told) == 6
    assert "hunter2" not in "".join(told)


# Who may listen where


@pytest.mark.req("EP-006")
@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost", "::1", "[::1]"])
def test_loopback_needs_no_password(folder: Folder, host: str) -> None:
    assert folder.problems(env={"RUNSTEAD_HOST": host}) == []


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.168.0.1", "example.org", "localhost.example.org", "127.0.0.1.example.org"]
)
@pytest.mark.parametrize(("password", "allowed"), [("", False), ("x" * 11, False), ("x" * 12, True)])
def test_any_other_address_needs_a_password_of_12_characters(
    folder: Folder, host: str, password: str, allowed: bool
) -> None:
    told = folder.problems(env={"RUNSTEAD_HOST": host, "MASTER_PASSWORD": password})
    assert (told == []) is allowed
    assert all(
        line.startswith(f"RUNSTEAD_HOST: server.host: found '{host}', which other machines can reach")
        for line in told
    )


def test_tls_needs_both_files_and_both_must_be_there(folder: Folder) -> None:
    folder.write("cert.pem", "")
    folder.write("runstead.toml", '[server]\ntls_cert = "cert.pem"\n')
    assert folder.problems() == [
        "runstead.toml:2:1: server.tls_cert: found it without tls_key, allowed: both or none"
    ]
    folder.write("runstead.toml", '[server]\ntls_cert = "cert.pem"\ntls_key = "key.pem"\n')
    assert folder.problems() == [
        f"runstead.toml:3:1: server.tls_key: found '{folder.path}/key.pem', allowed: an existing file"
    ]
    folder.write("key.pem", "")
    assert folder.problems() == []


@pytest.mark.req("CFG-002")
def test_production_insists_on_a_sandbox_and_on_long_secrets(folder: Folder) -> None:
    env = {"RUNSTEAD_EXECUTION_SANDBOX": "off", "MASTER_PASSWORD": "x" * 11, "RUNSTEAD_ADMIN_TOKEN": "x" * 15}
    assert folder.problems(env=env, profile="dev") == []
    assert len(folder.problems(env=env, profile="prod")) == 3


# What only part of the configuration is needed for


def test_a_client_needs_only_the_platform_to_be_sound(folder: Folder) -> None:
    folder.write("runstead.toml", "[server]\nport = 1\nhost = '0.0.0.0'\n[endpoints]\nx = 1\n[whatever]\n")
    assert load_platform(env={"RUNSTEAD_NEW": "x"}, cwd=folder.path).server.port == 1
    with pytest.raises(ConfigError, match=r"RUNSTEAD_PORT: server\.port: found 'x'"):
        load_platform(env={"RUNSTEAD_PORT": "x"}, cwd=folder.path)


def test_loading_a_sound_configuration_imports_no_locator_and_no_other_format(folder: Folder) -> None:
    folder.write("runstead.toml", "[server]\nport = 1\n")
    program = (
        "import sys, pathlib\n"
        "from runstead.platform.config import load\n"
        f"load({{}}, env={{}}, cwd=pathlib.Path({str(folder.path)!r}))\n"
        "unwanted = {'yaml', 'difflib', 'litestar', 'sqlalchemy', 'httpx', 'cyclopts', 'rich',"
        " 'runstead.platform.config.toml_positions', 'runstead.platform.config.json_format'}\n"
        "print(sorted(unwanted & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_programs_can_be_given_variables_of_dotenv_too(folder: Folder) -> None:
    folder.write(".env", "API_KEY=from-dotenv\nOTHER=1\n")
    settings = folder.load(env={"API_KEY": "from-the-process", "HOME": "/root", "EMPTY": ""})
    assert settings.environment == {"API_KEY": "from-the-process", "OTHER": "1", "HOME": "/root"}
    assert "from-the-process" not in repr(settings)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[server]\nport = 1\n  port = 2\n", "3:3: not TOML: 'server.port' stands twice"),
        ("[server]\nport = 1\n[storage]\n[server]\n", "4:1: not TOML: 'server' stands twice"),
        ("a.b = 1\r\na.b.c = [\r\n1]\r\n", "2:1: not TOML: 'a.b.c' stands twice"),
        ('x = 1\na = {b = 1, b = """\n"""}\n', "2:13: not TOML: 'a.b' stands twice"),
        ("a = []\n[[a]]\n", "2:1: not TOML: 'a' stands twice"),
        ("a = {}\n[a.'b c']\n", "2:1: not TOML: \"a.'b c'\" stands twice"),
    ],
)
def test_what_stands_twice_in_toml_is_named_and_placed(folder: Folder, text: str, told: str) -> None:
    file = folder.path / "runstead.toml"
    file.write_bytes(text.encode())
    assert folder.problems() == [f"runstead.toml:{told}, or is a table here and a value elsewhere"]


class Window(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A Struct with an opinion of its own."""

    low: int = 0
    high: int = 1

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("found low above high, allowed: the other way round")


class Windows(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Several of them."""

    each: tuple[Window, ...] = ()


def test_what_a_struct_itself_objects_to_is_told_at_its_place(folder: Folder) -> None:
    folder.write("runstead.toml", "[windows]\neach = [\n  {low = 0},\n  {low = 2}\n]\n")
    with pytest.raises(ConfigError) as caught:
        load({"windows": SectionSpec(type=Windows)}, env={}, cwd=folder.path)
    assert str(caught.value) == (
        "runstead.toml:4:3: windows.each[1]: found low above high, allowed: the other way round"
    )


def test_every_sample_section_is_declared() -> None:
    # A new sample that no test loads would prove nothing.
    assert set(SECTIONS) == {"endpoints", "records"}
