"""Timers that are set far more often than they fire.

A heartbeat moves its member's session deadline some thousand times for each time that a deadline passes, so setting
a timer that exists to a later time is one dictionary store; the heap learns of it when the earlier time comes up.
What the heap has beside that, of timers that were cancelled or moved forward, is thrown out when it is more than half.
"""

import heapq
import logging
from collections.abc import Callable, Hashable
from itertools import count

import trio

logger = logging.getLogger(__name__)

OUTDATED_ENTRIES_MAX = 64
"""So many the heap may have in any case."""


class Timers:
    """Keyed one-shot timers on trio's clock, fired by the one task that runs `run`.

    Invariant: each timer has an entry in the heap that is not later than its deadline.
    """

    def __init__(self) -> None:
        self._deadlines: dict[Hashable, tuple[float, Callable[[], None]]] = {}
        self._heap: list[tuple[float, int, Hashable]] = []
        self._order = count()
        self._earlier = trio.Event()

    def set(self, key: Hashable, delay_ms: int, fire: Callable[[], None]) -> None:
        """Call `fire` after `delay_ms`, in place of what `key` was set to before."""
        deadline = trio.current_time() + delay_ms / 1000
        previous = self._deadlines.get(key)
        self._deadlines[key] = (deadline, fire)
        if previous is not None and previous[0] <= deadline:
            return
        heapq.heappush(self._heap, (deadline, next(self._order), key))
        if len(self._heap) > 2 * len(self._deadlines) + OUTDATED_ENTRIES_MAX:
            self._tidy()
        if self._heap[0][0] >= deadline:
            self._earlier.set()

    def cancel(self, key: Hashable) -> None:
        """Forget `key`, if it is set."""
        self._deadlines.pop(key, None)

    async def run(self) -> None:
        """Fire timers as they come due, for ever."""
        while True:
            self._fire_due(trio.current_time())
            self._earlier = trio.Event()
            next_deadline = self._heap[0][0] if self._heap else float("inf")
            with trio.move_on_at(next_deadline):
                await self._earlier.wait()
            # Where the process stood still, what came meanwhile is heard first: a heartbeat before its session ends.
            await trio.lowlevel.checkpoint()

    def _fire_due(self, now: float) -> None:
        while self._heap and self._heap[0][0] <= now:
            due, _, key = heapq.heappop(self._heap)
            entry = self._deadlines.get(key)
            if entry is None or entry[0] < due:
                continue
            deadline, fire = entry
            if deadline > now:
                heapq.heappush(self._heap, (deadline, next(self._order), key))
                continue
            del self._deadlines[key]
            try:
                fire()
            except Exception:
                logger.exception("a bug in the broker: the timer %r is lost", key)

    def _tidy(self) -> None:
        """One entry for each timer."""
        self._heap = [(deadline, next(self._order), key) for key, (deadline, _) in self._deadlines.items()]
        heapq.heapify(self._heap)
