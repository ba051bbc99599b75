"""Named commands with typed parameters, which colleagues run without being able to run anything else."""

from __future__ import annotations

from runstead.capabilities.jobs.templates.service import Templates
from runstead.capabilities.jobs.templates.store import TemplateStore

__all__ = ["TemplateStore", "Templates"]
