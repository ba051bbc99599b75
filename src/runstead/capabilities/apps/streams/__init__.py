"""Server-Sent Events of apps: who listens, what was sent, what a client missed."""

from runstead.capabilities.apps.streams.calls import StreamCalls
from runstead.capabilities.apps.streams.hub import Connection, StreamHub

__all__ = ["Connection", "StreamCalls", "StreamHub"]
