"""Which transactional batches and markers compaction may drop (Kafka's `CleanedTransactionMetadata`).

The data of an aborted transaction goes. A marker stays as long as there is data of its transaction, for readers tell
by it what to skip; when that has gone, the marker may go too, after the same time as a tombstone.
"""

from collections import deque
from collections.abc import Iterable

from kpy.protocol.records import BatchHeader, ControlType
from kpy.storage.transaction_index import AbortedTransaction


class CleanedTransactions:
    """The transactions that are open where a walk over the log is. Has to be shown every batch in order.

    `aborted` are those of the log's index.
    """

    __slots__ = ("_aborted", "_coming", "_committed", "_kept")

    def __init__(self, aborted: Iterable[AbortedTransaction]) -> None:
        self._coming = deque(sorted(aborted, key=lambda transaction: transaction.first_offset))
        self._aborted: dict[int, tuple[AbortedTransaction, bool]] = {}
        """Producer id -> its aborted transaction, and whether data of it has been met."""
        self._committed: set[int] = set()
        """Producers of whose transaction, which is not aborted, data has been met."""
        self._kept: list[AbortedTransaction] = []

    def data_may_go(self, header: BatchHeader) -> bool:
        """Whether a data batch is part of an aborted transaction."""
        self._begin_up_to(header.last_offset)
        if not header.is_transactional:
            return False
        found = self._aborted.get(header.producer_id)
        if found is None:
            self._committed.add(header.producer_id)
            return False
        self._aborted[header.producer_id] = (found[0], True)
        return True

    def marker_may_go(self, header: BatchHeader, marker: int | None) -> bool:
        """Whether a control batch has nothing left to say; `marker` is the type of its record, None if it has none."""
        self._begin_up_to(header.last_offset)
        if marker is None:
            return True
        if marker == ControlType.ABORT:
            found = self._aborted.pop(header.producer_id, None)
            if found is not None and found[1]:
                self._kept.append(found[0])
                return False
            return True
        if marker == ControlType.COMMIT:
            if header.producer_id in self._committed:
                self._committed.remove(header.producer_id)
                return False
            return True
        return False

    def take_kept(self) -> list[AbortedTransaction]:
        """The aborted transactions, of those that ended since this was last asked, of which there still was data.

        Whoever reads what was copied has to know of them.
        """
        kept, self._kept = self._kept, []
        return kept

    def _begin_up_to(self, offset: int) -> None:
        while self._coming and self._coming[0].first_offset <= offset:
            transaction = self._coming.popleft()
            self._aborted.setdefault(transaction.producer_id, (transaction, False))
