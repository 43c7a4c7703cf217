"""Producer ids: handed out one at a time from blocks that the controller gives once.

A block is durable before its first id is used, so that no id is given twice in a data directory; what is left of a
block when the process ends is lost (KIP-730).
"""

from kpy.protocol.metadata_records import ProducerIdsRecord

BLOCK_SIZE = 1000  # ProducerIdsBlock.PRODUCER_ID_BLOCK_SIZE


class ProducerIds:
    """The ids of the current block."""

    __slots__ = ("_end", "_next")

    def __init__(self) -> None:
        self._next = 0
        self._end = 0

    def take(self) -> int | None:
        """The next id; None if the block is used up and `refill` is due."""
        if self._next == self._end:
            return None
        self._next += 1
        return self._next - 1

    def refill(self, record: ProducerIdsRecord) -> None:
        """Go on with the block that the controller has just recorded."""
        self._next, self._end = record.next_producer_id - BLOCK_SIZE, record.next_producer_id
