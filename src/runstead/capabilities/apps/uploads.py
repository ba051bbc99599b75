"""Multipart uploads (RFC 7578): to disk while they arrive, within limits; scripts read them in pieces."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Final

from multipart import (  # type: ignore[import-untyped]
    MultipartError,
    MultipartSegment,
    ParserLimitReached,
    PushMultipartParser,
    parse_options_header,
)

from runstead.capabilities.apps.hostcalls import Calls, Session
from runstead.kernel.capability import Receive
from runstead.kernel.errors import BadRequestError, TooLargeError, UnprocessableError
from runstead.kernel.limits import KIB, MIB
from runstead.platform.http import ClientDisconnectedError

#: Fields and files of one form.
PARTS_MAX: Final = 200
#: Bytes of all that are no files: they go with the request.
FIELDS_BYTES_MAX: Final = 1 * MIB
#: Bytes that are handed to a script at once.
READ_BYTES_MAX: Final = 1 * MIB
#: Bytes of a file that stay in memory.
_SPOOL_BYTES: Final = 64 * KIB
NAME: Final = "uploads"


@dataclass(slots=True)
class Upload:
    """A file of a form, open until the request has ended."""

    field: str
    name: str
    type: str
    size: int
    content: IO[bytes]

    def described(self, number: int) -> dict[str, Any]:
        return {"id": number, "field": self.field, "name": self.name, "type": self.type, "size": self.size}


class Form:
    """Fields and files, as they arrive."""

    def __init__(self, content_type: str) -> None:
        """:raises BadRequestError: it is no multipart form."""
        kind, options = parse_options_header(content_type)
        boundary = options.get("boundary", "")
        if kind.lower() != "multipart/form-data" or not 0 < len(boundary) <= 200:
            raise BadRequestError("this is no multipart form, or it has no boundary")
        self._parser = PushMultipartParser(boundary, max_segment_count=PARTS_MAX, max_header_count=16)
        self._part: MultipartSegment | None = None
        self._text = bytearray()
        self._fields_bytes = 0
        self.fields: dict[str, str] = {}
        self.uploads: list[Upload] = []

    def feed(self, data: bytes) -> None:
        """Take a piece; an empty one is the end.

        :raises BadRequestError: the form is malformed or not complete.
        :raises TooLargeError: too many parts, or too much in fields.
        """
        try:
            for event in self._parser.parse(data):
                self._take(event)
            if not data:
                self._parser.close()
        except ParserLimitReached as error:
            raise TooLargeError(
                f"the form has more than {PARTS_MAX} parts, or a part's head is too large"
            ) from error
        except (MultipartError, UnicodeDecodeError, ValueError) as error:
            raise BadRequestError(f"the form is malformed: {error}") from error

    def _take(self, event: Any) -> None:
        if isinstance(event, MultipartSegment):
            self._part, self._text = event, bytearray()
            if event.filename is not None:
                content = tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES)  # noqa: SIM115 - closed with the request
                kind = event.content_type or "application/octet-stream"
                self.uploads.append(Upload(event.name, event.filename, kind, 0, content))
        elif event is None:
            if self._part is not None and self._part.filename is None:
                self.fields[self._part.name] = self._text.decode("utf-8", "replace")
            self._part = None
        elif self._part is not None and self._part.filename is not None:
            self.uploads[-1].content.write(event)
            self.uploads[-1].size += len(event)
        else:
            self._fields_bytes += len(event)
            if self._fields_bytes > FIELDS_BYTES_MAX:
                raise TooLargeError(f"the fields of a form may have {FIELDS_BYTES_MAX} bytes")
            self._text += event

    def close(self) -> None:
        for upload in self.uploads:
            upload.content.close()


async def read_form(receive: Receive, content_type: str) -> Form:
    """Read a whole form; the caller closes it.

    :raises BadRequestError: it is malformed.
    :raises TooLargeError: it is larger than it may be.
    """
    form = Form(content_type)
    try:
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise ClientDisconnectedError
            if body := message.get("body", b""):
                await asyncio.to_thread(form.feed, body)
            if not message.get("more_body", False):
                form.feed(b"")
                return form
    except BaseException:
        form.close()
        raise


class UploadCalls:
    """Reading what was uploaded with the request that is handled."""

    def calls(self) -> Calls:
        return {"upload.read": self._read}

    async def _read(self, session: Session, number: int, offset: Any, count: Any) -> str:
        upload = upload_of(session, number)
        if (
            not isinstance(offset, int)
            or not isinstance(count, int)
            or offset < 0
            or not 0 <= count <= READ_BYTES_MAX
        ):
            raise UnprocessableError(f"a file is read from an offset, {READ_BYTES_MAX} bytes at a time")

        def read() -> str:
            upload.content.seek(offset)
            return upload.content.read(count).hex()

        return await asyncio.to_thread(read)


def upload_of(session: Session, number: Any) -> Upload:
    """:raises UnprocessableError: there is no such file."""
    uploads = session.kept.get(NAME, ())
    if not isinstance(number, int) or not 0 <= number < len(uploads):
        raise UnprocessableError("there is no such file in this request")
    found: Upload = uploads[number]
    return found


def described(uploads: list[Upload]) -> list[dict[str, Any]]:
    """As scripts see them."""
    return [upload.described(number) for number, upload in enumerate(uploads)]


def pieces(upload: Upload) -> Iterator[bytes]:
    """The whole content."""
    upload.content.seek(0)
    while piece := upload.content.read(READ_BYTES_MAX):
        yield piece
