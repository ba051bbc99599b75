"""Who may do what to which job."""

from __future__ import annotations

from typing import Any

from runstead.capabilities.jobs.errors import JobNotFoundError
from runstead.capabilities.jobs.model import Job
from runstead.capabilities.jobs.service import JobsService
from runstead.kernel.ids import is_uuid
from runstead.platform.http import actor_of
from runstead.platform.identity import Resource, require


async def permitted(service: JobsService, connection: Any, job_id: str, action: str) -> Job:
    """The job, for who may do this to it.

    :param connection: a request or a WebSocket.
    :raises ForbiddenError: whoever asks may not; also where there is no such job, unless they may on all jobs.
    :raises JobNotFoundError: there is none.
    """
    actor = actor_of(connection.scope)
    if not is_uuid(job_id):
        raise JobNotFoundError(f"there is no job {job_id[:64]!r}")
    try:
        job = await service.get(job_id)
    except JobNotFoundError:
        require(actor, action)
        raise
    require(actor, action, Resource("job", job.id, job.owner))
    return job
