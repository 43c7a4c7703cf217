"""The bound on what partly received requests may occupy, summed over all connections.

A receive buffer grows with the bytes that arrive, never with the size that a frame claims. When the buffers together
would pass the limit, connections whose buffer is full stop reading, so that TCP holds their senders back, and one of
them at a time goes on until its frame is whole. A holder that makes no progress while others wait is closed.
Connections whose frames fit the small buffer that everyone has are never held up.
"""

from collections import deque
from typing import Protocol

import trio

from kpy.protocol.framing import SPARE_BYTES_MAX, SpareBuffers

SMALL_BUFFER_BYTES = 1 << 16
STALLED_SECONDS = 5.0


class Holder(Protocol):
    """A connection, as far as its receive buffer goes."""

    last_progress: float
    is_worked_for: bool
    """Whether the broker is busy with what it has sent, and it can do nothing."""

    def close(self, reason: str) -> None:
        """End the connection at once."""


class RequestMemory:
    """Accounts for the large receive buffers; whoever needs a larger one asks before.

    Invariant: what is held, with the copy that each buffer is made from as it grows, is at most `limit_bytes`, and in
    addition what the one frame takes that goes on so that it ends.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.held_bytes = 0
        self.spares = SpareBuffers()
        self._holders: dict[Holder, int] = {}
        self._waiting: deque[Holder] = deque()
        self._favoured: Holder | None = None
        self._changed = trio.Event()

    def may_hold(self, holder: Holder, size_bytes: int) -> bool:
        """Whether `holder` may have a buffer of that size now, beside the one it has. Spare ones give way."""
        if self.held_bytes + size_bytes + SPARE_BYTES_MAX > self.limit_bytes:
            self.spares.clear()
        return self.held_bytes + size_bytes <= self.limit_bytes or self._favoured is holder

    def hold(self, holder: Holder, size_bytes: int) -> None:
        """`holder`'s buffer now has `size_bytes`; a small one does not count."""
        previous = self._holders.get(holder, 0)
        if size_bytes > SMALL_BUFFER_BYTES:
            self._holders[holder] = size_bytes
            self.held_bytes += size_bytes - previous
            return
        if previous:
            self.release(holder)

    def release(self, holder: Holder) -> None:
        """`holder` holds nothing any more."""
        self.held_bytes -= self._holders.pop(holder, 0)
        if self._favoured is holder:
            self._favoured = None
        self._changed.set()
        self._changed = trio.Event()

    async def turn(self, holder: Holder, size_bytes: int) -> None:
        """Wait until `holder` may have a buffer of that size; it is to take it before anything else runs."""
        self._waiting.append(holder)
        try:
            while not self.may_hold(holder, size_bytes):
                if self._favoured is None and self._waiting[0] is holder:
                    self._favoured = holder
                    holder.last_progress = trio.current_time()
                    return
                with trio.move_on_after(STALLED_SECONDS) as patience:
                    await self._changed.wait()
                if patience.cancelled_caught:
                    self._close_stalled()
        finally:
            self._waiting.remove(holder)

    def _close_stalled(self) -> None:
        longest_ago = trio.current_time() - STALLED_SECONDS
        for holder in self._holders:
            if holder not in self._waiting and not holder.is_worked_for and holder.last_progress <= longest_ago:
                holder.close("its large request has stalled while others wait (queued.max.request.bytes)")
