"""Passkeys (W3C Web Authentication Level 3), by the library ``webauthn``."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from runstead.kernel.errors import BadRequestError
from runstead.platform.identity.errors import SignInError

if TYPE_CHECKING:
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor

ANSWER_CHARS_MAX: Final = 20_000


@dataclass(frozen=True, slots=True)
class Site:
    """Whom browsers take us for: passkeys are bound to it."""

    #: The host name without the port.
    id: str
    #: scheme://host[:port]
    origin: str


@dataclass(frozen=True, slots=True)
class Passkey:
    """What is kept of one; none of it is secret."""

    credential: str
    public_key: str
    uses: int


def registration_options(
    site: Site, *, user_id: str, name: str, known: Sequence[str]
) -> tuple[dict[str, Any], str]:
    """What ``navigator.credentials.create`` takes, and the challenge."""
    import webauthn
    from webauthn.helpers import structs

    options = webauthn.generate_registration_options(
        rp_id=site.id,
        rp_name="Runstead",
        user_id=user_id.encode(),
        user_name=name,
        authenticator_selection=structs.AuthenticatorSelectionCriteria(
            resident_key=structs.ResidentKeyRequirement.REQUIRED,
            user_verification=structs.UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=_descriptors(known),
    )
    return json.loads(webauthn.options_to_json(options)), encoded(options.challenge)


def registered(site: Site, challenge: str, answer: dict[str, Any]) -> Passkey:
    """Check the browser's answer.

    :raises BadRequestError: says what does not fit.
    """
    import webauthn
    from webauthn.helpers.exceptions import WebAuthnException

    try:
        found = webauthn.verify_registration_response(
            credential=answer,
            expected_challenge=decoded(challenge),
            expected_rp_id=site.id,
            expected_origin=site.origin,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError) as error:
        raise BadRequestError(f"The passkey cannot be taken: {error}") from error
    return Passkey(encoded(found.credential_id), encoded(found.credential_public_key), found.sign_count)


def sign_in_options(site: Site, *, known: Sequence[str] = ()) -> tuple[dict[str, Any], str]:
    """What ``navigator.credentials.get`` takes, and the challenge."""
    import webauthn
    from webauthn.helpers import structs

    options = webauthn.generate_authentication_options(
        rp_id=site.id,
        allow_credentials=_descriptors(known) or None,
        user_verification=structs.UserVerificationRequirement.REQUIRED,
    )
    return json.loads(webauthn.options_to_json(options)), encoded(options.challenge)


def credential_of(answer: dict[str, Any]) -> str:
    """Which passkey an answer speaks of."""
    credential = answer.get("id")
    return credential if isinstance(credential, str) else ""


def proved(site: Site, challenge: str, answer: dict[str, Any], passkey: Passkey) -> int:
    """Check the browser's answer; returns how often the passkey says it was used.

    :raises SignInError: it proves nothing, or the passkey was copied (its count went back).
    """
    import webauthn
    from webauthn.helpers.exceptions import WebAuthnException

    try:
        found = webauthn.verify_authentication_response(
            credential=answer,
            expected_challenge=decoded(challenge),
            expected_rp_id=site.id,
            expected_origin=site.origin,
            credential_public_key=decoded(passkey.public_key),
            credential_current_sign_count=passkey.uses,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError) as error:
        raise SignInError("That passkey does not fit.") from error
    return found.new_sign_count


def encoded(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def decoded(text: str) -> bytes:
    """Undo :func:`encoded`."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _descriptors(known: Sequence[str]) -> list[PublicKeyCredentialDescriptor]:
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor

    return [PublicKeyCredentialDescriptor(id=decoded(one)) for one in known]
