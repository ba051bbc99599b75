"""The maxima that hold everywhere, each with its unit and the reason for its number."""

from __future__ import annotations

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

#: Requests without a limit of their own. Room for any JSON that a person writes, small enough to hold 100 at once.
REQUEST_BODY_BYTES_MAX: Final = 1 * MIB

#: Characters of a request id that a client may choose; more is replaced, since it lands in every log line.
REQUEST_ID_CHARS_MAX: Final = 128

#: Rows of any page, so that one request cannot ask for the whole table.
PAGE_ROWS_MAX: Final = 1000

#: Rows of a page when the client does not say.
PAGE_ROWS_DEFAULT: Final = 50
