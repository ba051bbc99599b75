"""Why a request did not get out, or its answer not in. The texts may be shown to whoever asked for it."""

from __future__ import annotations

from runstead.kernel.errors import RunsteadError


class EgressError(RunsteadError):
    """The other side cannot be reached, or does not speak HTTP."""

    code = "E_FETCH"
    status = 502


class EgressRefusedError(EgressError):
    """This address is not to be asked."""

    code = "E_FETCH_REFUSED"


class EgressTimeoutError(EgressError):
    """The other side did not answer in time."""

    code = "E_FETCH_TIMEOUT"
    status = 504


class EgressTooLargeError(EgressError):
    """The answer is larger than it may be."""

    code = "E_FETCH_TOO_LARGE"
