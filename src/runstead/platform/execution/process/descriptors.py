"""Handing secrets over in open files: they are in no environment, where every process of the same user could read them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping

from runstead.platform.execution.process.model import Launch


@contextlib.contextmanager
def handed_over(launch: Launch) -> Iterator[tuple[Mapping[str, str], tuple[int, ...]]]:
    """The environment of a launch with the paths in it, and the descriptors that the program is to inherit.

    Each is a file in memory (memfd_create(2)) that can be read often, and is gone with its last reader.
    """
    env, open_files = dict(launch.env), []
    try:
        for name, content in launch.descriptors.items():
            descriptor = os.memfd_create(name)
            open_files.append(descriptor)
            os.write(descriptor, content.encode())
            os.lseek(descriptor, 0, os.SEEK_SET)
            env[f"{name}_FILE"] = f"/proc/self/fd/{descriptor}"
        yield env, tuple(open_files)
    finally:
        for descriptor in open_files:
            os.close(descriptor)
