"""Requests that are parked until something happens to a partition.

A waiter is woken when enough bytes have become readable, or when anything else about one of its partitions changed
(it was deleted, its log start moved, the broker stops); it then looks again. Nothing polls.
"""

import trio


class Waiter:
    """One parked request, waiting for `needed_bytes` over the partitions it watches."""

    def __init__(self, needed_bytes: int) -> None:
        self.needed_bytes = needed_bytes
        self.woken = trio.Event()

    def more_bytes(self, size_bytes: int) -> None:
        """`size_bytes` became readable in a watched partition."""
        self.needed_bytes -= size_bytes
        if self.needed_bytes <= 0:
            self.woken.set()

    def wake(self) -> None:
        """Look again now."""
        self.woken.set()


class Waiters:
    """The waiters of one partition."""

    def __init__(self) -> None:
        self._waiters: set[Waiter] = set()

    def __len__(self) -> int:
        return len(self._waiters)

    def add(self, waiter: Waiter) -> None:
        self._waiters.add(waiter)

    def discard(self, waiter: Waiter) -> None:
        self._waiters.discard(waiter)

    def more_bytes(self, size_bytes: int) -> None:
        for waiter in self._waiters:
            waiter.more_bytes(size_bytes)

    def wake(self) -> None:
        for waiter in self._waiters:
            waiter.wake()
