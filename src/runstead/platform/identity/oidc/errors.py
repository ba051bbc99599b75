"""Why a provider's word is not taken. The texts are for the log and the trail; people see the code."""

from __future__ import annotations

from runstead.kernel.errors import UnauthorizedError, UnavailableError


class ProviderRefusedError(UnauthorizedError):
    """The provider did not let you in."""

    code = "E_PROVIDER_REFUSED"


class ProviderUnavailableError(UnavailableError):
    """The provider cannot be reached, or does not answer as it should."""

    code = "E_PROVIDER"


class TokenRefusedError(UnauthorizedError):
    """What the provider sent is not valid."""

    code = "E_ID_TOKEN"


class NoAccountError(UnauthorizedError):
    """Nobody here goes by that account; ask for an invitation, or sign in and link it."""

    code = "E_NO_ACCOUNT"
