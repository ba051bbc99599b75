"""Requests that leave the server for others: to public addresses only, bounded, each hop checked."""

from runstead.platform.egress.addresses import networks_of, refusal
from runstead.platform.egress.client import Answer, Egress, Outgoing
from runstead.platform.egress.errors import (
    EgressError,
    EgressRefusedError,
    EgressTimeoutError,
    EgressTooLargeError,
)

__all__ = [
    "Answer",
    "Egress",
    "EgressError",
    "EgressRefusedError",
    "EgressTimeoutError",
    "EgressTooLargeError",
    "Outgoing",
    "networks_of",
    "refusal",
]
