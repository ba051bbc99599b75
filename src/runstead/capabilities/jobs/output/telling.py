"""What the log store hears of a job's output."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from runstead.capabilities.jobs.model import Job
from runstead.capabilities.jobs.output.lines import Line
from runstead.capabilities.jobs.ports import LogSink
from runstead.kernel.clock import Clock

#: Lines of one attempt that go to the log store in a second. The job's own log has them all; a store that many share is not to be
#: flooded by one.
LINES_TOLD_MAX: Final = 1000


class Teller:
    """Sends the lines of one attempt on, up to a rate; what it leaves out it counts and says."""

    def __init__(self, job: Job, sink: LogSink, clock: Clock) -> None:
        self._job = job
        self._sink = sink
        self._clock = clock
        self._second = clock.monotonic()
        self._told = 0
        self._left_out = 0

    def tell(self, lines: Iterable[Line]) -> None:
        """These lines have come."""
        now = self._clock.monotonic()
        if now - self._second >= 1:
            self.close()
            self._second, self._told = now, 0
        for line in lines:
            if self._told >= LINES_TOLD_MAX:
                self._left_out += 1
            elif text := line.text.strip():
                self._told += 1
                self._emit("warn" if line.is_error else "info", text, seq=line.seq)

    def close(self) -> None:
        """Say what was left out."""
        if self._left_out:
            self._emit("warn", f"{self._left_out} more lines are in the log of the job alone")
            self._left_out = 0

    def _emit(self, level: str, message: str, **more: Any) -> None:
        self._sink.emit(
            source=f"job:{self._job.name}"[:64],
            level=level,
            message=message,
            at=self._clock.now(),
            context={"job_id": self._job.id, "attempt": self._job.attempt, **more},
        )
