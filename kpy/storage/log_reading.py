"""What can be asked of a log: batches from an offset on, offsets by time and by epoch, transactions that were aborted.

Bytes that an earlier process wrote are verified before they are read. A read that finds some says so and has none of
them; `find_damage`, which may run in another thread, and `learn` make up for it, and then it is asked again.
"""

from collections.abc import Hashable, Iterable, Iterator
from functools import partial
from operator import itemgetter
from typing import Final, NamedTuple
from uuid import UUID

from kpy.protocol.crc import Buffer
from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.records import NO_TIMESTAMP, BatchHeader, RecordBatch
from kpy.storage.files import FileRange, NotResident
from kpy.storage.leader_epochs import LeaderEpochs
from kpy.storage.log_config import INT64_MAX, LogConfig
from kpy.storage.producer_states import ProducerStates
from kpy.storage.segment import Segment
from kpy.storage.segments import Segments
from kpy.storage.transaction_index import AbortedTransaction
from kpy.storage.verification import Doubt, Findings


class Unchecked(NamedTuple):
    """Bytes of a segment that have to be verified first."""

    segment: Segment
    doubt: Doubt


class LogRead(NamedTuple):
    """Bytes of a log, to be sent: batches from the one that holds the offset on; the last may be cut."""

    parts: list[FileRange]
    size_bytes: int
    upper_bound: int
    """No record in it has that offset or a larger one; it is close where the log has aborted transactions."""
    in_doubt: Unchecked | None = None

    @property
    def unchecked(self) -> bool:
        return self.in_doubt is not None


QUICK_RECORDS_MAX: Final = 1_000
QUICK_COMPRESSED_BYTES_MAX: Final = 1 << 14
"""A batch of up to so many records, and if it is compressed of up to this size, is looked through at once, in 3 ms."""
FOUND_KEPT_MAX: Final = 256

NOTHING_READ: Final = LogRead([], 0, 0)


class TimestampOffset(NamedTuple):
    """A record's timestamp and place."""

    timestamp: int
    offset: int
    leader_epoch: int


class _Search(NamedTuple):
    """For the first record of a batch with one of these offsets and timestamps; `run` may be called in any thread."""

    batch: Buffer
    header: BatchHeader
    from_offset: int
    from_timestamp: int
    until_timestamp: int

    @property
    def is_quick(self) -> bool:
        header = self.header
        return header.record_count <= QUICK_RECORDS_MAX and (
            not header.codec or header.size_bytes <= QUICK_COMPRESSED_BYTES_MAX
        )

    @property
    def key(self) -> Hashable:
        """What it is about, for as long as the batch is what it was."""
        header = self.header
        return header.base_offset, header.crc, self.from_offset, self.from_timestamp, self.until_timestamp

    def run(self) -> TimestampOffset | None:
        for record in RecordBatch(self.batch):
            timestamp = record.timestamp
            if (
                record.offset >= self.from_offset
                and timestamp is not None
                and self.from_timestamp <= timestamp <= self.until_timestamp
            ):
                return TimestampOffset(timestamp, record.offset, self.header.leader_epoch)
        return None


class ReadableLog:
    """The reading half of a partition's log; `kpy.storage.partition_log` has the other, and the invariants."""

    __slots__ = (
        "_epochs",
        "_found",
        "_producers",
        "_segments",
        "config",
        "end_offset",
        "has_aborted_transactions",
        "log_start_offset",
        "partition",
        "sparse_before",
        "topic",
        "topic_id",
    )

    def __init__(
        self,
        *,
        topic: str,
        partition: int,
        topic_id: UUID,
        config: LogConfig,
        segments: Segments,
        epochs: LeaderEpochs,
        producers: ProducerStates,
        log_start_offset: int,
        end_offset: int,
        sparse_before: int,
    ) -> None:
        self.topic = topic
        self.partition = partition
        self.topic_id = topic_id
        self.config = config
        self._segments = segments
        self._epochs = epochs
        self._producers = producers
        self._found: dict[Hashable, TimestampOffset | None] = {}
        """What searches in other threads have found: some of the last ones."""
        self.has_aborted_transactions = any(segment.transactions.entries for segment in segments)
        """Whether one was ever seen: a log without is read at no cost for it."""
        self.log_start_offset = log_start_offset
        self.end_offset = end_offset
        self.sparse_before = sparse_before
        """Segments that begin before that offset were compacted: offsets that are missing there were removed."""

    @property
    def name(self) -> str:
        return f"{self.topic}-{self.partition}"

    @property
    def size_bytes(self) -> int:
        return self._segments.size_bytes

    @property
    def latest_leader_epoch(self) -> int:
        """The epoch of the last batch, -1 if there is none."""
        return self._epochs.latest

    @property
    def last_stable_offset(self) -> int:
        """Where the oldest open transaction begins, or the end: what read_committed may see of the log at most."""
        first_unstable = self._producers.first_unstable_offset
        return self.end_offset if first_unstable is None else max(first_unstable, self.log_start_offset)

    @property
    def producers(self) -> ProducerStates:
        return self._producers

    @property
    def segments(self) -> Segments:
        return self._segments

    # --- reading

    def read(self, offset: int, max_bytes: int, *, up_to: int, at_least_one: bool, may_wait: bool = True) -> LogRead:
        """Batches from the one that holds `offset`, up to the offset `up_to` and to `max_bytes`, of one segment.

        A first batch larger than `max_bytes` is read if `at_least_one`, else nothing is. Later ones may be cut, as in
        Kafka, but large ones are left out then. Raises OFFSET_OUT_OF_RANGE outside of the log, CORRUPT_MESSAGE where
        the record is damaged, and NotResident if the batches cannot be found in memory and it may not wait.
        """
        if not self.log_start_offset <= offset <= self.end_offset:
            message = f"offset {offset} is not within {self.log_start_offset} to {self.end_offset}"
            raise KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE, message)
        if offset >= up_to:
            return NOTHING_READ
        for segment, end_offset in self._segments.with_ends(offset, self.end_offset):
            read = self._read_of(
                segment, end_offset, offset, max_bytes, up_to=up_to, at_least_one=at_least_one, may_wait=may_wait
            )
            if read is not None:
                return read
        return NOTHING_READ

    def _read_of(
        self,
        segment: Segment,
        end_offset: int,
        offset: int,
        max_bytes: int,
        *,
        up_to: int,
        at_least_one: bool,
        may_wait: bool,
    ) -> LogRead | None:
        """What there is to read in one segment; None if the offset lies behind its last batch."""
        damage = segment.damage_of(offset)
        if damage is not None:
            raise KafkaError(ErrorCode.CORRUPT_MESSAGE, f"{self.name}: offset {offset} is in quarantine: {damage}")
        sought = segment.seek(offset, may_wait=may_wait)
        if sought is None:
            return self._in_doubt(segment, end_offset, 0, None, is_whole=True)
        start, position, header = sought
        if header is None:
            return None if segment.is_verified(start) else self._in_doubt(segment, end_offset, start, None)
        end = segment.sound_end(position)
        if up_to < end_offset:
            limit = segment.seek(up_to, may_wait=may_wait)
            if limit is None:
                return self._in_doubt(segment, end_offset, 0, None, is_whole=True)
            limit_end = limit.position if limit.header is None else limit.position + limit.header.size_bytes
            if not segment.is_verified(limit.start, limit_end):
                return self._in_doubt(segment, end_offset, limit.start, limit_end)
            end = min(end, limit.position)
        size = min(max(max_bytes, header.size_bytes) if at_least_one else max_bytes, end - position)
        if size < header.size_bytes:
            size = 0
        elif position + size < end:
            size = max(segment.without_cut_batch(position, size), header.size_bytes)
        checked_end = position + max(size, header.size_bytes)
        if not segment.is_verified(start, checked_end):
            return self._in_doubt(segment, end_offset, start, checked_end)
        if not size:
            return NOTHING_READ
        upper_bound = self._upper_bound(segment, position + size) if self.has_aborted_transactions else up_to
        return LogRead([segment.range(position, size)], size, upper_bound)

    def _upper_bound(self, segment: Segment, position: int) -> int:
        """An offset behind all that is before that position (LocalLog.addAbortedTransactions)."""
        bound = segment.offset_behind(position)
        if bound is not None:
            return bound
        return self._segments.end_of(segment, self.end_offset)

    def aborted_transactions(self, fetch_offset: int, upper_bound: int) -> list[AbortedTransaction]:
        """Those that overlap with these offsets, the upper one excluded (LocalLog.collectAbortedTransactions)."""
        found: list[AbortedTransaction] = []
        if self.has_aborted_transactions:
            for segment in self._segments.from_offset(fetch_offset):
                if segment.transactions.collect(fetch_offset, upper_bound, found):
                    break
        return found

    def _in_doubt(
        self, segment: Segment, end_offset: int, start: int, end: int | None, *, is_whole: bool = False
    ) -> LogRead:
        doubt = segment.doubt(
            start,
            end,
            next_segment_offset=end_offset,
            may_skip_offsets=self.config.compacted or segment.base_offset < self.sparse_before,
            is_whole=is_whole,
        )
        return LogRead([], 0, 0, Unchecked(segment, doubt))

    @staticmethod
    def find_damage(read: LogRead) -> Findings:
        """Verify what is unchecked of a read. It only reads, and may run in another thread."""
        if read.in_doubt is None:
            raise ValueError("everything that was read is checked")
        return read.in_doubt.doubt.resolve()

    @staticmethod
    def learn(read: LogRead, findings: Findings) -> None:
        """Take what was found as known: from now on those bytes are verified, or in quarantine."""
        if read.in_doubt is not None:
            read.in_doubt.segment.settle(findings)

    def _verify(
        self, segment: Segment, end_offset: int, start: int = 0, end: int | None = None, *, may_wait: bool = True
    ) -> None:
        """Have bytes of a segment verified, at once if it may wait."""
        if not segment.is_verified(start, end):
            read = self._in_doubt(segment, end_offset, start, end)
            if not may_wait:
                raise NotResident(partial(self.find_damage, read), partial(self.learn, read))
            self.learn(read, self.find_damage(read))

    def batches(self, from_offset: int) -> Iterator[RecordBatch]:
        """The batches from the one that holds that offset on, to replay them. Those in quarantine are left out."""
        for segment, end_offset in self._segments.with_ends(from_offset, self.end_offset):
            self._verify(segment, end_offset)
            for batch in segment.batches(from_offset):
                yield RecordBatch(batch)

    def committed_batches(self, from_offset: int) -> Iterator[RecordBatch]:
        """Of `batches`, what a reader of committed records sees: no markers, nothing aborted and nothing open."""
        aborted = self.aborted_transactions(from_offset, self.end_offset)
        for batch in self.batches(from_offset):
            header = batch.header
            if not header.is_control and (not header.is_transactional or self._is_committed(header, aborted)):
                yield batch

    def _is_committed(self, header: BatchHeader, aborted: Iterable[AbortedTransaction]) -> bool:
        """Whether the transaction of a batch has ended, and not with an abort."""
        producer = self._producers.producers.get(header.producer_id)
        opened_at = producer.transaction_first_offset if producer is not None else None
        if opened_at is not None and header.base_offset >= opened_at:
            return False
        return not any(
            found.producer_id == header.producer_id and found.first_offset <= header.base_offset <= found.last_offset
            for found in aborted
        )

    # --- finding offsets

    def offset_for_timestamp(self, timestamp: int, *, may_wait: bool = True) -> TimestampOffset | None:
        """The first record whose timestamp is at least that. Raises NotResident unless it may wait for the disk."""
        for segment, end_offset in self._segments.with_ends(self.log_start_offset, self.end_offset):
            found = self._first_reaching(segment, end_offset, timestamp, may_wait=may_wait)
            if found is not None:
                return found
        return None

    def _first_reaching(
        self, segment: Segment, end_offset: int, timestamp: int, *, may_wait: bool
    ) -> TimestampOffset | None:
        log_start = self.log_start_offset
        start = segment.start_of(timestamp, log_start, may_wait=may_wait)
        if start is None:
            return None
        for position, header in segment.reaching(start, timestamp, log_start, may_wait=may_wait):
            end = position + header.size_bytes
            if not segment.is_verified(start, end):
                self._verify(segment, end_offset, start, end, may_wait=may_wait)
                return self._first_reaching(segment, end_offset, timestamp, may_wait=may_wait)
            batch = segment.batch_at(position, header, may_wait=may_wait)
            found = self._search(_Search(batch, header, log_start, timestamp, INT64_MAX), may_wait=may_wait)
            if found is not None:
                return found
        if segment.is_verified(start, segment.size):
            return None
        self._verify(segment, end_offset, start, segment.size, may_wait=may_wait)
        return self._first_reaching(segment, end_offset, timestamp, may_wait=may_wait)

    def max_timestamp(self, *, may_wait: bool = True) -> TimestampOffset | None:
        """The first record that has the largest timestamp of all; None if no record has one.

        Raises NotResident unless it may wait for the disk.
        """
        while True:
            largest = [(segment, *segment.largest_timestamp(may_wait=may_wait)) for segment in self._segments]
            segment, timestamp, offset = max(largest, key=itemgetter(1))  # the first of equal ones
            if timestamp == NO_TIMESTAMP:
                return None
            place = self._sound_batch(segment, offset, may_wait=may_wait)
            if place is None or place[1].max_timestamp != timestamp:
                segment.rebuild("the batch with the largest timestamp is damaged", may_wait=may_wait)
                continue
            batch = segment.batch_at(*place, may_wait=may_wait)
            return self._search(_Search(batch, place[1], 0, timestamp, timestamp), may_wait=may_wait)

    def _search(self, search: "_Search", *, may_wait: bool) -> TimestampOffset | None:
        """Look for a record in a batch. Raises NotResident if that takes long and may not be waited for."""
        if may_wait or search.is_quick:
            return search.run()
        if search.key in self._found:
            return self._found[search.key]
        raise NotResident(search.run, partial(self._remember, search.key))

    def _remember(self, key: Hashable, found: TimestampOffset | None) -> None:
        """For whoever asks again."""
        if len(self._found) >= FOUND_KEPT_MAX:
            self._found.clear()
        self._found[key] = found

    def _sound_batch(self, segment: Segment, offset: int, *, may_wait: bool) -> tuple[int, BatchHeader] | None:
        """Place and header of the first batch that ends at or after the offset, as it is when all is verified."""
        while True:
            start = segment.start_for(offset, may_wait=may_wait)
            place = segment.locate(offset, may_wait=may_wait)
            end = segment.size if place is None else place[0] + place[1].size_bytes
            if segment.is_verified(start, end):
                return place
            self._verify(segment, self._segments.end_of(segment, self.end_offset), start, end, may_wait=may_wait)

    def end_offset_for_epoch(self, epoch: int) -> tuple[int, int]:
        """The largest epoch not above that one and where it ends; (-1, -1) if there is no answer."""
        return self._epochs.end_offset(epoch, self.end_offset)

    def epoch_of(self, offset: int) -> int:
        """The leader epoch that a batch at that offset has, -1 if it is not known."""
        return self._epochs.epoch_of(offset)
