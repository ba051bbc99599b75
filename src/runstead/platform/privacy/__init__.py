"""What is known of people: shown, copied out, erased, across the whole server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runstead.kernel.lazy import lazily

if TYPE_CHECKING:
    from runstead.platform.privacy.holders import platform_data
    from runstead.platform.privacy.service import Privacy, Report

__all__ = [
    "Privacy",
    "Report",
    "platform_data",
]

if not TYPE_CHECKING:
    __getattr__ = lazily(
        __name__,
        {
            "holders": ["platform_data"],
            "service": ["Privacy", "Report"],
        },
    )
