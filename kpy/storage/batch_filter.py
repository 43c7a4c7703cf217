"""What compaction leaves of one batch (`Cleaner.cleanInto`, `MemoryRecords.filterTo`); decides only.

Offsets and order stay. A batch that keeps some of its records keeps its first and last offset and its sequence numbers
too, so that the producer's state is what it was; the last batch of each active producer stays even if it is empty, and
so does the last batch of the part that is compacted, for where it ends is where the next one begins.

Tombstones go some time after the first compaction that met them (KIP-534): that one writes, in place of the batch's
base timestamp, the time from which they may go, and sets the delete horizon bit. Markers of transactions that have no
data left go in the same way.
"""

from collections.abc import Callable
from enum import Enum
from typing import Final, NamedTuple

from kpy.protocol.crc import Buffer
from kpy.protocol.records import (
    CODEC_MASK,
    DELETE_HORIZON,
    HEADER,
    HEADER_BYTES,
    LENGTH_END,
    NO_TIMESTAMP,
    BatchHeader,
    int64,
    stamp_crc,
)
from kpy.storage.cleaned_transactions import CleanedTransactions
from kpy.storage.offset_map import OffsetMap
from kpy.storage.producer_states import LastRecord
from kpy.storage.record_spans import RecordSpan, write_with_timestamp_delta


class Fate(Enum):
    """What may become of a batch as a whole."""

    DROP = "whatever is in it"
    DROP_IF_EMPTY = "if no record of it is kept"
    KEEP = "even if it is empty"


class Verdict(NamedTuple):
    """What was decided about a batch before its records are looked at."""

    fate: Fate
    drops_records: bool
    is_marker_without_data: bool


class Kept:
    """The records of one batch that stay, as far as they have been looked at."""

    __slots__ = ("has_tombstones", "max_timestamp", "payload", "record_count")

    def __init__(self) -> None:
        self.payload = bytearray()
        """As they are in the batch, before compression."""
        self.record_count = 0
        self.max_timestamp = NO_TIMESTAMP
        self.has_tombstones = False

    def add(self, data: bytes | bytearray, span: RecordSpan, header: BatchHeader) -> None:
        self.payload += data[span.start : span.end]
        timestamp = int64(header.base_timestamp + span.timestamp_delta)
        if not self.record_count or timestamp > self.max_timestamp:
            self.max_timestamp = timestamp
        self.record_count += 1
        self.has_tombstones = self.has_tombstones or not span.has_value


class BatchFilter:
    """The decisions of one round about batches and records, in the order of the log."""

    def __init__(
        self,
        offsets: OffsetMap,
        transactions: CleanedTransactions,
        last_record: Callable[[int], LastRecord | None],
        *,
        end_offset: int,
        now_ms: int,
        delete_retention_ms: int,
    ) -> None:
        self._offsets = offsets
        self._transactions = transactions
        self._last_record = last_record
        self._end_offset = end_offset
        self._now_ms = now_ms
        self._delete_retention_ms = delete_retention_ms

    def judge(self, header: BatchHeader, marker: int | None) -> Verdict:
        """What may become of a batch; `marker` is the type of a control batch's record."""
        if header.is_control:
            may_go = self._transactions.marker_may_go(header, marker)
            drops_records = may_go and self._is_beyond_horizon(header)
        else:
            may_go = drops_records = self._transactions.data_may_go(header)
        if self._is_last_of_its_producer(header) or header.next_offset == self._end_offset:
            fate = Fate.KEEP
        else:
            fate = Fate.DROP if drops_records else Fate.DROP_IF_EMPTY
        return Verdict(fate, drops_records, is_marker_without_data=header.is_control and may_go)

    def keeps(self, header: BatchHeader, verdict: Verdict, span: RecordSpan) -> bool:
        """Whether a record stays: its key's last one, if it is no tombstone whose time is up."""
        if verdict.drops_records:
            return False
        if header.is_control:
            return True
        offset = header.base_offset + span.offset_delta
        if offset > self._offsets.latest_offset:
            return True
        if span.key is None or offset < self._offsets.get(span.key):
            return False
        return span.has_value or not self._is_beyond_horizon(header)

    def needs_horizon(self, header: BatchHeader, verdict: Verdict, kept: Kept) -> bool:
        """Whether what is kept may go later, and nothing says yet when."""
        if header.attributes & DELETE_HORIZON:
            return False
        return verdict.is_marker_without_data or kept.has_tombstones

    def horizon_ms(self) -> int:
        """From when on tombstones that are met now may go."""
        return int64(self._now_ms + self._delete_retention_ms)

    def _is_beyond_horizon(self, header: BatchHeader) -> bool:
        return bool(header.attributes & DELETE_HORIZON) and header.base_timestamp <= self._now_ms

    def _is_last_of_its_producer(self, header: BatchHeader) -> bool:
        last = self._last_record(header.producer_id) if header.has_producer_id else None
        if last is None:
            return False
        if last.data_offset is not None:
            return header.last_offset == last.data_offset
        return header.is_control and header.producer_epoch == last.epoch


def append_counted_from(
    out: bytearray, data: bytearray, span: RecordSpan, header: BatchHeader, horizon_ms: int
) -> None:
    """Append a record of the batch with its timestamp counted from a new horizon."""
    timestamp = int64(header.base_timestamp + span.timestamp_delta)
    write_with_timestamp_delta(out, data, span, int64(timestamp - horizon_ms))


def filtered_batch(header: BatchHeader, kept: Kept, stored: Buffer, *, horizon_ms: int | None) -> bytearray:
    """The batch with only these records, whose payload is `stored`; a new horizon is the base of its timestamps."""
    return _batch(
        header._replace(
            attributes=header.attributes | (0 if horizon_ms is None else DELETE_HORIZON),
            base_timestamp=header.base_timestamp if horizon_ms is None else horizon_ms,
            max_timestamp=header.max_timestamp if header.is_log_append_time else kept.max_timestamp,
            record_count=kept.record_count,
        ),
        stored,
    )


_KEPT_WHEN_EMPTY: Final = ~(CODEC_MASK | DELETE_HORIZON)


def empty_batch(header: BatchHeader) -> bytearray:
    """The batch without records: offsets, producer and sequence (`DefaultRecordBatch.writeEmptyHeader`)."""
    attributes = header.attributes & _KEPT_WHEN_EMPTY
    return _batch(header._replace(attributes=attributes, base_timestamp=NO_TIMESTAMP, record_count=0), b"")


def _batch(header: BatchHeader, stored: Buffer) -> bytearray:
    batch = bytearray(HEADER_BYTES)
    HEADER.pack_into(batch, 0, *header._replace(length=HEADER_BYTES - LENGTH_END + len(stored)))
    batch += stored
    stamp_crc(batch)
    return batch
