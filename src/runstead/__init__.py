"""Runstead: a home for your scripts. One process runs them, shows what they say, and keeps what they make."""

__version__ = "0.1.0"
