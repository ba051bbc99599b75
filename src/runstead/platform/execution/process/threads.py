"""The threads that start programs and clear up after them.

Few, and apart from the others: starting is a string of short calls into the kernel, and more threads than processors only take
the interpreter away from each other.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

T = TypeVar("T")

_threads: Final = ThreadPoolExecutor(min(os.cpu_count() or 1, 4), thread_name_prefix="runstead-process")


async def in_thread(work: Callable[[], T]) -> T:
    """Do this in one of them."""
    return await asyncio.get_running_loop().run_in_executor(_threads, work)
