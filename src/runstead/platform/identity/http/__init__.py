"""The routes of people: signing in, sessions, tokens, accounts, groups, grants."""

from runstead.platform.identity.http.routes import identity_routes

__all__ = ["identity_routes"]
