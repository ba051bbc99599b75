"""``secret://ID`` in the environment of a job: opened when its program starts, masked in all that it prints."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runstead.capabilities.jobs.model import GIVEN, Job
from runstead.capabilities.jobs.ports import Secrets
from runstead.kernel.errors import RunsteadError, UnavailableError
from runstead.kernel.secret import Secret
from runstead.platform.identity import Actor, Resource, require
from runstead.platform.observability.redaction import Redactor

REFERENCE: Final = "secret://"
_SERVER: Final = "server"

Mask = Callable[[bytes], bytes]


def references(env: Mapping[str, str]) -> list[str]:
    """The ids that an environment names."""
    return [value.removeprefix(REFERENCE) for value in env.values() if value.startswith(REFERENCE)]


async def permit(actor: Actor, env: Mapping[str, str], secrets: Secrets | None) -> None:
    """Whoever hands a secret to a program can make the program show it: it takes the right to use that very secret.

    :raises ForbiddenError: it is somebody else's.
    :raises SecretNotFoundError: there is none.
    """
    for secret_id in references(env):
        if secrets is None:
            raise UnavailableError("there are no secrets here")
        owner, scope = await secrets.owner_of(secret_id, scopes=_scopes(str(actor)))
        name = secret_id if scope == _SERVER else f"{scope}/{secret_id}"
        require(actor, "secrets.use", Resource("secret", name, owner))


@dataclass(frozen=True, slots=True)
class Opened:
    """The environment of a job: what anybody may know, the values of its secrets, and what hides those in its output."""

    env: Mapping[str, str]
    secrets: Mapping[str, str]
    #: None: there is nothing to hide.
    mask: Mask | None


async def opened(job: Job, secrets: Secrets | None, given: Mapping[str, str] | None = None) -> Opened:
    """What the program of a job is to get.

    :param given: values that are in memory only.
    :raises SecretNotFoundError: one is gone since the job was taken.
    :raises SecretExpiredError: the time of one is over.
    """
    values: dict[str, Secret] = {}
    for name, value in job.env.items():
        if value == GIVEN:
            if name not in (given or {}):
                raise UnavailableError(
                    f"the value of {name} was in memory only, and the server has gone since; run the template again"
                )
            values[name] = Secret((given or {})[name])
        elif value.startswith(REFERENCE):
            if secrets is None:
                raise UnavailableError("there are no secrets here")
            secret_id = value.removeprefix(REFERENCE)
            values[name] = await secrets.use(
                secret_id, used_by=f"job:{job.id}", scopes=_scopes(job.secrets_of)
            )
    return Opened(
        env={name: value for name, value in job.env.items() if name not in values},
        secrets={name: secret.reveal() for name, secret in values.items()},
        mask=_mask_of(list(values.values())) if values else None,
    )


async def mask_again(job: Job, secrets: Secrets | None) -> Mask | None:
    """What hides the secrets of a program that an earlier server started; meanwhile they may have changed, or be gone.

    Where the values that it has cannot be found out, every line is withheld.
    """
    names = [name for name, value in job.env.items() if value == GIVEN or value.startswith(REFERENCE)]
    if not names:
        return None
    values = await asyncio.to_thread(_values_in, job.pid, names)
    try:
        values += [Secret(value) for value in (await opened(job, secrets)).secrets.values()]
    except RunsteadError:
        if not values:
            return lambda _: b"[withheld: the secrets of this job are gone]"
    return _mask_of(values)


def _values_in(pid: int | None, names: Sequence[str]) -> list[Secret]:
    """Variables in the environment with which a process began."""
    try:
        pairs = Path(f"/proc/{pid}/environ").read_bytes().decode("utf-8", "surrogateescape").split("\0")
    except OSError:
        return []
    found = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
    return [Secret(found[name]) for name in names if found.get(name)]


def _scopes(owner: str) -> tuple[str, ...]:
    return (owner, _SERVER) if owner.startswith("user:") else (_SERVER,)


def _mask_of(values: list[Secret]) -> Mask:
    redactor = Redactor(*values)

    def mask(data: bytes) -> bytes:
        # Bytes that are no UTF-8 pass unharmed.
        text = data.decode("utf-8", "surrogateescape")
        return (
            redactor.scrub_text(text).encode("utf-8", "surrogateescape") if redactor.matches(text) else data
        )

    return mask
