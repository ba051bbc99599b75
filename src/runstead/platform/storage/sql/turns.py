"""Many at once, until somebody has to be alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """A gate for threads: all may be inside together, unless one of them needs it for itself.

    Whoever waits to be alone holds up those who come later, so the wait is no longer than what is inside already takes.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._waiting = 0
        self._is_alone = False

    @contextmanager
    def taken(self, *, alone: bool) -> Iterator[None]:
        """Be inside. Blocking."""
        with self._changed:
            if alone:
                self._waiting += 1
                self._changed.wait_for(lambda: not self._is_alone and not self._inside)
                self._waiting -= 1
                self._is_alone = True
            else:
                self._changed.wait_for(lambda: not self._is_alone and not self._waiting)
                self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                if alone:
                    self._is_alone = False
                else:
                    self._inside -= 1
                self._changed.notify_all()
