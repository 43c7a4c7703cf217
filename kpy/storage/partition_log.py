"""The log of one partition: segments in order, what was appended to them, and what readers may see of it.

    <topic>-<partition>/
        00000000000000000000.log .index .timeindex    a segment, named by its base offset
        00000000000000000107.snapshot                 the producers as of that end offset
        leader-epoch-checkpoint
        partition.metadata                            the topic's id

Appending is one write of the producer's own bytes, stamped in place. Everything but the `.log` files is derived, or can
be found again in them, so that a process may end at any moment (see `kpy.storage.recovery`).
"""

from collections.abc import Iterable, Iterator, Sequence
from struct import Struct
from typing import Final, NamedTuple
from uuid import UUID

from kpy.protocol.compression import Decompressor
from kpy.protocol.crc import Buffer
from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.records import NO_TIMESTAMP, BatchHeader, EndTransactionMarker, Record, RecordBatch, build_batch
from kpy.storage.batch_validation import ValidBatch, validate
from kpy.storage.files import FileRange, Files
from kpy.storage.leader_epochs import LeaderEpochs
from kpy.storage.log_config import LogConfig, TimestampType
from kpy.storage.producer_states import SNAPSHOT_SUFFIX, AppendOrigin, ProducerStates
from kpy.storage.segment import Segment, file_name
from kpy.storage.segments import Segments
from kpy.storage.verification import Doubt, Findings

__all__ = [
    "AppendOrigin",
    "AppendResult",
    "LogConfig",
    "LogRead",
    "PartitionLog",
    "TimestampOffset",
    "TimestampType",
]

_BASE_OFFSET: Final = Struct(">q")
_LEADER_EPOCH: Final = Struct(">i")
_LEADER_EPOCH_POSITION: Final = 12

_decompressor: Final = Decompressor()
"""One for all logs: what it returns is used before the next batch comes."""


class AppendResult(NamedTuple):
    """What a produce response says of a batch."""

    base_offset: int
    last_offset: int
    log_append_time_ms: int
    """-1 if records keep their create time; the batch's timestamp for a duplicate, as in Kafka."""
    log_start_offset: int
    duplicate: bool = False


class Unchecked(NamedTuple):
    """Bytes that an earlier process wrote, and this one has not verified."""

    segment: Segment
    doubt: Doubt


class LogRead(NamedTuple):
    """Bytes of a log, to be sent: batches from the one that holds the offset on; the last may be cut.

    If some of what the answer rests on is unchecked, it is not to be sent: `find_damage`, `learn`, and read again.
    """

    parts: list[FileRange]
    size_bytes: int
    in_doubt: Unchecked | None = None

    @property
    def unchecked(self) -> bool:
        return self.in_doubt is not None


NOTHING_READ: Final = LogRead([], 0)


class TimestampOffset(NamedTuple):
    """A record's timestamp and place."""

    timestamp: int
    offset: int
    leader_epoch: int


class PartitionLog:
    """One partition's log.

    Invariants: neither `log_start_offset` nor `recovery_point` is beyond `end_offset`; the first segment begins at or
    before the log start.
    """

    __slots__ = (
        "_directory",
        "_epochs",
        "_files",
        "_producers",
        "_segments",
        "_snapshots",
        "_unflushed_messages",
        "config",
        "end_offset",
        "log_start_offset",
        "partition",
        "recovery_point",
        "sparse_before",
        "topic",
        "topic_id",
    )

    def __init__(
        self,
        files: Files,
        directory: str,
        *,
        topic: str,
        partition: int,
        topic_id: UUID,
        config: LogConfig,
        segments: list[Segment],
        epochs: LeaderEpochs,
        producers: ProducerStates,
        snapshots: Iterable[int],
        log_start_offset: int,
        end_offset: int,
        recovery_point: int,
        sparse_before: int = 0,
    ) -> None:
        self._files = files
        self._directory = directory
        self.topic = topic
        self.partition = partition
        self.topic_id = topic_id
        self.config = config
        self._segments = Segments(segments)
        self._epochs = epochs
        self._producers = producers
        self._snapshots = sorted(snapshots)
        self.log_start_offset = log_start_offset
        self.end_offset = end_offset
        self.recovery_point = recovery_point
        self.sparse_before = sparse_before
        """Segments that begin before that offset were compacted: offsets that are missing there were removed."""
        self._unflushed_messages = 0

    # --- what it is

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
    def segment_base_offsets(self) -> Sequence[int]:
        return self._segments.base_offsets

    # --- appending

    def append(
        self,
        records: Buffer,
        *,
        leader_epoch: int,
        now_ms: int,
        origin: AppendOrigin = AppendOrigin.CLIENT,
        transaction_verified: bool = False,
    ) -> AppendResult:
        """Check one batch and store it, stamped with offset and leader epoch; KafkaError as Kafka gives it.

        `records` is changed in place if it is writable. A batch that was stored before (KIP-98) is not stored again:
        the result is that of the first time. OSError if the disk refuses: the batch is not stored then, unless only
        the flush failed that flush.messages asks for.
        """
        config = self.config
        view = memoryview(records)
        valid = validate(view, config, now_ms=now_ms, origin=origin, decompressor=_decompressor)
        header = valid.header
        base_offset = self.end_offset
        marker: EndTransactionMarker | None = None
        if header.producer_id >= 0:
            producers = self._producers
            if origin is AppendOrigin.CLIENT and (duplicate := producers.find_duplicate(header)) is not None:
                first, last = duplicate.first_offset, duplicate.last_offset
                return AppendResult(first, last, duplicate.timestamp, self.log_start_offset, duplicate=True)
            if header.is_control:
                marker = EndTransactionMarker.parse(next(iter(RecordBatch(valid.data))))
                producers.check_marker(header, marker)
            else:
                producers.check(header, origin, offset=base_offset, verified=transaction_verified)
        last_offset = base_offset + header.last_offset_delta
        self._write(valid, base_offset, last_offset, leader_epoch, now_ms)
        if header.producer_id >= 0:
            if marker is None:
                self._producers.appended(header, base_offset, valid.max_timestamp)
            else:
                self._producers.transaction_ended(header, marker, offset=base_offset, timestamp=valid.max_timestamp)
        self.end_offset = last_offset + 1
        self._unflushed_messages += header.last_offset_delta + 1
        if self._unflushed_messages >= config.flush_messages:
            self.flush()
        append_time = now_ms if config.message_timestamp_type is TimestampType.LOG_APPEND_TIME else -1
        return AppendResult(base_offset, last_offset, append_time, self.log_start_offset)

    def append_records(
        self,
        records: Iterable[tuple[bytes | None, bytes | None] | Record],
        *,
        leader_epoch: int,
        now_ms: int,
        origin: AppendOrigin = AppendOrigin.COORDINATOR,
    ) -> AppendResult:
        """Store key and value pairs of the broker's own as one plain batch with that create time."""
        batch = build_batch(records, timestamp=now_ms)
        return self.append(batch, leader_epoch=leader_epoch, now_ms=now_ms, origin=origin)

    def _write(self, valid: ValidBatch, base_offset: int, last_offset: int, leader_epoch: int, now_ms: int) -> None:
        data = valid.data
        size = len(data)
        config = self.config
        if size > config.segment_bytes:
            message = f"a batch of {size} bytes is larger than segment.bytes, {config.segment_bytes}"
            raise KafkaError(ErrorCode.RECORD_LIST_TOO_LARGE, message)
        if type(data) is memoryview and data.readonly:
            data = bytearray(data)
        _BASE_OFFSET.pack_into(data, 0, base_offset)
        _LEADER_EPOCH.pack_into(data, _LEADER_EPOCH_POSITION, leader_epoch)
        if not self._segments.active.has_room(size, last_offset, valid.max_timestamp, now_ms, config):
            self._roll()
        if leader_epoch > self._epochs.latest:
            self._epochs.assign(leader_epoch, base_offset)
        self._segments.active.append(data, base_offset, last_offset, valid.max_timestamp)

    def _roll(self) -> None:
        """Close the active segment for writing and begin the next at the end offset."""
        self._segments.active.seal()
        self._take_snapshot(sync=False)
        segment = Segment.create(self._files, self._directory, self.end_offset, self.config.index_interval_bytes)
        self._segments.append(segment)

    def _take_snapshot(self, *, sync: bool) -> None:
        """Write the producers as of the end offset. One that a power cut tears is ignored at the next start."""
        offset = self.end_offset
        if self._snapshots and self._snapshots[-1] == offset:
            return
        self._files.replace(self._path(offset), self._producers.encode(), sync=sync)
        self._snapshots.append(offset)

    def _path(self, snapshot_offset: int) -> str:
        return f"{self._directory}/{file_name(snapshot_offset, SNAPSHOT_SUFFIX)}"

    # --- reading

    def read(self, offset: int, max_bytes: int, *, up_to: int, at_least_one: bool) -> LogRead:
        """Batches from the one that holds `offset`, up to the offset `up_to` and to `max_bytes`, of one segment.

        A first batch larger than `max_bytes` is read if `at_least_one`, else nothing is. Later ones may be cut, as in
        Kafka, but large ones are left out then. Raises OFFSET_OUT_OF_RANGE outside of the log.
        """
        if not self.log_start_offset <= offset <= self.end_offset:
            message = f"offset {offset} is not within {self.log_start_offset} to {self.end_offset}"
            raise KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE, message)
        if offset >= up_to:
            return NOTHING_READ
        for segment, end_offset in self._segments.with_ends(offset, self.end_offset):
            read = self._read_of(segment, end_offset, offset, max_bytes, up_to=up_to, at_least_one=at_least_one)
            if read is not None:
                return read
        return NOTHING_READ

    def _read_of(
        self, segment: Segment, end_offset: int, offset: int, max_bytes: int, *, up_to: int, at_least_one: bool
    ) -> LogRead | None:
        """What there is to read in one segment; None if the offset lies behind its last batch."""
        damage = segment.damage_of(offset)
        if damage is not None:
            raise KafkaError(ErrorCode.CORRUPT_MESSAGE, f"{self.name}: offset {offset} is in quarantine: {damage}")
        sought = segment.seek(offset)
        if sought is None:
            return self._in_doubt(segment, end_offset, 0, None, is_whole=True)
        start, position, header = sought
        if header is None:
            return None if segment.is_verified(start) else self._in_doubt(segment, end_offset, start, None)
        end = segment.sound_end(position)
        if up_to < end_offset:
            limit = segment.seek(up_to)
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
        return LogRead([segment.range(position, size)], size) if size else NOTHING_READ

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
        return LogRead([], 0, Unchecked(segment, doubt))

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

    def _verify(self, segment: Segment, end_offset: int, start: int = 0, end: int | None = None) -> None:
        """Have bytes of a segment verified at once."""
        if not segment.is_verified(start, end):
            read = self._in_doubt(segment, end_offset, start, end)
            self.learn(read, self.find_damage(read))

    def batches(self, from_offset: int) -> Iterator[RecordBatch]:
        """The batches from the one that holds that offset on, to replay them. Those in quarantine are left out."""
        for segment, end_offset in self._segments.with_ends(from_offset, self.end_offset):
            self._verify(segment, end_offset)
            for batch in segment.batches(from_offset):
                yield RecordBatch(batch)

    # --- finding offsets

    def offset_for_timestamp(self, timestamp: int) -> TimestampOffset | None:
        """The first record whose timestamp is at least that."""
        for segment, end_offset in self._segments.with_ends(self.log_start_offset, self.end_offset):
            found = self._first_reaching(segment, end_offset, timestamp)
            if found is not None:
                return found
        return None

    def _first_reaching(self, segment: Segment, end_offset: int, timestamp: int) -> TimestampOffset | None:
        log_start = self.log_start_offset
        start = segment.start_of(timestamp, log_start)
        if start is None:
            return None
        for position, header in segment.reaching(timestamp, log_start):
            end = position + header.size_bytes
            if not segment.is_verified(start, end):
                self._verify(segment, end_offset, start, end)
                return self._first_reaching(segment, end_offset, timestamp)
            for record in RecordBatch(segment.batch_at(position, header)):
                if record.offset >= log_start and record.timestamp is not None and record.timestamp >= timestamp:
                    return TimestampOffset(record.timestamp, record.offset, header.leader_epoch)
        if segment.is_verified(start, segment.size):
            return None
        self._verify(segment, end_offset, start, segment.size)
        return self._first_reaching(segment, end_offset, timestamp)

    def max_timestamp(self) -> TimestampOffset | None:
        """The first record that has the largest timestamp of all; None if no record has one."""
        while True:
            segment = max(self._segments, key=lambda segment: segment.max_timestamp)  # the first of equal ones
            timestamp = segment.max_timestamp
            if timestamp == NO_TIMESTAMP:
                return None
            place = self._sound_batch(segment, segment.max_timestamp_offset)
            if place is None or place[1].max_timestamp != timestamp:
                segment.rebuild("the batch with the largest timestamp is damaged")
                continue
            for record in RecordBatch(segment.batch_at(*place)):
                if record.timestamp == timestamp:
                    return TimestampOffset(timestamp, record.offset, place[1].leader_epoch)
            return None

    def _sound_batch(self, segment: Segment, offset: int) -> tuple[int, BatchHeader] | None:
        """Place and header of the first batch that ends at or after the offset, as it is when all is verified."""
        while True:
            start = segment.start_for(offset)
            place = segment.locate(offset)
            end = segment.size if place is None else place[0] + place[1].size_bytes
            if segment.is_verified(start, end):
                return place
            self._verify(segment, self._segments.end_of(segment, self.end_offset), start, end)

    def end_offset_for_epoch(self, epoch: int) -> tuple[int, int]:
        """The largest epoch not above that one and where it ends; (-1, -1) if there is no answer."""
        return self._epochs.end_offset(epoch, self.end_offset)

    def epoch_of(self, offset: int) -> int:
        """The leader epoch that a batch at that offset has, -1 if it is not known."""
        return self._epochs.epoch_of(offset)

    # --- removing

    def delete_records_before(self, offset: int) -> int:
        """Move the log start to that offset (DeleteRecords, KIP-107).

        Segments before it go when `remove_deleted` is called, which has to wait until the start is written down: a
        power cut may take some of them and leave older ones, and only the start tells that none of them is missed.
        """
        if not 0 <= offset <= self.end_offset:
            raise KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE, f"offset {offset} is beyond the end, {self.end_offset}")
        if offset > self.log_start_offset:
            self.log_start_offset = offset
            self._epochs.truncate_start(offset)  # not on the disk yet: who starts after a crash may find the old start
        return self.log_start_offset

    def remove_deleted(self) -> None:
        """Remove the segments before the log start, and the snapshots that only they need.

        The names of the others are on the disk before, so that a power cut cannot take both.
        """
        doomed = self._segments.take_before(self.log_start_offset)
        if doomed:
            self._files.sync_directory(self._directory)
        for segment in doomed:
            segment.remove()
        first = self._segments.first_base_offset
        for offset in [snapshot for snapshot in self._snapshots if snapshot < first]:
            self._files.remove(self._path(offset))
            self._snapshots.remove(offset)

    # --- keeping

    def flush(self) -> None:
        """What was appended is on the disk when this returns."""
        if self.recovery_point < self.end_offset:
            for segment in self._segments.from_offset(self.recovery_point):
                segment.flush()
            self._files.sync_directory(self._directory)
            self.recovery_point = self.end_offset
        self._unflushed_messages = 0

    def close(self) -> None:
        """Flush, and leave what makes the next start short."""
        self._segments.active.seal()
        self._take_snapshot(sync=True)
        self.flush()
        for segment in self._segments:
            segment.write_indexes(sync=False)
            segment.close()

    def check_invariants(self) -> None:
        """For tests: raise if the log is not what its docstring says."""
        self._segments.check_invariants()
        assert self._segments.first_base_offset <= self.log_start_offset <= self.end_offset
        assert self.recovery_point <= self.end_offset
        next_offset = self._segments.first_base_offset
        for batch in self.batches(next_offset):
            assert batch.is_sound()
            assert batch.header.base_offset >= next_offset
            next_offset = batch.header.next_offset
        assert next_offset <= self.end_offset
