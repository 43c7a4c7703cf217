"""Where work goes that waits for the disk, or takes long: to a few threads, so that the event loop never does.

What such work needs of the loop's objects is handed to it when it begins, and what it learned is put to use after it,
on the loop again. Under a virtual clock a thread does not count as running: `inline` takes its place there.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import trio

T = TypeVar("T")

FLUSHING_THREADS_MAX = 8
"""How many logs are synced at once: a journal does for several what it does for one."""
CLEANING_THREADS_MAX = 2
"""How many calls of compaction and removals of files go on at once."""
VALIDATING_THREADS_MAX = 2
"""How many large batches are validated at once, each with as much memory as its records take decompressed, twice."""
READING_THREADS_MAX = 4
"""How many cold ranges are read at once, so that those who flush never wait for those who read."""


class RunInWorker(Protocol):
    """Runs a function somewhere else and waits for it; what has begun is not given up when the waiter is cancelled."""

    def __call__(self, function: Callable[[], T]) -> Awaitable[T]: ...


class Workers:
    """At most so many threads."""

    def __init__(self, threads_max: int) -> None:
        self._limiter = trio.CapacityLimiter(threads_max)

    async def __call__(self, function: Callable[[], T]) -> T:
        return await trio.to_thread.run_sync(function, limiter=self._limiter)


async def inline(function: Callable[[], T]) -> T:
    """Right here."""
    return function()
