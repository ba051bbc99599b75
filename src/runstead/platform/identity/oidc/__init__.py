"""Signing in through others: OpenID Connect, authorization code flow with PKCE."""

from runstead.platform.identity.oidc.flow import Providers

__all__ = ["Providers"]
