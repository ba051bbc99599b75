"""``runstead apps``: watch an app, try something in it, test it, develop it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

from runstead.capabilities.apps.cli import app, files_of, put_app
from runstead.platform.cli import Client, CliError, ExitCode, JsonFlag, Output, segment

#: Seconds between two looks at a folder.
LOOK_SECONDS: Final = 0.3


@app.command
def log(app_id: str, *, request_id: str = "", follow: bool = False, json: JsonFlag = False) -> None:
    """Show the last lines of an app.

    Example: runstead apps log hello --follow

    Parameters
    ----------
    request_id
        Of one request only, as X-Request-ID of its answer has it.
    follow
        Go on with those that come.
    """
    output = Output(json=json)
    path = f"/api/apps/{segment(app_id)}/logs"
    with Client.from_environment() as client:
        if not follow:
            for line in client.request("GET", path, params={"request_id": request_id})["lines"]:
                output.item(line, _shown(line))
            return
        import msgspec

        for message in client.stream(path, request_id=request_id):
            if message.data:
                line = msgspec.json.decode(message.data)
                output.item(line, _shown(line))


@app.command(name="eval")
def evaluate(app_id: str, code: str, *, json: JsonFlag = False) -> None:
    """Evaluate something in an app's sandbox; what it changes is undone.

    Example: runstead apps eval hello "hello({ params: { name: 'you' }, headers: {} })"
    """
    with Client.from_environment() as client:
        done = client.post(f"/api/apps/{segment(app_id)}/eval", json={"code": code})
    text = done["value"] if done["ok"] else "\n    at ".join([done["error"], *done["stack"]])
    Output(json=json).item(done, "\n".join([*(_shown(line) for line in done["console"]), text]))
    if not done["ok"]:
        raise CliError("it failed")


@app.command(name="test")
def run_tests(app_id: str, *, json: JsonFlag = False) -> None:
    """Run the tests that an app carries (*.test.js, *.test.ts); exit code 1 when one fails.

    Example: runstead apps test todo
    """
    with Client.from_environment() as client:
        done = client.post(f"/api/apps/{segment(app_id)}/test")
    lines = [_result(one) for one in done["results"]]
    total = f"{done['passed']} passed, {done['failed']} failed, {done['skipped']} skipped"
    Output(json=json).item(done, "\n".join([*lines, total]))
    if not done["ok"]:
        raise CliError(f"{done['failed']} of the tests failed")


@app.command
def timers(app_id: str, *, json: JsonFlag = False) -> None:
    """List the timers of an app.

    Example: runstead apps timers digest
    """
    _listed(
        app_id,
        "timers",
        ["name", "handler", "every_ms", "next_at", "runs", "missed", "last_error"],
        json=json,
    )


@app.command
def deliveries(app_id: str, *, json: JsonFlag = False) -> None:
    """List what the webhooks of an app sent.

    Example: runstead apps deliveries relay
    """
    _listed(app_id, "deliveries", ["id", "event", "url", "status", "attempts", "answer"], json=json)


@app.command
def assets(app_id: str, *, json: JsonFlag = False) -> None:
    """List the files of an app.

    Example: runstead apps assets page
    """
    _listed(app_id, "assets", ["name", "version", "type", "bytes", "author"], json=json)


@app.command
def export(app_id: str, file: Path) -> None:
    """Write all that is in the database of an app to a file, as lines of JSON.

    Example: runstead apps export todo todo.ndjson
    """
    with Client.from_environment() as client:
        content = client.get(f"/api/apps/{segment(app_id)}/database")
    content = content.encode() if isinstance(content, str) else content
    file.write_bytes(content)
    Output(json=False).item({}, f"{file}: {len(content)} bytes")


@app.command
def dev(app_id: str, folder: Path, *, privileged: bool = True) -> None:
    """Put a folder into service, and again whenever one of its files changes, until Ctrl-C.

    Example: runstead apps dev todo examples/apps/todo
    """
    if not folder.is_dir():
        raise CliError(f"{folder} is no folder", exit_code=ExitCode.USAGE)
    output = Output(json=False)
    params = {"privileged": "true"} if privileged else {}
    before: dict[str, bytes] | None = None
    with Client.from_environment() as client:
        while True:
            files = files_of(folder)
            if files != before:
                before = files
                try:
                    done = put_app(client, app_id, folder, params)
                except CliError as error:
                    if error.exit_code != ExitCode.FAILED:
                        raise
                    output.item({}, f"{app_id}: {error}")
                else:
                    output.item(done, f"{app_id}: version {done['version']['version']} serves")
            time.sleep(LOOK_SECONDS)


def _listed(app_id: str, what: str, columns: list[str], *, json: bool) -> None:
    with Client.from_environment() as client:
        found = client.get(f"/api/apps/{segment(app_id)}/{what}")[what]
    output = Output(json=json)
    if json:
        output.value(found)
    else:
        output.table(found, columns)


def _shown(line: Any) -> str:
    return f"{line.get('at', '')} {line['level']:5} {line['message']}".strip()


def _result(one: Any) -> str:
    mark = {"passed": "ok  ", "failed": "FAIL", "skipped": "skip"}[one["status"]]
    return f"{mark} {one['file']}: {one['name']}" + (f"\n     {one['error']}" if "error" in one else "")
