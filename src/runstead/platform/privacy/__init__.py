"""What is known of people: shown, copied out, erased, across the whole server."""

from runstead.platform.privacy.holders import platform_data
from runstead.platform.privacy.service import Privacy, Report

__all__ = ["Privacy", "Report", "platform_data"]
