"""What is refused, by whom it was asked, and how it is said."""
# ruff: noqa: E501 - a table reads better in rows

from __future__ import annotations

import pytest
from tests.integration.jobs.conftest import Open

from runstead.testing.scenario import AS_OPERATOR, Scenario

URL = "/api/scripts"
NOBODY = {"Authorization": "Bearer wrong"}
UNKNOWN = f"{URL}/01a1fb5e-e15b-770d-a7c3-3834fbcd1a0f"

SCENARIOS = [
    Scenario(name="nobody starts", method="POST", url=URL, json={"command": "true"}, headers=NOBODY, status=401, contains=["E_AUTH"]),
    Scenario(name="nobody lists", url=URL, headers=NOBODY, status=401),
    Scenario(name="nobody reads", url=f"{UNKNOWN}/logs", headers=NOBODY, status=401),
    Scenario(name="nobody kills", method="POST", url=f"{UNKNOWN}/kill", headers=NOBODY, status=401),
    Scenario(name="the operator starts", method="POST", url=URL, json={"command": "true"}, headers=AS_OPERATOR, status=201),
    Scenario(name="no body", method="POST", url=URL, status=400, contains=["E_BAD_REQUEST"]),
    Scenario(name="an unknown field", method="POST", url=URL, json={"command": "true", "shell": True}, status=400, contains=["shell"]),
    Scenario(name="an empty command", method="POST", url=URL, json={"command": ""}, status=400),
    Scenario(name="blanks alone", method="POST", url=URL, json={"command": "   "}, status=422, contains=["empty"]),
    Scenario(name="a pipe", method="POST", url=URL, json={"command": "echo a | cat"}, status=422, contains=['"column":8', "pipe"]),
    Scenario(name="a substitution", method="POST", url=URL, json={"command": "echo $(id)"}, status=422, contains=['"column":6']),
    Scenario(name="an open quote", method="POST", url=URL, json={"command": "echo 'a"}, status=422, contains=["quotes"]),
    Scenario(name="no such program", method="POST", url=URL, json={"command": "nonesuch-9"}, status=404, contains=["nonesuch-9", "PATH"]),
    Scenario(name="no such folder", method="POST", url=URL, json={"command": "true", "working_dir": "no"}, status=404, contains=["folder"]),
    Scenario(name="a folder name beyond any", method="POST", url=URL, json={"command": "true", "working_dir": "x" * 4000}, status=404),
    Scenario(name="the server's data", method="POST", url=URL, json={"command": "true", "working_dir": "../data"}, status=404),
    Scenario(name="the server's variables", method="POST", url=URL, json={"command": "true", "env": {"RUNSTEAD_X": "1"}}, status=422),
    Scenario(name="the loader's variables", method="POST", url=URL, json={"command": "true", "env": {"LD_PRELOAD": "x"}}, status=422),
    Scenario(name="no time", method="POST", url=URL, json={"command": "true", "timeout": 0}, status=400, contains=["timeout"]),
    Scenario(name="eight hours unless asked for", method="POST", url=URL, json={"command": "true"}, status=201, contains=['"timeout":28800']),
    Scenario(name="a cursor of somebody else", url=f"{URL}?cursor=x", status=400, contains=["cursor"]),
    Scenario(name="no such state", url=f"{URL}?status=sleeping", status=400, contains=["status"]),
    Scenario(name="too long a page", url=f"{URL}?limit=100000", status=400, contains=["limit"]),
    Scenario(name="no such job", url=UNKNOWN, status=404, contains=["E_NOT_FOUND"]),
    Scenario(name="no id at all", url=f"{URL}/x", status=404),
    Scenario(name="logs of nothing", url=f"{UNKNOWN}/logs", status=404),
    Scenario(name="kill of nothing", method="POST", url=f"{UNKNOWN}/kill", status=404),
    Scenario(name="an unknown signal", method="POST", url=f"{UNKNOWN}/kill", json={"signal": "STOP"}, status=400),
    Scenario(name="delete of nothing", method="DELETE", url=UNKNOWN, status=404),
]  # fmt: skip


@pytest.mark.req("JOBS-008")
@pytest.mark.req("JOBS-010")
@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
async def test_refusals(open_jobs: Open, scenario: Scenario) -> None:
    async with open_jobs() as client:
        await client.post("/healthz")
        await scenario.run(client)


@pytest.mark.req("JOBS-008")
async def test_only_the_commands_of_the_list_are_run(open_jobs: Open) -> None:
    async with open_jobs(commands=["echo", "back*"]) as client:
        assert (await client.post(URL, json={"command": "echo hello"})).status_code == 201
        refused = await client.post(URL, json={"command": "sh -c id"})
        assert refused.status_code == 422
        assert refused.json()["error"]["details"]["allowed"] == ["echo", "back*"]


async def test_a_shell_is_to_be_had_where_the_operator_allows_it(open_jobs: Open) -> None:
    async with open_jobs(allow_shell=True) as client:
        job_id = (await client.post(URL, json={"command": "echo a; echo b | tr b c"})).json()["id"]
        events = await client.get(f"{URL}/{job_id}/logs", headers={"Accept": "text/event-stream"})
        assert '"line":"c"' in events.text


async def test_a_job_gets_the_variables_that_it_names_and_no_others(open_jobs: Open) -> None:
    environ = {"SECRET_OF_THE_SERVER": "s3cr3t", "PASSED": "on"}
    async with open_jobs(environ=environ, env=["PASSED"]) as client:
        job_id = (await client.post(URL, json={"command": "env", "env": {"OWN": "1"}})).json()["id"]
        events = (await client.get(f"{URL}/{job_id}/logs", headers={"Accept": "text/event-stream"})).text
        assert "OWN=1" in events
        assert "PASSED=on" in events
        assert "s3cr3t" not in events
        shown = (await client.get(f"{URL}/{job_id}")).json()
        assert shown["env"] == ["OWN"]
