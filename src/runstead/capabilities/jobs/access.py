"""Who may do what to which job."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from runstead.capabilities.jobs.errors import JobNotFoundError
from runstead.capabilities.jobs.model import Job
from runstead.capabilities.jobs.service import JobsService
from runstead.kernel.errors import NotFoundError
from runstead.kernel.ids import is_uuid
from runstead.platform.http import actor_of
from runstead.platform.identity import Resource, require

T = TypeVar("T")


async def permitted(service: JobsService, connection: Any, job_id: str, action: str) -> Job:
    """The job, for who may do this to it; see :func:`found`.

    :raises JobNotFoundError: there is none.
    """
    if not is_uuid(job_id):
        raise JobNotFoundError(f"there is no job {job_id[:64]!r}")
    return await found(
        connection, action, service.get(job_id), lambda job: Resource("job", job.id, job.owner)
    )


async def found(connection: Any, action: str, asked: Awaitable[T], resource: Callable[[T], Resource]) -> T:
    """What was asked for, for who may do this to it.

    :param connection: a request or a WebSocket.
    :raises ForbiddenError: whoever asks may not; also where there is no such thing, unless they may on all of its kind.
    """
    actor = actor_of(connection.scope)
    try:
        one = await asked
    except NotFoundError:
        require(actor, action)
        raise
    require(actor, action, resource(one))
    return one
