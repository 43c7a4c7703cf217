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
from kpy.protocol.records import NO_TIMESTAMP, EndTransactionMarker, Record, RecordBatch, build_batch
from kpy.storage.batch_validation import ValidBatch, validate
from kpy.storage.files import FileRange, Files
from kpy.storage.flushing import FlushPlan
from kpy.storage.leader_epochs import FILE_NAME as EPOCHS_NAME
from kpy.storage.leader_epochs import LeaderEpochs
from kpy.storage.log_config import LogConfig, TimestampType
from kpy.storage.producer_states import SNAPSHOT_SUFFIX, AppendOrigin, ProducerStates
from kpy.storage.segment import Segment, file_name
from kpy.storage.segments import Segments

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

METADATA_NAME: Final = "partition.metadata"
"""The file that says whose log it is: the topic's id."""
_LOOK_EVERY_MS: Final = 1000
"""How often a log that is written to looks whether its file is where it was: what is open can be written for ever."""

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


class LogRead(NamedTuple):
    """Bytes of a log, to be sent: batches from the one that holds the offset on; the last may be cut."""

    parts: list[FileRange]
    size_bytes: int


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
        "_looked_ms",
        "_names_synced",
        "_names_version",
        "_producers",
        "_segments",
        "_snapshots",
        "_sync_failed",
        "config",
        "end_offset",
        "log_start_offset",
        "partition",
        "recovery_point",
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
        self._names_version = 1
        self._names_synced = 0
        self._sync_failed = False
        self._looked_ms = 0

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
        the result is that of the first time. OSError if the disk refuses: the batch is not stored then.
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
        if not 0 <= now_ms - self._looked_ms < _LOOK_EVERY_MS:
            self._segments.active.check_in_place()
            self._looked_ms = now_ms
        if not self._segments.active.has_room(size, last_offset, valid.max_timestamp, now_ms, config):
            self._roll()
        if leader_epoch > self._epochs.latest:
            self._epochs.assign(leader_epoch, base_offset)
            self._names_version += 1
        self._segments.active.append(data, base_offset, last_offset, valid.max_timestamp)

    def _roll(self) -> None:
        """Close the active segment for writing and begin the next at the end offset."""
        self._segments.active.seal()
        self._take_snapshot()
        segment = Segment.create(self._files, self._directory, self.end_offset, self.config.index_interval_bytes)
        self._segments.append(segment)
        self._names_version += 1

    def _take_snapshot(self) -> None:
        """Write the producers as of the end offset. One that a power cut tears is ignored at the next start."""
        offset = self.end_offset
        if self._snapshots and self._snapshots[-1] == offset:
            return
        self._files.replace(self._path(offset), self._producers.encode(), sync=False)
        self._snapshots.append(offset)

    def _path(self, snapshot_offset: int) -> str:
        return f"{self._directory}/{file_name(snapshot_offset, SNAPSHOT_SUFFIX)}"

    # --- reading

    def read(self, offset: int, max_bytes: int, *, up_to: int, at_least_one: bool, may_wait: bool = True) -> LogRead:
        """Batches from the one that holds `offset`, up to the offset `up_to` and to `max_bytes`, of one segment.

        A first batch larger than `max_bytes` is read if `at_least_one`, else nothing is. Later ones may be cut, as in
        Kafka, but large ones are left out then. Raises OFFSET_OUT_OF_RANGE outside of the log, and NotResident if the
        batches cannot be found in memory and it may not wait.
        """
        if not self.log_start_offset <= offset <= self.end_offset:
            message = f"offset {offset} is not within {self.log_start_offset} to {self.end_offset}"
            raise KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE, message)
        if offset >= up_to:
            return NOTHING_READ
        for segment in self._segments.from_offset(offset):
            found = segment.locate(offset, may_wait=may_wait)
            if found is None:
                continue
            position, header = found
            end = segment.size
            if up_to < self.end_offset:
                limit = segment.position_of(up_to, may_wait=may_wait)
                end = end if limit is None else limit
            size = min(max(max_bytes, header.size_bytes) if at_least_one else max_bytes, end - position)
            if size < header.size_bytes:
                return NOTHING_READ
            if position + size < end:
                size = max(segment.without_cut_batch(position, size), header.size_bytes)
            return LogRead([segment.range(position, size)], size)
        return NOTHING_READ

    def batches(self, from_offset: int) -> Iterator[RecordBatch]:
        """The batches from the one that holds that offset on, to replay them."""
        for segment in self._segments.from_offset(from_offset):
            for batch in segment.batches(from_offset):
                yield RecordBatch(batch)

    # --- finding offsets

    def offset_for_timestamp(self, timestamp: int) -> TimestampOffset | None:
        """The first record whose timestamp is at least that."""
        start = self.log_start_offset
        for segment in self._segments:
            for place in segment.reaching(timestamp, start):
                for record in RecordBatch(segment.batch_at(*place)):
                    if record.offset >= start and record.timestamp is not None and record.timestamp >= timestamp:
                        return TimestampOffset(record.timestamp, record.offset, place[1].leader_epoch)
        return None

    def max_timestamp(self) -> TimestampOffset | None:
        """The first record that has the largest timestamp of all; None if no record has one."""
        segment = max(self._segments, key=lambda segment: segment.max_timestamp)  # the first of equal ones
        place = segment.locate(segment.max_timestamp_offset) if segment.max_timestamp != NO_TIMESTAMP else None
        if place is None:
            return None
        for record in RecordBatch(segment.batch_at(*place)):
            if record.timestamp == segment.max_timestamp:
                return TimestampOffset(segment.max_timestamp, record.offset, place[1].leader_epoch)
        return None

    def end_offset_for_epoch(self, epoch: int) -> tuple[int, int]:
        """The largest epoch not above that one and where it ends; (-1, -1) if there is no answer."""
        return self._epochs.end_offset(epoch, self.end_offset)

    def epoch_of(self, offset: int) -> int:
        """The leader epoch that a batch at that offset has, -1 if it is not known."""
        return self._epochs.epoch_of(offset)

    # --- removing

    def delete_records_before(self, offset: int) -> int:
        """Move the log start to that offset (DeleteRecords, KIP-107); whole segments before it are removed."""
        if not 0 <= offset <= self.end_offset:
            raise KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE, f"offset {offset} is beyond the end, {self.end_offset}")
        if offset > self.log_start_offset:
            self.log_start_offset = offset
            self._remove_segments(self._segments.take_before(offset))
            if self._epochs.truncate_start(offset):
                self._epochs.store()
                self._names_version += 1
        return self.log_start_offset

    def _remove_segments(self, doomed: Sequence[Segment]) -> None:
        """Remove those segments' files, and the snapshots that only they need."""
        for segment in doomed:
            segment.remove()
        first = self._segments.first_base_offset
        for offset in [snapshot for snapshot in self._snapshots if snapshot < first]:
            self._files.remove(self._path(offset))
            self._snapshots.remove(offset)

    # --- keeping

    @property
    def flush_is_due(self) -> bool:
        """Whether flush.messages asks for a flush (UnifiedLog counts from the recovery point, too)."""
        return self.end_offset - self.recovery_point >= self.config.flush_messages

    def begin_flush(self) -> FlushPlan | None:
        """How to bring all that was appended onto the disk; None if it is there. OSError if a file is gone."""
        point = self.recovery_point
        if point >= self.end_offset:
            return None
        parts = []
        for segment in self._segments.from_offset(point):
            position = segment.position_of(point) if self._sync_failed else 0
            parts.append(segment.unsynced(segment.size if position is None else position))
        names: tuple[str, ...] = ()
        directories: tuple[str, ...] = ()
        if self._names_version != self._names_synced:
            names = (f"{self._directory}/{METADATA_NAME}", f"{self._directory}/{EPOCHS_NAME}")
            directories = (self._directory, "")
        return FlushPlan(
            up_to=self.end_offset,
            parts=parts,
            files=self._files,
            names=names,
            directories=directories,
            names_version=self._names_version,
            writes_again=self._sync_failed,
        )

    def flushed(self, plan: FlushPlan) -> None:
        """The plan was carried out."""
        self.recovery_point = max(self.recovery_point, min(plan.up_to, self.end_offset))
        self._names_synced = max(self._names_synced, plan.names_version)
        self._sync_failed = False

    def flush_failed(self) -> None:
        """A plan failed half-way: nothing that was not on the disk before can be taken to be there."""
        self._sync_failed = True

    def flush(self) -> None:
        """What was appended is on the disk when this returns."""
        plan = self.begin_flush()
        if plan is not None:
            try:
                plan.run()
            except OSError:
                self.flush_failed()
                raise
            self.flushed(plan)

    def close(self) -> None:
        """Flush, and leave what makes the next start short."""
        self._segments.active.seal()
        self._take_snapshot()
        self.flush()
        for segment in self._segments:
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
