"""Commands that start by the clock."""

from runstead.capabilities.jobs.schedules.service import Schedules
from runstead.capabilities.jobs.schedules.store import ScheduleStore

__all__ = ["ScheduleStore", "Schedules"]
