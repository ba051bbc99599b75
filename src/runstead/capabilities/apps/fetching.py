"""``fetch`` of a script: secrets are put in here, at the last moment, and masked in whatever comes back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec

from runstead.capabilities.apps.ports import Masker, Secrets
from runstead.kernel.errors import BadRequestError, NotFoundError, RunsteadError
from runstead.platform.egress import Answer, Egress, Outgoing

_REFERENCE: Final = re.compile(r"\{\{\s*secret:([A-Za-z0-9][A-Za-z0-9._-]{0,127})\s*\}\}")
HEADERS_MAX: Final = 100


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What the prelude hands over."""

    url: str
    method: str
    headers: list[tuple[str, str]]
    body: dict[str, str] | None
    secrets: list[tuple[str, str]]
    timeout: float | None
    retry: float
    redirect: Literal["follow", "manual", "error"]


class Fetching:
    """Sends what a script asks for. A script names secrets by id and never sees a value, also not one that is echoed."""

    def __init__(
        self, egress: Egress, *, secrets: Secrets | None, masker: Masker | None, seconds_max: float
    ) -> None:
        self._egress = egress
        self._secrets = secrets
        self._masker = masker
        self._seconds_max = seconds_max

    async def fetch(self, raw: Any, *, used_by: str, scopes: Sequence[str]) -> dict[str, Any]:
        """Send a request; the answer as the prelude takes it.

        :raises BadRequestError: the request is malformed, or names a secret that is not to be had.
        :raises EgressError: it could not be sent, or was not answered.
        """
        try:
            wanted = msgspec.convert(raw, Wanted)
        except msgspec.ValidationError as error:
            raise BadRequestError(f"fetch: {error}") from error
        if len(wanted.headers) + len(wanted.secrets) > HEADERS_MAX:
            raise BadRequestError(f"fetch: more than {HEADERS_MAX} headers")
        headers, secret_names = await self._filled(wanted, used_by, scopes)
        outgoing = Outgoing(
            method=wanted.method,
            url=wanted.url,
            headers=headers,
            body=_body_of(wanted.body),
            seconds=self._seconds_of(wanted.timeout),
            redirect=wanted.redirect,
            retries=int(min(max(wanted.retry, 0), 5)) if wanted.retry == wanted.retry else 0,
            secret_headers=frozenset(secret_names),
        )
        try:
            answer = await self._egress.send(outgoing)
        except RunsteadError as error:
            error.message = self._masked(error.message)
            raise
        return self._told(answer)

    async def _filled(
        self, wanted: Wanted, used_by: str, scopes: Sequence[str]
    ) -> tuple[list[tuple[str, str]], set[str]]:
        """The headers with secrets in their places, and the names of those that hold one."""
        headers, names = [], set()
        for name, value in wanted.headers:
            pieces, end = [], 0
            for match in _REFERENCE.finditer(value):
                pieces += [value[end : match.start()], await self._open(match[1], used_by, scopes)]
                end = match.end()
                names.add(name.lower())
            headers.append((name, "".join([*pieces, value[end:]])))
        for name, secret_id in wanted.secrets:
            headers.append((name, await self._open(secret_id, used_by, scopes)))
            names.add(name.lower())
        return headers, names

    async def _open(self, secret_id: str, used_by: str, scopes: Sequence[str]) -> str:
        try:
            if self._secrets is None:
                raise NotFoundError
            return (await self._secrets.use(secret_id, used_by=used_by, scopes=scopes)).reveal()
        except RunsteadError as error:
            # The same for one that does not exist, has expired, or is somebody else's.
            raise BadRequestError("fetch: a secret that the request names is not to be had") from error

    def _seconds_of(self, milliseconds: float | None) -> float:
        if milliseconds is None or not milliseconds > 0:
            return self._seconds_max
        return min(milliseconds / 1000, self._seconds_max)

    def _masked(self, text: str) -> str:
        return text if self._masker is None else self._masker.scrub_text(text)

    def _told(self, answer: Answer) -> dict[str, Any]:
        told: dict[str, Any] = {
            "status": answer.status,
            "headers": [[name, self._masked(value)] for name, value in answer.headers],
            "url": self._masked(answer.url),
            "redirected": answer.redirected,
        }
        try:
            told["text"] = self._masked(answer.body.decode())
        except UnicodeDecodeError:
            told["hex"] = answer.body.hex()
        return told


def _body_of(body: dict[str, str] | None) -> bytes:
    if body is None:
        return b""
    if "text" in body:
        return body["text"].encode("utf-8", "replace")
    try:
        return bytes.fromhex(body.get("hex", ""))
    except ValueError:
        raise BadRequestError("fetch: the body is malformed") from None
