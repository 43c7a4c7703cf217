"""One segment of a log: a `.log` file of record batches, the two sparse indexes over it, its aborted transactions.

The files are named by the segment's base offset in 20 digits. Every `index.interval.bytes` of batches the offset index
gets an entry for the batch that comes next, and the time index the largest timestamp so far. The indexes are kept in
memory and written by `flush` and `seal`; when one is missing or does not fit the log, it is rebuilt from the log.
"""

import logging
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Final, Self

from kpy.protocol.crc import Buffer
from kpy.protocol.records import NO_TIMESTAMP, BatchHeader
from kpy.storage.batch_scan import is_sound, scan_batches, scan_headers
from kpy.storage.files import File, FileRange, Files
from kpy.storage.flushing import Unsynced
from kpy.storage.log_config import LogConfig
from kpy.storage.log_context import DELETED_SUFFIX
from kpy.storage.offset_index import ENTRY_BYTES as OFFSET_ENTRY_BYTES
from kpy.storage.offset_index import RELATIVE_OFFSET_MAX, IndexCorrupt, OffsetIndex
from kpy.storage.time_index import ENTRY_BYTES as TIME_ENTRY_BYTES
from kpy.storage.time_index import TimeIndex
from kpy.storage.transaction_index import TransactionIndex

_logger = logging.getLogger(__name__)

LOG_SUFFIX: Final = ".log"
OFFSET_INDEX_SUFFIX: Final = ".index"
TIME_INDEX_SUFFIX: Final = ".timeindex"
TRANSACTION_INDEX_SUFFIX: Final = ".txnindex"
INDEX_SUFFIXES: Final = (OFFSET_INDEX_SUFFIX, TIME_INDEX_SUFFIX, TRANSACTION_INDEX_SUFFIX)

_POSITION_MAX: Final = (1 << 31) - 1


def file_name(offset: int, suffix: str) -> str:
    """The name of a segment's or a snapshot's file."""
    return f"{offset:020d}{suffix}"


class Segment:
    """A run of batches from `base_offset` on.

    Invariants: `size` is that of the `.log` file, which ends with a whole batch; every batch lies at or after
    `base_offset` and at most 2^31 - 1 beyond it.
    """

    __slots__ = (
        "_built_indexes",
        "_bytes_since_index_entry",
        "_directory",
        "_dirty_indexes",
        "_files",
        "_first_append_ms",
        "_index_interval_bytes",
        "_last_batch_offset",
        "_last_batch_position",
        "_log",
        "_offset_index",
        "_time_index",
        "base_offset",
        "first_timestamp",
        "max_timestamp",
        "max_timestamp_offset",
        "roll_jitter_ms",
        "transactions",
        "written_ms",
    )

    def __init__(self, files: Files, directory: str, base_offset: int, index_interval_bytes: int) -> None:
        self._files = files
        self._directory = directory
        self._index_interval_bytes = index_interval_bytes
        self._first_append_ms: int | None = None
        self.base_offset = base_offset
        self._log: File = files.open(self.path(LOG_SUFFIX))
        self._offset_index: OffsetIndex | None = None
        self._time_index: TimeIndex | None = None
        self.transactions = TransactionIndex(files, self.path(TRANSACTION_INDEX_SUFFIX))
        """The aborted transactions that end here; recovery fills it."""
        self._built_indexes = False
        """Whether the indexes were made here from the batches, and not read from a file."""
        self._dirty_indexes = False
        self._bytes_since_index_entry = 0
        self._last_batch_offset = base_offset
        self._last_batch_position = 0
        self.first_timestamp: int | None = None
        """The first batch's largest timestamp: segment.ms counts from it."""
        self.max_timestamp = NO_TIMESTAMP
        self.max_timestamp_offset = base_offset
        """The last offset of the first batch that has the largest timestamp."""
        self.roll_jitter_ms: int | None = None
        """How much earlier than by segment.ms it is rolled, once that was drawn."""
        self.written_ms: int | None = None
        """When it was last written, where no timestamp says so."""

    @classmethod
    def create(cls, files: Files, directory: str, base_offset: int, index_interval_bytes: int) -> Self:
        """A new, empty segment."""
        segment = cls(files, directory, base_offset, index_interval_bytes)
        segment._offset_index = OffsetIndex()
        segment._time_index = TimeIndex()
        segment._built_indexes = True
        segment._dirty_indexes = True
        return segment

    def path(self, suffix: str) -> str:
        return f"{self._directory}/{file_name(self.base_offset, suffix)}"

    @property
    def size(self) -> int:
        return self._log.size

    # --- writing

    def check_in_place(self) -> None:
        """OSError if the file has vanished although it is still open: what is written to it would be lost."""
        self._log.check_in_place()

    def has_room(self, size: int, last_offset: int, max_timestamp: int, now_ms: int, config: LogConfig) -> bool:
        """Whether a batch may go here, or the log has to roll first (Kafka's `LogSegment.shouldRoll`).

        Time runs from the first batch's timestamp to this one's. Without timestamps it is the broker's own, since it
        first appended here.
        """
        used = self._log.size
        if used > min(config.segment_bytes, _POSITION_MAX) - size:
            return False
        if last_offset - self.base_offset > RELATIVE_OFFSET_MAX:
            return False
        if used == 0:
            return True
        first = self.first_timestamp
        if first is not None and first >= 0:
            waited_ms = max_timestamp - first
        else:
            self._first_append_ms = self._first_append_ms or now_ms
            waited_ms = now_ms - self._first_append_ms
        return (
            waited_ms <= config.roll_ms - (self.roll_jitter_ms or 0)
            and len(self._offsets()) < config.segment_index_bytes // OFFSET_ENTRY_BYTES
            and len(self._times()) < config.segment_index_bytes // TIME_ENTRY_BYTES - 1
        )

    def append(self, batch: Buffer, base_offset: int, last_offset: int, max_timestamp: int) -> None:
        """Write one batch at the end. An OSError leaves the segment as it was."""
        log = self._log
        position = log.size
        try:
            log.append(batch)
        except OSError:
            log.truncate(position)
            raise
        self._learn(position, len(batch), base_offset, last_offset, max_timestamp)

    def _learn(self, position: int, size: int, base_offset: int, last_offset: int, max_timestamp: int) -> None:
        """Keep what is derived from a batch."""
        if self.first_timestamp is None:
            self.first_timestamp = max_timestamp
        if max_timestamp > self.max_timestamp:
            self.max_timestamp = max_timestamp
            self.max_timestamp_offset = last_offset
        if self._bytes_since_index_entry > self._index_interval_bytes:
            self._offsets().append(last_offset - self.base_offset, position)
            self._times().maybe_append(self.max_timestamp, self.max_timestamp_offset - self.base_offset)
            self._bytes_since_index_entry = 0
        self._dirty_indexes = True
        self._bytes_since_index_entry += size
        self._last_batch_offset = base_offset
        self._last_batch_position = position

    def rebuild(self) -> int:
        """Derive the indexes and timestamps from the headers again, and return the offset after the last batch found.

        Nothing is cut: what does not parse, and what follows it, cannot be found.
        """
        self._forget()
        next_offset = self.base_offset
        for position, header in self.headers():
            if not self._fits(header, next_offset):
                break
            self._learn(position, header.size_bytes, header.base_offset, header.last_offset, header.max_timestamp)
            next_offset = header.next_offset
        return next_offset

    def _forget(self) -> None:
        self._offset_index = OffsetIndex()
        self._time_index = TimeIndex()
        self._bytes_since_index_entry = 0
        self._last_batch_offset = self.base_offset
        self._last_batch_position = 0
        self.first_timestamp = None
        self.max_timestamp = NO_TIMESTAMP
        self.max_timestamp_offset = self.base_offset
        self._built_indexes = True
        self._dirty_indexes = True

    def recover(self) -> Iterator[tuple[BatchHeader, Buffer]]:
        """Walk all batches and yield each that is sound, with its bytes; cut the file where one is not.

        The indexes are rebuilt on the way. The caller has to take all: the cut comes at the end.
        """
        self._forget()
        next_offset = self.base_offset
        end = 0
        for position, header, batch in scan_batches(self._log):
            if not is_sound(header, batch) or not self._fits(header, next_offset):
                break
            self._learn(position, len(batch), header.base_offset, header.last_offset, header.max_timestamp)
            end = position + len(batch)
            next_offset = header.next_offset
            yield header, batch
        if end < self._log.size:
            _logger.warning(
                "%s: cut %d bytes behind the last sound batch, at byte %d, offset %d",
                self.path(LOG_SUFFIX), self._log.size - end, end, next_offset,
            )  # fmt: skip
            self._log.truncate(end)

    def _fits(self, header: BatchHeader, next_offset: int) -> bool:
        return (
            header.base_offset >= next_offset
            and header.last_offset_delta >= 0
            and header.last_offset - self.base_offset <= RELATIVE_OFFSET_MAX
        )

    # --- reading

    def load(self) -> int:
        """Learn the end of a segment that was closed properly, and return the offset after its last batch.

        Only the batches behind the last index entry are walked. If they or the indexes do not fit the file,
        IndexCorrupt is raised.
        """
        offsets = self._offsets()
        times = self._times()
        if offsets and self._log.size == 0:
            raise IndexCorrupt("there are entries for an empty log")
        position = offsets.positions[-1] if offsets else 0
        next_offset = self.base_offset
        if times:
            self.max_timestamp = times.timestamps[-1]
            self.max_timestamp_offset = self.base_offset + times.offsets[-1]
        self._bytes_since_index_entry = 0
        end = position
        for start, header, batch in scan_batches(self._log, position):
            if not is_sound(header, batch) or not self._fits(header, next_offset):
                raise IndexCorrupt(f"there is no sound batch at byte {start}")
            if start == position and offsets and header.last_offset - self.base_offset != offsets.offsets[-1]:
                raise IndexCorrupt(f"the batch at byte {start} does not end with the offset in the index")
            if header.max_timestamp > self.max_timestamp:
                self.max_timestamp = header.max_timestamp
                self.max_timestamp_offset = header.last_offset
            next_offset = header.next_offset
            self._last_batch_offset = header.base_offset
            self._last_batch_position = start
            self._bytes_since_index_entry += len(batch)
            end = start + len(batch)
        if end != self._log.size:
            raise IndexCorrupt(f"the last sound batch ends at byte {end} of {self._log.size}")
        first = next(self.headers(), None)
        self.first_timestamp = None if first is None else first[1].max_timestamp
        return next_offset

    def headers(self, position: int = 0, end: int | None = None) -> Iterator[tuple[int, BatchHeader]]:
        """Position and header of the batches from that position on, which must be the start of one."""
        return scan_headers(self._log, position, end)

    def headers_back(self, end: int, bytes_max: int) -> Iterator[tuple[int, BatchHeader]]:
        """As `headers`, of about the last `bytes_max` bytes before the position `end`."""
        positions = self._offsets().positions
        index = bisect_left(positions, end - bytes_max)
        return self.headers(positions[index] if index < len(positions) and positions[index] < end else 0, end)

    def batches(self, offset: int) -> Iterator[Buffer]:
        """The whole batches from the one that holds that offset on."""
        position = self.position_of(offset)
        if position is not None:
            for _start, _header, batch in scan_batches(self._log, position):
                yield batch

    def locate(self, offset: int, *, may_wait: bool = True) -> tuple[int, BatchHeader] | None:
        """Position and header of the first batch that ends at or after that offset; None if all end before.

        Raises NotResident unless it `may_wait` for the disk.
        """
        read_at = self._log.read_at if may_wait else self._log.read_resident
        for position, header in scan_headers(self._log, self._floor(offset), read_at=read_at):
            if header.last_offset >= offset:
                return position, header
        return None

    @property
    def name(self) -> str:
        """For messages."""
        return self.path(LOG_SUFFIX)

    def read(self, position: int, size_bytes: int) -> Buffer:
        """Bytes of the file, whatever they are."""
        return self._log.read_at(position, size_bytes)

    def index_sizes(self) -> tuple[int, int]:
        """The bytes of the offset index and of the time index."""
        return len(self._offsets()) * OFFSET_ENTRY_BYTES, len(self._times()) * TIME_ENTRY_BYTES

    def position_of(self, offset: int, *, may_wait: bool = True) -> int | None:
        found = self.locate(offset, may_wait=may_wait)
        return None if found is None else found[0]

    def _floor(self, offset: int) -> int:
        if offset >= self._last_batch_offset:
            return self._last_batch_position
        floor = self._offsets().floor(max(offset - self.base_offset, 0))
        if floor is None:
            return 0
        if not self._built_indexes and not self._is_entry_true(*floor):
            _logger.warning("%s: there is no such batch as its index says: making it again", self.path(LOG_SUFFIX))
            self.rebuild()
            floor = self._offsets().floor(offset - self.base_offset) or (0, 0)
        return floor[1]

    def _is_entry_true(self, relative_offset: int, position: int) -> bool:
        """Whether a batch at that position ends with that offset, as an index says that comes from a file."""
        first = next(self.headers(position), None)
        return first is not None and first[1].last_offset - self.base_offset == relative_offset

    def without_cut_batch(self, position: int, size: int) -> int:
        """The size of a range without the beginning of a large batch that would be cut by its end.

        A client has to throw that away and ask again. Index entries are starts of batches, and a large batch has one;
        to leave off what follows the last of them loses less than the interval between entries in whole batches.
        """
        end = position + size
        positions = self._offsets().positions
        index = bisect_right(positions, end) - 1
        start = positions[index] if index >= 0 else 0
        return start - position if start > position and end - start > 2 * self._index_interval_bytes else size

    def offset_behind(self, position: int) -> int | None:
        """The last offset of the first batch in the index that begins there or behind; None if none does."""
        offsets = self._offsets()
        index = bisect_left(offsets.positions, position)
        return self.base_offset + offsets.offsets[index] if index < len(offsets) else None

    def range(self, position: int, size: int) -> FileRange:
        return self._log.range(position, size)

    def reaching(self, timestamp: int, start_offset: int) -> Iterator[tuple[int, BatchHeader]]:
        """Position and header of the batches, from that offset on, whose largest timestamp is at least that."""
        if self.max_timestamp < timestamp:
            return
        floor = self._times().floor(timestamp) + self.base_offset
        for position, header in self.headers(self._floor(max(floor, start_offset))):
            if header.max_timestamp >= timestamp and header.last_offset >= start_offset:
                yield position, header

    def batch_at(self, position: int, header: BatchHeader) -> Buffer:
        return self._log.read_at(position, header.size_bytes)

    # --- the files

    def _offsets(self) -> OffsetIndex:
        if self._offset_index is None:
            data = self._files.read(self.path(OFFSET_INDEX_SUFFIX))
            if data is None and self._log.size:
                raise IndexCorrupt("the offset index is missing")
            self._offset_index = OffsetIndex.decode(data or b"", log_bytes=self._log.size)
        return self._offset_index

    def _times(self) -> TimeIndex:
        if self._time_index is None:
            data = self._files.read(self.path(TIME_INDEX_SUFFIX))
            if data is None and self._log.size:
                raise IndexCorrupt("the time index is missing")
            self._time_index = TimeIndex.decode(data or b"")
        return self._time_index

    def unsynced(self, position: int) -> Unsynced:
        """The bytes from that position on, for a flush."""
        return Unsynced(self._log.pin(), position, self._log.size)

    def flush(self) -> None:
        """What was appended is on the disk when this returns."""
        self._log.sync()
        self.transactions.flush()
        self.write_indexes(sync=True)

    def write_indexes(self, *, sync: bool) -> None:
        if self._dirty_indexes:
            self._files.replace(self.path(OFFSET_INDEX_SUFFIX), self._offsets().encode(), sync=sync)
            self._files.replace(self.path(TIME_INDEX_SUFFIX), self._times().encode(), sync=sync)
            self._dirty_indexes = False

    def seal(self) -> None:
        """Nothing more will be appended: the time index gets the largest timestamp of all."""
        self._times().maybe_append(self.max_timestamp, self.max_timestamp_offset - self.base_offset)
        self._dirty_indexes = True
        self.transactions.write()
        self.write_indexes(sync=False)

    def close(self) -> None:
        self._log.close()

    def newest_ms(self) -> int | None:
        """The largest timestamp; if no record has one, when the file was last written, if that is known."""
        if self.max_timestamp >= 0:
            return self.max_timestamp
        if self.written_ms is None:
            self.written_ms = self._files.modified_ms(self.path(LOG_SUFFIX))
        return self.written_ms

    def retire(self) -> list[str]:
        """Rename the files, so that no start takes them for a segment; returns what they are called now.

        Ranges that were read of it stay readable.
        """
        path = self.path(LOG_SUFFIX)
        self._files.move(self._log, path, path + DELETED_SUFFIX)
        deleted = [path + DELETED_SUFFIX]
        for suffix in INDEX_SUFFIXES:
            path = self.path(suffix)
            if self._files.exists(path):
                self._files.rename(path, path + DELETED_SUFFIX)
                deleted.append(path + DELETED_SUFFIX)
        return deleted

    def remove(self) -> None:
        """Remove the files. Ranges that were read of it stay readable: the last reference closes the file."""
        for suffix in (LOG_SUFFIX, *INDEX_SUFFIXES):
            self._files.remove(self.path(suffix))
