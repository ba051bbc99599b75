"""``secret://ID`` in the environment of a job: opened when its program starts, masked in all that it prints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from runstead.capabilities.jobs.model import Job
from runstead.capabilities.jobs.ports import Secrets
from runstead.kernel.errors import UnavailableError
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


async def opened(job: Job, secrets: Secrets | None) -> tuple[dict[str, str], Mask | None]:
    """The environment of a job as its program gets it, and what masks its secrets; None when it has none.

    :raises SecretNotFoundError: one is gone since the job was taken.
    :raises SecretExpiredError: the time of one is over.
    """
    env, values = dict(job.env), []
    for name, value in job.env.items():
        if not value.startswith(REFERENCE):
            continue
        if secrets is None:
            raise UnavailableError("there are no secrets here")
        secret_id = value.removeprefix(REFERENCE)
        secret = await secrets.use(secret_id, used_by=f"job:{job.id}", scopes=_scopes(job.owner))
        values.append(secret)
        env[name] = secret.reveal()
    return env, _mask_of(values) if values else None


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
