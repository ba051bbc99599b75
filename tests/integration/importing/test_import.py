"""Taking over hooks and crontabs: what is carried over runs, and what is not is said."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstead.capabilities.endpoints import read_hooks
from runstead.capabilities.jobs import read_crontab
from runstead.testing.server import ServerProcess

#: In the manner of webhook's own examples.
HOOKS: list[dict[str, Any]] = [
    {
        "id": "deploy",
        "execute-command": "bin/deploy.sh",
        "command-working-directory": ".",
        "include-command-output-in-response": True,
        "pass-arguments-to-command": [
            {"source": "payload", "name": "head_commit.id"},
            {"source": "payload", "name": "commits.0.author.name"},
            {"source": "string", "name": "fixed; word"},
            {"source": "payload", "name": "missing"},
        ],
        "pass-environment-to-command": [{"source": "payload", "name": "ref", "envname": "REF"}],
        "trigger-rule": {
            "and": [
                {"match": {"type": "value", "value": "refs/heads/main", "parameter": {"source": "payload", "name": "ref"}}},
                {"not": {"match": {"type": "regex", "regex": "^bot", "parameter": {"source": "payload", "name": "pusher.name"}}}},
            ]
        },
    },
    {
        "id": "signed",
        "execute-command": "/bin/true",
        "trigger-rule": {
            "match": {"type": "payload-hmac-sha256", "secret": "s", "parameter": {"source": "header", "name": "X-Signature"}}
        },
        "response-headers": [{"name": "X", "value": "y"}],
    },
    {"id": "no command"},
]  # fmt: skip

DEPLOY = '#!/bin/sh\nprintf "%s|" "$@"\necho "ref=$REF"\n'


def command(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "runstead", "import", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **env},
        capture_output=True,
        text=True,
        check=False,
    )


def test_hooks_become_endpoints_that_do_the_same(tmp_path: Path) -> None:
    house = tmp_path / "house"
    (house / "bin").mkdir(parents=True)
    script = house / "bin/deploy.sh"
    script.write_text(DEPLOY)
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    (house / "hooks.json").write_text(json.dumps(HOOKS))
    dry = command(house, "hooks.json")
    assert dry.returncode == 1, dry.stderr
    assert "1 carried, 1 disabled, 1 refused; nothing was changed" in dry.stdout
    assert "payload-hmac-sha256" in dry.stdout
    assert "response-headers is left out" in dry.stdout
    assert not (house / "imported").exists()
    assert command(house, "hooks.json", "--write").returncode == 1
    again = command(house, "hooks.json", "--write", "--json")
    assert [one["outcome"] for one in json.loads(again.stdout)] == ["present", "present", "refused"]
    payload = {
        "ref": "refs/heads/main",
        "head_commit": {"id": "abc $(touch /tmp/x)"},
        "commits": [{"author": {"name": "Ada"}}],
        "pusher": {"name": "ada"},
    }
    with ServerProcess(house) as server:

        def call(name: str, params: dict[str, Any]) -> httpx.Response:
            return httpx.post(f"{server.url}/hooks/{name}", json={"params": params}, timeout=30)

        answer = call("deploy", payload)
        assert answer.status_code == 200, answer.text
        output = answer.json()["results"][0]["output"]
        assert output == "abc $(touch /tmp/x)|Ada|fixed; word||ref=refs/heads/main\n"
        for wrong in ({"ref": "refs/heads/other"}, {"pusher": {"name": "bot-1"}}, {"pusher": 1}):
            refused = call("deploy", {**payload, **wrong}).json()
            assert refused["warnings"] == ["the rules of the hook were not satisfied"]
            assert "results" not in refused
        assert call("signed", payload).status_code == 404, "what protected it is not there: it is disabled"


CRONTAB = """\
# m h dom mon dow command
PATH=/usr/local/bin:/usr/bin:/bin
MAILTO=ops@example.org
CRON_TZ=Europe/Berlin
0 6 * * 1-5 python3 report.py --day today
*/5 * * * * cd /tmp && ls -l > /tmp/listing
@daily GREETING=hello sh -c 'echo "$GREETING"'
@reboot /usr/bin/start-it
0 0 30 2 * never
61 * * * * python3 wrong.py
5 4 * * sun date +%Y
1 2 3
"""


def test_a_crontab_becomes_schedules(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "house") as server:
        house = server.folder
        (house / "report.py").write_text("print('report')")
        (house / "crontab").write_text(CRONTAB)
        env = {"RUNSTEAD_URL": server.url, "RUNSTEAD_ADMIN_TOKEN": server.admin_token}
        dry = command(house, "crontab", "--json", **env)
        report = json.loads(dry.stdout)
        assert [(one["item"].split(":")[0], one["outcome"]) for one in report] == [
            ("line 5", "carried"),
            ("line 6", "carried"),
            ("line 7", "carried"),
            ("line 8", "refused"),
            ("line 9", "refused"),
            ("line 10", "refused"),
            ("line 11", "refused"),
            ("line 12", "refused"),
        ]
        for _ in range(2):
            done = command(house, "crontab", "--write", **env)
            assert done.returncode == 1, done.stderr
        with httpx.Client(base_url=server.url, headers=server.headers) as client:
            made = client.get("/api/schedules").json()["schedules"]
            assert [(one["cron"], one["command"], one["time_zone"]) for one in made] == [
                ("0 6 * * 1-5", "python3 report.py --day today", "Europe/Berlin"),
                ("*/5 * * * *", "/bin/sh -c 'cd /tmp && ls -l > /tmp/listing'", "Europe/Berlin"),
                (
                    "@daily",
                    "/bin/sh -c 'GREETING=hello sh -c '\"'\"'echo \"$GREETING\"'\"'\"''",
                    "Europe/Berlin",
                ),
            ]
            assert made[0]["env"] == ["PATH"]
            job = client.post(f"/api/schedules/{made[2]['id']}/run").json()["id"]
            with client.stream(
                "GET", f"/api/scripts/{job}/logs", headers={"Accept": "text/event-stream"}
            ) as events:
                assert '"line":"hello"' in events.read().decode()


def test_lines_of_the_system_name_a_user() -> None:
    (line,) = read_crontab("17 * * * * root run-parts /etc/cron.hourly\n", system=True)
    assert line.plan is not None
    assert line.plan["command"] == "run-parts /etc/cron.hourly"
    assert "not as root" in line.notes[0]


@pytest.mark.parametrize("text", ["{}", "[1]", "- [", '[{"id": "{{ getenv `X` }}"}]', "just words"])
def test_what_is_no_file_of_hooks_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_hooks(text)


_names = st.text(max_size=20)


@given(
    st.lists(
        st.fixed_dictionaries(
            {"id": _names, "execute-command": _names},
            optional={
                "http-methods": st.lists(st.sampled_from(["GET", "get", "HEAD", "PUT"])),
                "command-working-directory": _names,
                "pass-arguments-to-command": st.lists(
                    st.fixed_dictionaries({"source": st.sampled_from(["payload", "header"]), "name": _names})
                ),
            },
        ),
        max_size=4,
    )
)
def test_whatever_the_hooks_are_there_is_an_answer_for_each(hooks: list[dict[str, Any]]) -> None:
    import tomllib

    text = json.dumps(hooks)
    if "{{" in text:
        return
    found = read_hooks(text)
    assert len(found) == len(hooks)
    for hook, carried in zip(hooks, found, strict=True):
        tomllib.loads(carried.declaration)
        if carried.program is not None:
            compile(carried.program[1], "made", "exec")
        uses_header = any(one["source"] == "header" for one in hook.get("pass-arguments-to-command", []))
        assert not (uses_header and carried.outcome == "carried")


@given(st.text(max_size=200))
def test_whatever_a_crontab_holds_is_read(text: str) -> None:
    for line in read_crontab(text):
        assert line.outcome in ("carried", "refused")
        assert line.plan is not None or line.lost
