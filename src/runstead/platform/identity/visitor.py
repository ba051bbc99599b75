"""Where a request comes from, as far as sessions are concerned."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

AGENT_CHARS_MAX: Final = 256
_DIGITS: Final = re.compile(r"[\d._]+")


@dataclass(frozen=True, slots=True)
class Visitor:
    """What a request tells of the browser that it comes from."""

    address: str
    agent: str = ""

    @property
    def browser(self) -> str:
        """The browser without its version, which changes under a session that goes on."""
        return _DIGITS.sub("", self.agent)[:AGENT_CHARS_MAX]
