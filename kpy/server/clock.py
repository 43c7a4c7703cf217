"""Wall time, read in this one place.

Everything else is given `now_ms`, milliseconds since the epoch as Kafka counts them. Delays are measured on trio's
clock, so that a step of the wall clock never fires or holds back a timer.
"""

import time
from typing import Protocol

import trio


class Clock(Protocol):
    """A source of wall time."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""


class SystemClock:
    """The machine's own wall time."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000


class TrioClock:
    """Wall time that follows trio's clock from a fixed start: virtual when trio's clock is."""

    def __init__(self, start_ms: int) -> None:
        self.start_ms = start_ms

    def now_ms(self) -> int:
        return self.start_ms + int(trio.current_time() * 1000)
