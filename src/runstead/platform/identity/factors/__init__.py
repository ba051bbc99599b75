"""What somebody can show beside a password, or instead of it: one-time codes, passkeys, recovery codes, trusted devices."""

from runstead.platform.identity.factors.service import Factors

__all__ = ["Factors"]
