"""What must hold between the fields: TLS, who may listen where, how long a password is, what production insists on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from runstead.kernel.secret import Secret
from runstead.platform.config.environment import ADMIN_TOKEN, MASTER_PASSWORD
from runstead.platform.config.keypath import KeyPath
from runstead.platform.config.settings import ExecutionSettings, ServerSettings

#: Characters. Below it a password is guessed over the network.
MASTER_PASSWORD_CHARS_MIN: Final = 12

#: Characters, in production.
ADMIN_TOKEN_CHARS_MIN: Final = 16

#: Nobody types more, and every request compares it.
SECRET_CHARS_MAX: Final = 4096

_PRINTABLE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens there."""
    if host in ("127.0.0.1", "localhost", "::1"):
        return True
    import ipaddress

    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def secret_fault(secret: Secret) -> str | None:
    """Why a secret cannot be sent in an HTTP header, if so. Never shows it."""
    text = secret.reveal()
    if len(text) > SECRET_CHARS_MAX:
        return f"found {len(text)} characters, allowed: up to {SECRET_CHARS_MAX}"
    if not _PRINTABLE.fullmatch(text):
        return "found a control character, a letter beyond ASCII or space at an end, allowed: printable ASCII"
    return None


def check(
    sections: Mapping[str, Any], *, profile: str, admin_token: Secret | None, master_password: Secret | None
) -> Iterator[tuple[KeyPath, str]]:
    """What is wrong, as the field to blame and the message; a path of one step is a variable's name.

    :param sections: those that are sound by themselves.
    """
    server = sections.get("server")
    if isinstance(server, ServerSettings):
        yield from _check_server(server, master_password)
    if profile == "prod":
        execution = sections.get("execution")
        if isinstance(execution, ExecutionSettings) and execution.sandbox == "off":
            yield ("execution", "sandbox"), "found 'off', allowed in production: 'auto' or 'required'"
        for name, secret, least in (
            (ADMIN_TOKEN, admin_token, ADMIN_TOKEN_CHARS_MIN),
            (MASTER_PASSWORD, master_password, MASTER_PASSWORD_CHARS_MIN),
        ):
            if secret is not None and len(secret) < least:
                yield (name,), f"found {len(secret)} characters, allowed in production: {least} or more"


def _check_server(server: ServerSettings, master_password: Secret | None) -> Iterator[tuple[KeyPath, str]]:
    if not is_loopback(server.host):
        length = len(master_password) if master_password is not None else 0
        if length < MASTER_PASSWORD_CHARS_MIN:
            state = "is not set" if master_password is None else f"has {length} characters"
            needed = f"{MASTER_PASSWORD} has {MASTER_PASSWORD_CHARS_MIN} characters or more (it {state})"
            message = "which other machines can reach, allowed: a loopback address, or any when"
            yield ("server", "host"), f"found {server.host!r}, {message} {needed}"
    if (server.tls_cert is None) != (server.tls_key is None):
        given, absent = ("tls_cert", "tls_key") if server.tls_key is None else ("tls_key", "tls_cert")
        yield ("server", given), f"found it without {absent}, allowed: both or none"
    for name, path in (("tls_cert", server.tls_cert), ("tls_key", server.tls_key)):
        if path is not None and not path.is_file():
            yield ("server", name), f"found {str(path)!r}, allowed: an existing file"
