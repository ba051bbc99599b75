"""``runstead privacy``: what is known of people."""

from __future__ import annotations

from cyclopts import App

from runstead.platform.cli import Client, CliError, ExitCode, JsonFlag, Output, segment

app = App(name="privacy", help="What is known of people: show, copy out, erase.")


@app.command
def classes(*, json: JsonFlag = False) -> None:
    """List what is kept, for how long, and what erasure does to it.

    Example: runstead privacy classes
    """
    with Client.from_environment() as client:
        found = client.get("/api/privacy/classes")
    output = Output(json=json)
    if json:
        output.value(found)
    else:
        output.table(found["classes"], ["name", "kind", "retention", "erasure", "reason"])


@app.command
def export(who: str) -> None:
    """Write what is known of somebody to standard output, as JSON.

    Example: runstead privacy export ada@example.org > ada.json

    Parameters
    ----------
    who
        Name, mail address or id.
    """
    with Client.from_environment() as client:
        Output(json=True).value(client.get(f"/api/privacy/people/{segment(who)}"))


@app.command
def erase(who: str, *, confirm: str = "", json: JsonFlag = False) -> int:
    """Erase somebody from the whole server, and report what became of what. Ends with 1 when a part could not do its share.

    Example: runstead privacy erase ada@example.org --confirm ada@example.org
    """
    if confirm != who:
        raise CliError("it cannot be undone: repeat the name in --confirm", exit_code=ExitCode.USAGE)
    with Client.from_environment() as client:
        report = client.post(f"/api/privacy/people/{segment(who)}/erase")
    output = Output(json=json)
    if json:
        output.value(report)
    else:
        output.table(report["outcomes"], ["data", "outcome", "count", "reason"])
        for line in report["failed"]:
            output.line(f"failed: {line}")
    return ExitCode.OK if report["complete"] else ExitCode.FAILED
