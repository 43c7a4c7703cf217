"""The log of one partition: segments in order, what was appended to them, and what readers may see of it.

    <topic>-<partition>/
        00000000000000000000.log .index .timeindex    a segment, named by its base offset
        00000000000000000000.txnindex                 the transactions that were aborted in it, if any were
        00000000000000000107.snapshot                 the producers as of that end offset
        leader-epoch-checkpoint
        partition.metadata                            the topic's id

Appending is one write of the producer's own bytes, stamped in place. Everything but the `.log` files is derived, or can
be found again in them, so that a process may end at any moment (see `kpy.storage.recovery`).
"""

import errno
import logging
from collections.abc import Generator, Sequence
from struct import Struct
from typing import Final, NamedTuple
from uuid import UUID

from kpy.protocol.crc import Buffer
from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.records import (
    HEADER,
    HEADER_BYTES,
    BatchHeader,
    EndTransactionMarker,
    Record,
    RecordBatch,
    build_batch,
    build_plain_batch,
)
from kpy.storage.batch_validation import TooMuchWork, ValidBatch, valid_batch
from kpy.storage.files import Files, NotResident
from kpy.storage.flushing import FlushPlan
from kpy.storage.leader_epochs import FILE_NAME as EPOCHS_NAME
from kpy.storage.leader_epochs import LeaderEpochs
from kpy.storage.log_config import LogConfig, TimestampType
from kpy.storage.log_context import LogContext
from kpy.storage.log_reading import LogRead, ReadableLog, TimestampOffset
from kpy.storage.producer_states import AppendOrigin, ProducerStates
from kpy.storage.segment import Segment
from kpy.storage.segment_swap import CleanedSegment
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

_logger = logging.getLogger(__name__)

_BASE_OFFSET: Final = Struct(">q")
_LEADER_EPOCH: Final = Struct(">i")
_LEADER_EPOCH_POSITION: Final = 12

SEGMENTS_AT_ONCE: Final = 16
"""So many are removed before others may run; each takes a few calls to the file system."""
METADATA_NAME: Final = "partition.metadata"
"""The file that says whose log it is: the topic's id."""
_LOOK_EVERY_MS: Final = 1000
"""How often a log that is written to looks whether its file is where it was: what is open can be written for ever."""


class AppendResult(NamedTuple):
    """What a produce response says of a batch."""

    base_offset: int
    last_offset: int
    log_append_time_ms: int
    """-1 if records keep their create time; the batch's timestamp for a duplicate, as in Kafka."""
    log_start_offset: int
    duplicate: bool = False
    size_bytes: int = 0
    """What it takes of the log, which compression.type may have changed; nothing for a duplicate."""


class PartitionLog(ReadableLog):
    """One partition's log.

    Invariants: neither `log_start_offset` nor `recovery_point` is beyond `end_offset`; the first segment begins at or
    before the log start.
    """

    __slots__ = (
        "_directory",
        "_files",
        "_has_names",
        "_is_overdue",
        "_looked_ms",
        "_names_synced",
        "_names_version",
        "_sync_failed",
        "being_compacted",
        "context",
        "is_deleted",
        "recovery_point",
        "start_on_disk",
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
        segments: Segments,
        epochs: LeaderEpochs,
        producers: ProducerStates,
        log_start_offset: int,
        end_offset: int,
        recovery_point: int,
        sparse_before: int = 0,
    ) -> None:
        super().__init__(
            topic=topic,
            partition=partition,
            topic_id=topic_id,
            config=config,
            segments=segments,
            epochs=epochs,
            producers=producers,
            log_start_offset=log_start_offset,
            end_offset=end_offset,
            sparse_before=sparse_before,
        )
        self._files = files
        self._directory = directory
        self.recovery_point = recovery_point
        self.start_on_disk = 0
        """What the checkpoint of log starts says of it, at least."""
        self.context = LogContext.without_owner(files)
        self.is_deleted = False
        """Whether its files have other names by now, or none: who still works on it does so in vain."""
        self.being_compacted = False
        """Whether a round of compaction is under way; segments are not removed then."""
        self._has_names = not files.is_durable
        self._is_overdue = False
        """Whether it would have rolled, if its names had been on the disk."""
        self._names_version = 1
        self._names_synced = 0
        self._sync_failed = False
        self._looked_ms = 0

    # --- appending

    def append(
        self,
        records: Buffer,
        *,
        leader_epoch: int,
        now_ms: int,
        origin: AppendOrigin = AppendOrigin.CLIENT,
        transaction_verified: bool = False,
        quick: bool = False,
    ) -> AppendResult:
        """Check one batch and store it, stamped with offset and leader epoch; KafkaError as Kafka gives it.

        `records` is changed in place if it is writable. A batch that was stored before (KIP-98) is not stored again:
        the result is that of the first time. OSError if the disk refuses: the batch is not stored then. If it has to be
        `quick` and cannot be, TooMuchWork: `valid_batch` and, if it `waits_to_roll`, `sync_names` are for another
        thread then, and `append_valid` for what it returns.
        """
        batch = memoryview(records)
        if quick and not self._has_names and self.config.message_timestamp_type is TimestampType.LOG_APPEND_TIME:
            batch = batch.toreadonly()  # if the log waits to roll, it is validated once more, as it came
        valid = valid_batch(batch, self.config, now_ms=now_ms, origin=origin, quick=quick)
        return self._store(valid, leader_epoch, now_ms, origin, transaction_verified, quick=quick)

    def append_valid(self, valid: ValidBatch, *, leader_epoch: int, now_ms: int) -> AppendResult:
        """As `append`, of what `valid_batch` has made with the config that the log has, and that time."""
        return self._store(valid, leader_epoch, now_ms, AppendOrigin.CLIENT, transaction_verified=False, quick=True)

    def waits_to_roll(self, batch: Buffer, now_ms: int) -> bool:
        """Whether the log would roll for that batch, and `sync_names` has to come before."""
        if self._has_names or len(batch) < HEADER_BYTES:
            return False
        header = BatchHeader._make(HEADER.unpack_from(batch))
        is_stamped = self.config.message_timestamp_type is TimestampType.LOG_APPEND_TIME
        max_timestamp = now_ms if is_stamped else header.max_timestamp
        last_offset = self.end_offset + header.last_offset_delta
        return not self._segments.active.has_room(len(batch), last_offset, max_timestamp, now_ms, self.config)

    def _store(
        self,
        valid: ValidBatch,
        leader_epoch: int,
        now_ms: int,
        origin: AppendOrigin,
        transaction_verified: bool,
        *,
        quick: bool,
    ) -> AppendResult:
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
        self._write(valid.data, valid.max_timestamp, base_offset, last_offset, leader_epoch, now_ms, origin, quick)
        if header.producer_id >= 0:
            if marker is None:
                self._producers.appended(header, base_offset, valid.max_timestamp)
            else:
                self._end_transaction(header, marker, base_offset, valid.max_timestamp)
        self.end_offset = last_offset + 1
        append_time = now_ms if self.config.message_timestamp_type is TimestampType.LOG_APPEND_TIME else -1
        return AppendResult(base_offset, last_offset, append_time, self.log_start_offset, size_bytes=len(valid.data))

    def append_records(
        self,
        records: Sequence[tuple[bytes | None, bytes | None] | Record],
        *,
        leader_epoch: int,
        now_ms: int,
        origin: AppendOrigin = AppendOrigin.COORDINATOR,
        quick: bool = False,
    ) -> AppendResult:
        """Store key and value pairs of the broker's own as one plain batch with that create time.

        What the broker has just built needs none of the checks, unless the topic asks for something else to be stored.
        If it has to be `quick`, the log rolls no sooner than its names are on the disk.
        """
        config = self.config
        pairs = [record for record in records if not isinstance(record, Record) and record[0] is not None]
        is_plain = 0 < len(pairs) == len(records)
        batch = build_plain_batch(pairs, now_ms) if is_plain else build_batch(records, timestamp=now_ms)
        if not is_plain or not config.keeps_plain_batches or len(batch) > config.max_message_bytes:
            valid = valid_batch(memoryview(batch), config, now_ms=now_ms, origin=origin)
            return self._store(valid, leader_epoch, now_ms, origin, transaction_verified=False, quick=quick)
        base_offset = self.end_offset
        last_offset = base_offset + len(pairs) - 1
        self._write(batch, now_ms, base_offset, last_offset, leader_epoch, now_ms, origin, quick)
        self.end_offset = last_offset + 1
        return AppendResult(base_offset, last_offset, -1, self.log_start_offset, size_bytes=len(batch))

    def _write(
        self,
        data: bytearray | memoryview,
        max_timestamp: int,
        base_offset: int,
        last_offset: int,
        leader_epoch: int,
        now_ms: int,
        origin: AppendOrigin,
        quick: bool,
    ) -> None:
        size = len(data)
        config = self.config
        if size > config.segment_bytes:
            message = f"a batch of {size} bytes is larger than segment.bytes, {config.segment_bytes}"
            raise KafkaError(ErrorCode.RECORD_LIST_TOO_LARGE, message)
        active = self._segments.active
        if not 0 <= now_ms - self._looked_ms < _LOOK_EVERY_MS:
            active.check_in_place()
            self._looked_ms = now_ms
        if config.segment_jitter_ms and active.roll_jitter_ms is None:
            active.roll_jitter_ms = self.context.jitter_ms(min(config.segment_jitter_ms, config.segment_ms))
        if not active.has_room(size, last_offset, max_timestamp, now_ms, config):
            self._is_overdue = quick and not self._has_names
            if not self._is_overdue:
                self._roll()
            elif origin is AppendOrigin.CLIENT:
                raise TooMuchWork
            elif not active.could_hold(size, last_offset):
                raise OSError(errno.EAGAIN, "the log can only roll when its names are on the disk")
        if type(data) is memoryview and data.readonly:
            data = bytearray(data)
        _BASE_OFFSET.pack_into(data, 0, base_offset)
        _LEADER_EPOCH.pack_into(data, _LEADER_EPOCH_POSITION, leader_epoch)
        if leader_epoch > self._epochs.latest:
            self._epochs.assign(leader_epoch, base_offset)
            self._names_version += 1
        self._segments.active.append(data, base_offset, last_offset, max_timestamp)
        if max_timestamp < 0:
            self._segments.active.written_ms = now_ms

    def _end_transaction(self, header: BatchHeader, marker: EndTransactionMarker, offset: int, timestamp: int) -> None:
        """Remember the marker, which is the active segment's last batch."""
        done = self._producers.transaction_ended(header, marker, offset=offset, timestamp=timestamp)
        if done is not None and done.aborted:
            self._segments.active.transactions.append(done.as_aborted())
            self.has_aborted_transactions = True

    @property
    def must_flush_soon(self) -> bool:
        """Whether it has rolled since it was flushed, or is going to for the first time, which waits for the disk."""
        active = self._segments.active
        return self.recovery_point < active.base_offset or (
            not self._has_names
            and (self._is_overdue or active.size * 2 >= self.config.segment_bytes)
            and self.recovery_point < self.end_offset
        )

    def _roll(self) -> None:
        """Close the active segment for writing and begin the next at the end offset.

        The first time, the names that there are go to the disk, if they have not in good time: a power cut that took
        the first segment and left the second would leave a log that seems to start there.
        """
        if not self._has_names:
            self.sync_names()
            self.names_synced()
        self._segments.active.seal()
        self._segments.snapshots.take(self.end_offset, self._producers)
        segment = Segment.create(self._files, self._directory, self.end_offset, self.config.index_interval_bytes)
        self._segments.append(segment)
        self._names_version += 1

    def sync_names(self) -> None:
        """Bring the names of its files to the disk, in any thread; `names_synced` is for when that is done."""
        self._segments.sync_names()

    def names_synced(self) -> None:
        self._has_names = True

    # --- removing

    def delete_records_before(self, offset: int) -> int:
        """Move the log start to that offset (DeleteRecords, KIP-107).

        The segments before it go when `remove_deleted` is called.
        """
        if not 0 <= offset <= self.end_offset:
            raise KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE, f"offset {offset} is beyond the end, {self.end_offset}")
        if offset > self.log_start_offset:
            self._move_start(offset)
        return self.log_start_offset

    def give_up_old_segments(self, *, high_watermark: int, now_ms: int, may_wait: bool = True) -> None:
        """Move the log start over segments that are too old or too much; they go when `remove_deleted` is called.

        Raises NotResident, and has done nothing, unless it `may_wait` for the disk: that knows how old they are, and
        a first roll waits for it.
        """
        ends = (*self._segments.base_offsets[1:], self.end_offset)
        found = self._segments.old(
            ends,
            self.config,
            log_start_offset=self.log_start_offset,
            high_watermark=high_watermark,
            now_ms=now_ms,
            may_wait=may_wait,
        )
        must_roll = sum(doomed.segments for doomed in found) == len(ends)
        if must_roll and not (self._has_names or may_wait):
            raise NotResident(self.sync_names, lambda _result: self.names_synced())
        count = 0
        for doomed in found:
            count += doomed.segments
            start = ends[count - 1]
            if start > self.log_start_offset:
                _logger.info("%s: it starts at offset %d from now on: %s", self.name, start, doomed.reason)
        if must_roll:
            self._roll()
        if count and ends[count - 1] > self.log_start_offset:
            self._move_start(ends[count - 1])

    @property
    def has_deleted(self) -> bool:
        """Whether there are segments before the log start."""
        return self._segments.count_before(self.log_start_offset) > 0

    def remove_deleted(self) -> int:
        """Remove segments before the log start, once that is written down, some at a time; how many.

        When the power is cut, of what was removed some may be there again and newer ones not: only the start tells that
        none of them is missed. OSError if the disk refuses: the next call tries again.
        """
        count = min(self._segments.count_before(min(self.log_start_offset, self.start_on_disk)), SEGMENTS_AT_ONCE)
        if not count or self.being_compacted or self.is_deleted:
            return 0
        self._segments.remove_oldest(count, self._discard)
        return count

    def _move_start(self, offset: int) -> None:
        """The file of epochs follows when it is written next: who starts after a crash may find the old start."""
        self.log_start_offset = offset
        self._epochs.truncate_start(offset)

    def _discard(self, deleted: Sequence[str]) -> None:
        if deleted:
            self.context.remove_later(deleted, self.config.file_delete_delay_ms)

    def replace_segments(self, old: Sequence[Segment], new: CleanedSegment) -> Generator[None]:
        """Put a compacted segment in the place of those that it was made from, with pauses. Raises SwapIncomplete.

        Who gives up in a pause has the rest done at once: no file of a log that is open stays between two names.
        """
        self.sparse_before = max(self.sparse_before, old[-1].base_offset + 1)
        moves = self._segments.replace(old, new, self._discard)
        try:
            for _ in moves:
                yield
        finally:
            if not self.is_deleted:
                for _ in moves:
                    pass

    # --- keeping

    @property
    def flush_is_due(self) -> bool:
        """Whether flush.messages asks for a flush (UnifiedLog counts from the recovery point, too)."""
        return self.end_offset - self.recovery_point >= self.config.flush_messages

    def begin_flush(self) -> FlushPlan | None:
        """How to bring all that was appended onto the disk; None if it is there. OSError if a file is gone."""
        point = self.recovery_point
        snapshots = self._segments.snapshots.unsynced(self._producers)
        if point >= self.end_offset and not snapshots:
            return None
        parts = []
        transactions = []
        for segment in self._segments.from_offset(point):
            if (count := segment.transactions.unsynced()) is not None:
                transactions.append((segment.transactions, count))
            position = segment.position_of(point) if self._sync_failed else 0
            parts.append(segment.unsynced(segment.size if position is None else position))
        names = self._segments.snapshots.paths(snapshots)
        if self._names_version != self._names_synced or transactions:
            names += [f"{self._directory}/{METADATA_NAME}", f"{self._directory}/{EPOCHS_NAME}"]
        return FlushPlan(
            up_to=self.end_offset,
            parts=parts,
            files=self._files,
            names=names,
            directory=self._directory if names else None,
            transactions=transactions,
            snapshots=snapshots,
            names_version=self._names_version,
            writes_again=self._sync_failed,
        )

    def flushed(self, plan: FlushPlan) -> None:
        """The plan was carried out."""
        self.recovery_point = max(self.recovery_point, min(plan.up_to, self.end_offset))
        self._names_synced = max(self._names_synced, plan.names_version)
        self._has_names = self._has_names or plan.has_new_names
        for index, count in plan.transactions:
            index.synced(count)
        self._segments.snapshots.synced(plan.snapshots)
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

    def seal(self) -> None:
        """Nothing is appended any more: what `close` flushes is there."""
        self._segments.active.seal()
        self._segments.snapshots.take(self.end_offset, self._producers)

    def close(self) -> None:
        """Flush, and leave what makes the next start short."""
        self.seal()
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
