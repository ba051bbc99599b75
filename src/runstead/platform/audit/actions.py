"""The taxonomy: everything that is ever written down, and how grave it is."""

from __future__ import annotations

from typing import Final, Literal

Severity = Literal["info", "notice", "warning", "alert"]
Outcome = Literal["success", "failure", "denied"]

SEVERITIES: Final[tuple[Severity, ...]] = ("info", "notice", "warning", "alert")

#: Action → its severity when it succeeds, and what it means.
ACTIONS: Final[dict[str, tuple[Severity, str]]] = {
    "access.denied": ("warning", "Somebody known asked for what they may not do."),
    "access.locked": ("warning", "An address sent so many wrong credentials that it has to wait."),
    "alert.raised": ("alert", "A detection rule found something."),
    "app.delete": ("notice", "An app was removed."),
    "app.owner": ("notice", "An app belongs to somebody else."),
    "app.privilege": ("notice", "An app may serve public routes now, or no longer."),
    "app.put": ("info", "A new version of an app was taken."),
    "audit.export": ("notice", "The trail was copied out."),
    "audit.retention": ("notice", "Old entries were removed by policy."),
    "endpoint.call": ("info", "A program was run by hand."),
    "grant.create": ("notice", "Somebody was allowed something on one thing."),
    "grant.delete": ("notice", "A grant was taken back."),
    "group.add": ("notice", "A group took in a member."),
    "group.change": ("notice", "A group has another name or other roles."),
    "group.create": ("notice", "A group was made."),
    "group.delete": ("notice", "A group was removed."),
    "group.remove": ("notice", "A group let a member go."),
    "identity.factor": ("notice", "A second factor was set up or removed."),
    "identity.link": ("notice", "An account was linked to one of another provider."),
    "identity.login": ("info", "Somebody proved who they are, or failed to."),
    "identity.suspicious": (
        "warning",
        "Somebody signed in from another browser and network than ever before.",
    ),
    "job.delete": ("info", "A job and its logs were removed."),
    "job.kill": ("info", "A job was ended."),
    "job.start": ("info", "A command was started."),
    "limit.allow": ("notice", "An address is exempt from limits now."),
    "limit.block": ("notice", "An address is shut out now."),
    "limit.remove": ("notice", "A block or an exemption ended."),
    "link.delete": ("notice", "A one-time link was taken back."),
    "link.invitation": ("notice", "Somebody was invited."),
    "link.reset": ("notice", "A link to set a password was made."),
    "link.setup": ("notice", "The link that makes the first administrator was printed."),
    "privacy.erase": ("notice", "What is known of somebody was erased."),
    "privacy.export": ("notice", "What is known of somebody was copied out."),
    "project.create": ("notice", "A log project was made."),
    "project.delete": ("notice", "A log project was removed."),
    "project.rotate": ("notice", "A log project has other credentials."),
    "template.change": ("info", "A template has another definition."),
    "template.create": ("info", "A named command with parameters was made."),
    "template.delete": ("info", "A template was removed."),
    "schedule.change": ("info", "A schedule has another plan."),
    "schedule.create": ("info", "A command is to start by the clock."),
    "schedule.delete": ("info", "A schedule was removed."),
    "secret.create": ("notice", "A secret was put in."),
    "secret.delete": ("notice", "A secret was removed."),
    "secret.expiring": ("warning", "A secret will expire soon."),
    "secret.master": ("notice", "The master key was changed."),
    "secret.read": ("info", "A secret was put in at its place of use."),
    "secret.update": ("notice", "A secret has another value."),
    "server.start": ("info", "The server started."),
    "session.begin": ("info", "Somebody is signed in."),
    "session.end": ("info", "A session ended."),
    "tenant.change": ("notice", "A tenant has another plan, or was switched on or off."),
    "tenant.create": ("notice", "A tenant was made."),
    "tenant.delete": ("notice", "A tenant was removed with everything of it."),
    "tenant.export": ("notice", "Everything of a tenant was copied out."),
    "token.create": ("notice", "An API token was made."),
    "token.delete": ("notice", "An API token ended."),
    "user.change": ("notice", "An account was changed."),
    "user.create": ("notice", "An account was made."),
    "user.delete": ("notice", "An account was removed."),
    "user.password": ("notice", "Somebody has another password."),
}


def severity_of(action: str, outcome: Outcome) -> Severity:
    """What did not succeed is at least a warning.

    :raises KeyError: there is no such action.
    """
    severity = ACTIONS[action][0]
    return severity if outcome == "success" or severity == "alert" else "warning"
