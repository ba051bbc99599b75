"""Malformed configurations and, word for word, what each of them is answered with."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from tests.unit.platform.config.samples import Folder


@dataclass(frozen=True, kw_only=True)
class Case:
    """Files and variables, and every problem in the order in which they are told."""

    id: str
    files: Mapping[str, str]
    problems: list[str]
    env: Mapping[str, str] = field(default_factory=dict)
    profile: str | None = None


CASES = [
    Case(
        id="a TOML header that is not closed",
        files={"runstead.toml": "[server]\nport = 8080\n\n[storage\nreaders = 2\n"},
        problems=["runstead.toml:4:9: not TOML: expected ']' at the end of a table declaration"],
    ),
    Case(
        id="a misspelt field, section and profile",
        files={
            "runstead.toml": (
                "[server]\n"
                "  prot = 8080\n"
                "[sever]\n"
                "host = '::1'\n"
                "[profile.production.server]\n"
                "port = 1\n"
                "[profile.prod.storage]\n"
                "reader = 2\n"
            )
        },
        problems=[
            "runstead.toml:2:3: server.prot: unknown field; did you mean 'port'?",
            "runstead.toml:3:1: sever: unknown section; did you mean 'server'?",
            "runstead.toml:5:10: profile.production: unknown profile; allowed: dev, staging, prod; did you mean 'prod'?",
            "runstead.toml:8:1: profile.prod.storage.reader: unknown field; did you mean 'readers'?",
        ],
    ),
    Case(
        id="values of the wrong type, out of range and not on the list",
        files={
            "runstead.toml": (
                "# the server\n"
                'server = { port = "8080", engine = "granin", access_log = 1 }\n'
                "[storage]\n"
                "readers = 0\n"
                "[observability]\n"
                "log_max_bytes = 1e7\n"
                'otlp_endpoint = "collector:4318"\n'
                "[records]\n"
                "ratio = 1\n"
                'roots = ["a", 2]\n'
            )
        },
        problems=[
            "runstead.toml:2:12: server.port: found '8080', allowed: integer from 0 to 65535",
            "runstead.toml:2:27: server.engine: found 'granin', allowed: 'granian' or 'uvicorn'; did you mean 'granian'?",
            "runstead.toml:2:46: server.access_log: found 1, allowed: true or false",
            "runstead.toml:4:1: storage.readers: found 0, allowed: integer from 1 to 64",
            "runstead.toml:6:1: observability.log_max_bytes: found 10000000.0, allowed: integer from 10240 to 1073741824",
            (
                "runstead.toml:7:1: observability.otlp_endpoint: found 'collector:4318', "
                "allowed: text of up to 2048 characters like ^https?://"
            ),
            "runstead.toml:9:1: records.ratio: found 1, allowed: number above 0 and below 1",
            "runstead.toml:10:15: records.roots[1]: found 2, allowed: a path",
        ],
    ),
    Case(
        id="endpoints: missing, unknown, out of range and repeated, all in one go",
        files={
            "runstead.toml": (
                "[[endpoints]]\n"
                'name = "first"\n'
                'path = "/first"\n'
                'script_path = "first.py"\n'
                "\n"
                "[[endpoints]]\n"
                'path = "/second"\n'
                "timeout_ms = 0\n"
                'scriptpath = "second.py"\n'
                "\n"
                "[[endpoints]]\n"
                'name = "first"\n'
                'path = "/third"\n'
                'script_path = "missing.py"\n'
                'env = ["HOME", "lower"]\n'
                "\n"
                "[[endpoints]]\n"
                'name = "first"\n'
                'path = "/fourth"\n'
                'script_path = "missing.py"\n'
            )
        },
        problems=[
            (
                "runstead.toml:6:1: endpoints[1].name: missing; "
                "allowed: text like ^[a-z][a-z0-9-]*$ (Lower-case letters, digits and -)"
            ),
            "runstead.toml:6:1: endpoints[1].script_path: missing; allowed: a path",
            "runstead.toml:8:1: endpoints[1].timeout_ms: found 0, allowed: integer from 1 to 3600000",
            "runstead.toml:9:1: endpoints[1].scriptpath: unknown field; did you mean 'script_path'?",
            "runstead.toml:15:16: endpoints[2].env[1]: found 'lower', allowed: text like ^[A-Z_]+$",
            "runstead.toml:18:1: endpoints[3].name: found 'first' again, allowed: once (first: endpoints[0])",
            "runstead.toml:20:1: endpoints[3].script_path: found 'missing.py', allowed: an existing file",
        ],
    ),
    Case(
        id="a table where a list of tables belongs, and the other way round",
        files={"runstead.toml": "[endpoints]\nname = 'a'\n[[server]]\nport = 1\n"},
        problems=[
            "runstead.toml:1:1: endpoints: found a table, allowed: [[endpoints]], a list of tables",
            "runstead.toml:3:1: server: found a list of 1, allowed: a table",
        ],
    ),
    Case(
        id="secrets in the file",
        files={
            "runstead.toml": (
                'master_password = "correct horse"\n'
                "[server]\n"
                'admin_token = "hunter2"\n'
                "[records]\n"
                'ingest_token = "hunter2"\n'
                'webhook_secret = "hunter2"\n'
                "[storage]\n"
                'database_url = "postgresql://me:hunter2@db/runstead"\n'
            )
        },
        problems=[
            (
                "runstead.toml:1:1: master_password: a secret does not belong in a file; "
                "set MASTER_PASSWORD in the environment or .env"
            ),
            (
                "runstead.toml:3:1: server.admin_token: a secret does not belong in a file; "
                "set RUNSTEAD_ADMIN_TOKEN in the environment or .env"
            ),
            (
                "runstead.toml:5:1: records.ingest_token: a secret does not belong in a file; "
                "set RUNSTEAD_RECORDS_INGEST_TOKEN in the environment or .env"
            ),
            (
                "runstead.toml:6:1: records.webhook_secret: a secret does not belong in a file; "
                "set RUNSTEAD_RECORDS_WEBHOOK_SECRET in the environment or .env"
            ),
            (
                "runstead.toml:8:1: storage.database_url: a URL with a password does not belong in a file; "
                "set RUNSTEAD_DATABASE_URL in the environment or .env"
            ),
        ],
    ),
    Case(
        id="variables of the environment",
        files={},
        env={
            "RUNSTEAD_PORT": "80a",
            "RUNSTEAD_PROT": "8080",
            "RUNSTEAD_STORAGE_READERS": "99",
            "RUNSTEAD_RECORDS_REPLICATION_ATTEMPTS": "many",
            "STRICTURE_SERVER_INGEST_TOKEN": "line\nbreak",
            "RUNSTEAD_PROFILE": "producton",
        },
        problems=[
            "RUNSTEAD_PROFILE: profile: found 'producton', allowed: dev, staging, prod; did you mean 'prod'?",
            (
                "STRICTURE_SERVER_INGEST_TOKEN: records.ingest_token: "
                "found a control character, a letter beyond ASCII or space at an end, allowed: printable ASCII"
            ),
            "RUNSTEAD_PROT: unknown variable; did you mean 'RUNSTEAD_PORT'?",
            "RUNSTEAD_PORT: server.port: found '80a', allowed: integer from 0 to 65535",
            "RUNSTEAD_STORAGE_READERS: storage.readers: found 99, allowed: integer from 1 to 64",
            "RUNSTEAD_RECORDS_REPLICATION_ATTEMPTS: records.replication.attempts: found 'many', allowed: integer from 1 to 10",
        ],
    ),
    Case(
        id=".env",
        files={
            ".env": (
                "# comment\n"
                "RUNSTEAD_PORT = 99999\n"
                "export RUNSTEAD_HSOT=::1\n"
                "just words\n"
                'MASTER_PASSWORD="not closed\n'
                "=nothing\n"
            )
        },
        problems=[
            ".env:2:1: server.port: found 99999, allowed: integer from 0 to 65535",
            ".env:3:8: RUNSTEAD_HSOT: unknown variable; did you mean 'RUNSTEAD_HOST'?",
            ".env:4:1: just: found no =, allowed: NAME=value",
            ".env:5:1: MASTER_PASSWORD: found a quote that is not closed",
            ".env:6:1: found no name, allowed: NAME=value",
        ],
    ),
    Case(
        id="YAML: values",
        files={
            "runstead.yaml": (
                "server:\n"
                "  port: eighty\n"
                "  allowed_hosts: example.org\n"
                "execution: {sandbox: on}\n"
                "endpoints:\n"
                "  - name: a\n"
                "    path: /a\n"
                "    script_path: a.py\n"
                "    enabled: yes\n"
                "  - just text\n"
            )
        },
        problems=[
            "runstead.yaml:2:3: server.port: found 'eighty', allowed: integer from 0 to 65535",
            (
                "runstead.yaml:3:3: server.allowed_hosts: found 'example.org', "
                "allowed: list of up to 100 items, each text of 1 to 255 characters"
            ),
            "runstead.yaml:4:13: execution.sandbox: found 'on', allowed: 'auto', 'required' or 'off'",
            "runstead.yaml:9:5: endpoints[0].enabled: found 'yes', allowed: true or false",
            "runstead.yaml:10:5: endpoints[1]: found 'just text', allowed: a table",
        ],
    ),
    Case(
        id="YAML: syntax",
        files={"runstead.yml": "server:\n  port: 1\n   host: x\n"},
        problems=["runstead.yml:3:8: not YAML: mapping values are not allowed in this context"],
    ),
    Case(
        id="JSON: values, in the form that declared endpoints once had",
        files={
            "server.config.json": (
                "{\n"
                '  "endpoints": [\n'
                '    {"name": "a", "path": "/a", "script_path": "a.py", "timeout_ms": 3600001},\n'
                '    {"name": "b", "method": "post", "script_path": "b.py"}\n'
                "  ]\n"
                "}\n"
            )
        },
        problems=[
            "server.config.json:3:56: endpoints[0].timeout_ms: found 3600001, allowed: integer from 1 to 3600000",
            "server.config.json:4:5: endpoints[1].path: missing; allowed: text of 1 to 200 characters",
            "server.config.json:4:19: endpoints[1].method: found 'post', allowed: 'GET' or 'POST'; did you mean 'POST'?",
        ],
    ),
    Case(
        id="JSON: a comma too many",
        files={"runstead.json": '{\n  "server": {"port": 8080,}\n}\n'},
        problems=["runstead.json:2:27: not JSON: expecting property name enclosed in double quotes"],
    ),
    Case(
        id="JSON: a key that stands twice",
        files={"runstead.json": '{\n  "server": {\n    "port": 1,\n    "port": 2\n  }\n}\n'},
        problems=["runstead.json:4:5: not JSON: the key 'port' stands twice in one table"],
    ),
    Case(
        id="listening for everybody without a password",
        files={"runstead.toml": '[server]\nhost = "0.0.0.0"\n', ".env": "MASTER_PASSWORD=short\n"},
        problems=[
            (
                "runstead.toml:2:1: server.host: found '0.0.0.0', which other machines can reach, "
                "allowed: a loopback address, or any when MASTER_PASSWORD has 12 characters or more (it has 5 characters)"
            )
        ],
    ),
    Case(
        id="production: the overlay is blamed for what it says",
        files={
            "runstead.toml": "[server]\nport = 1\n[profile.prod.execution]\nsandbox = 'off'\n",
            "runstead.prod.toml": "[server]\nport = -1\n",
        },
        env={"MASTER_PASSWORD": "short", "RUNSTEAD_ADMIN_TOKEN": "short"},
        profile="prod",
        problems=[
            "runstead.prod.toml:2:1: server.port: found -1, allowed: integer from 0 to 65535",
            "runstead.toml:4:1: execution.sandbox: found 'off', allowed in production: 'auto' or 'required'",
            "RUNSTEAD_ADMIN_TOKEN: found 5 characters, allowed in production: 16 or more",
            "MASTER_PASSWORD: found 5 characters, allowed in production: 12 or more",
        ],
    ),
]


@pytest.mark.req("CFG-002")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_malformed_configuration_is_answered_with_every_problem_and_its_place(
    folder: Folder, case: Case
) -> None:
    for name, text in case.files.items():
        folder.write(name, text)
    assert folder.problems(env=case.env, profile=case.profile) == case.problems
