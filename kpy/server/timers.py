"""Timers that are set far more often than they fire.

A heartbeat moves its member's session deadline some thousand times for each time that a deadline passes, so moving
an alarm to a later time is one store; the heap learns of it when the earlier time comes up. What the heap has beside
that, of alarms that were cancelled or moved forward, is thrown out when it is more than half.
"""

import heapq
import logging
from collections.abc import Callable
from itertools import count

import trio

logger = logging.getLogger(__name__)

OUTDATED_ENTRIES_MAX = 64
"""So many the heap may have in any case."""

NEVER = float("inf")


class Alarm:
    """Something to be done later, once for each time that it is set."""

    __slots__ = ("_timers", "deadline", "fire")

    def __init__(self, timers: "Timers", fire: Callable[[], None]) -> None:
        self.deadline = NEVER
        self.fire = fire
        self._timers = timers

    def set(self, delay_ms: int) -> None:
        """Fire after `delay_ms`, and not when it was to fire before."""
        previous = self.deadline
        self.deadline = deadline = trio.current_time() + delay_ms / 1000
        if deadline < previous:
            self._timers.expect(self)

    def cancel(self) -> None:
        """Do not fire, if it was to."""
        self.deadline = NEVER


class Timers:
    """One-shot alarms on trio's clock, fired by the one task that runs `run`.

    Invariant: each alarm that is set has an entry in the heap that is not later than its deadline.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Alarm]] = []
        self._entries_max = OUTDATED_ENTRIES_MAX
        self._order = count()
        self._earlier = trio.Event()

    def alarm(self, fire: Callable[[], None]) -> Alarm:
        """An alarm that calls `fire`; it is not set."""
        return Alarm(self, fire)

    def expect(self, alarm: Alarm) -> None:
        """For alarms: it is set, and was not, or to a later time."""
        heapq.heappush(self._heap, (alarm.deadline, next(self._order), alarm))
        if len(self._heap) > self._entries_max:
            self._tidy()
        if self._heap[0][0] >= alarm.deadline:
            self._earlier.set()

    async def run(self) -> None:
        """Fire timers as they come due, for ever."""
        while True:
            self._fire_due(trio.current_time())
            self._earlier = trio.Event()
            next_deadline = self._heap[0][0] if self._heap else NEVER
            with trio.move_on_at(next_deadline):
                await self._earlier.wait()
            # Where the process stood still, what came meanwhile is heard first: a heartbeat before its session ends.
            await trio.lowlevel.checkpoint()

    def _fire_due(self, now: float) -> None:
        while self._heap and self._heap[0][0] <= now:
            _, _, alarm = heapq.heappop(self._heap)
            if alarm.deadline > now:
                if alarm.deadline != NEVER:
                    heapq.heappush(self._heap, (alarm.deadline, next(self._order), alarm))
                continue
            alarm.cancel()
            try:
                alarm.fire()
            except Exception:
                logger.exception("a bug in the broker: what %r was to do is not done", alarm.fire)

    def _tidy(self) -> None:
        """One entry for each alarm that is set."""
        alarms = dict.fromkeys(alarm for _, _, alarm in sorted(self._heap) if alarm.deadline != NEVER)
        self._heap = [(alarm.deadline, next(self._order), alarm) for alarm in alarms]
        heapq.heapify(self._heap)
        self._entries_max = 2 * len(self._heap) + OUTDATED_ENTRIES_MAX
