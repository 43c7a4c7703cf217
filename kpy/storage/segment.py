"""One segment of a log: a `.log` file of record batches, and what is derived from it (`kpy.storage.derived`).

That is two sparse indexes, and the transactions that were aborted in it (`kpy.storage.transaction_index`). The files
are named by the segment's base offset in 20 digits. The indexes are kept in memory once they are needed, and written by
`seal`. Bytes that an earlier process wrote are verified when they are first read; what turns out damaged is
quarantined (`kpy.storage.quarantine`), and every walk goes around it.
"""

import logging
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final, NamedTuple, Self

from kpy.protocol.crc import Buffer
from kpy.protocol.records import NO_TIMESTAMP, BatchHeader
from kpy.storage.batch_scan import scan_batches, scan_headers
from kpy.storage.derived import Derived
from kpy.storage.files import Files, NotResident
from kpy.storage.index_files import read_indexes, read_positions, write_indexes
from kpy.storage.log_config import INT64_MAX, LogConfig
from kpy.storage.offset_index import ENTRY_BYTES as OFFSET_ENTRY_BYTES
from kpy.storage.offset_index import RELATIVE_OFFSET_MAX, IndexCorrupt
from kpy.storage.quarantine import Damage, Quarantine
from kpy.storage.segment_files import LOG_SUFFIX, TRANSACTION_INDEX_SUFFIX
from kpy.storage.segment_log import SegmentLog
from kpy.storage.time_index import ENTRY_BYTES as TIME_ENTRY_BYTES
from kpy.storage.transaction_index import TransactionIndex
from kpy.storage.verification import BatchPlace, Doubt, Findings, Verifier

_logger = logging.getLogger(__name__)

_POSITION_MAX: Final = (1 << 31) - 1


class Sought(NamedTuple):
    """Where a batch is, and where the walk to it began; no header if the walk came to the end."""

    start: int
    position: int
    header: BatchHeader | None


class Segment(SegmentLog):
    """A run of batches from `base_offset` on.

    Invariants: `size` is that of the `.log` file; every sound batch lies at or after `base_offset` and at most
    2^31 - 1 beyond it, and what is no sound batch was written by an earlier process.
    """

    __slots__ = (
        "_derived",
        "_dirty_indexes",
        "_first_append_ms",
        "_has_unusable_indexes",
        "_index_interval_bytes",
        "_max_timestamp_read",
        "roll_jitter_ms",
        "transactions",
        "written_ms",
    )

    def __init__(self, files: Files, directory: str, base_offset: int, index_interval_bytes: int) -> None:
        """The segment of that name, as an earlier process left it. Nothing of it is read yet."""
        super().__init__(files, directory, base_offset)
        self._index_interval_bytes = index_interval_bytes
        self._first_append_ms: int | None = None
        self._derived: Derived | None = None
        self._dirty_indexes = False
        self._has_unusable_indexes = False
        """Whether the files of its indexes were read, and do not fit."""
        self._max_timestamp_read: int | None = None
        """What indexes said that were read for nothing else, and not kept."""
        self.transactions = TransactionIndex(files, self.path(TRANSACTION_INDEX_SUFFIX))
        """The aborted transactions that end here; recovery fills it."""
        self.roll_jitter_ms: int | None = None
        """How much earlier than by segment.ms it is rolled, once that was drawn."""
        self.written_ms: int | None = None
        """When it was last written, where no timestamp says so; NO_TIMESTAMP if nothing does."""

    @classmethod
    def create(cls, files: Files, directory: str, base_offset: int, index_interval_bytes: int) -> Self:
        """A new, empty segment."""
        segment = cls(files, directory, base_offset, index_interval_bytes)
        segment._adopt(Derived(base_offset, index_interval_bytes))
        segment._quarantine.is_end_known = True
        return segment

    @property
    def max_timestamp(self) -> int:
        return self._indexed().max_timestamp

    def largest_timestamp(self, *, may_wait: bool) -> tuple[int, int]:
        """The largest timestamp, and the last offset of the first batch that has it."""
        derived = self._indexed(may_wait=may_wait)
        return derived.max_timestamp, derived.max_timestamp_offset

    def first_timestamp(self, *, may_wait: bool = True) -> int | None:
        """The first batch's largest timestamp: segment.ms counts from it."""
        derived = self._indexed(may_wait=may_wait)
        if derived.first_timestamp is None and self._log.size:
            first = next(self.headers(may_wait=may_wait), None)
            derived.first_timestamp = None if first is None else first[1].max_timestamp
        return derived.first_timestamp

    @property
    def is_indexed(self) -> bool:
        """Whether its indexes are in memory; to have them there, files are read, or all of the log is."""
        return self._derived is not None

    # --- writing

    def has_room(self, size: int, last_offset: int, max_timestamp: int, now_ms: int, config: LogConfig) -> bool:
        """Whether a batch may go here, or the log has to roll first (Kafka's `LogSegment.shouldRoll`).

        Time runs from the first batch's timestamp to this one's. Without timestamps it is the broker's own, since it
        first appended here.
        """
        used = self._log.size
        if used + size > config.segment_bytes or not self.could_hold(size, last_offset):
            return False
        if used == 0:
            return True
        derived = self._indexed()
        first = self.first_timestamp() if derived.first_timestamp is None else derived.first_timestamp
        if first is not None and first >= 0:
            waited_ms = max_timestamp - first
        else:
            self._first_append_ms = self._first_append_ms or now_ms
            waited_ms = now_ms - self._first_append_ms
        return (
            waited_ms <= config.roll_ms - (self.roll_jitter_ms or 0)
            and len(derived.offsets) < config.segment_index_bytes // OFFSET_ENTRY_BYTES
            and len(derived.times) < config.segment_index_bytes // TIME_ENTRY_BYTES - 1
        )

    def could_hold(self, size: int, last_offset: int) -> bool:
        """Whether a batch may go here by the format alone, whatever the configuration says."""
        return self._log.size + size <= _POSITION_MAX and last_offset - self.base_offset <= RELATIVE_OFFSET_MAX

    def append(self, batch: Buffer, base_offset: int, last_offset: int, max_timestamp: int) -> None:
        """Write one batch at the end. An OSError leaves the segment as it was."""
        log = self._log
        position = log.size
        try:
            log.append(batch)
        except OSError:
            log.truncate(position)
            raise
        self.learn_batch(position, len(batch), base_offset, last_offset, max_timestamp)

    def learn_batch(self, position: int, size: int, base_offset: int, last_offset: int, max_timestamp: int) -> None:
        """Take a batch at the end into the indexes."""
        self._indexed().learn(position, size, base_offset, last_offset, max_timestamp)
        self._dirty_indexes = True

    # --- opening

    def load(self) -> int:
        """Learn the end of a segment that was closed properly, and return the offset after its last batch.

        Only the batches behind the last index entry are walked. If they or the indexes do not fit the file,
        IndexCorrupt is raised.
        """
        derived = self._read_indexes()
        position = derived.offsets.positions[-1] if derived.offsets else 0
        next_offset = self.base_offset
        for found in self._verifier().walk(position, next_offset, keep_before=next_offset):
            if isinstance(found, Damage):
                raise IndexCorrupt(str(found))
            derived.follow(*found)
            next_offset = found.header.next_offset
        self._derived = derived
        self._quarantine.verify(position, self._log.size)
        return next_offset

    def recover(
        self, *, keep_before: int, next_segment_offset: int | None = None, may_skip_offsets: bool = True
    ) -> Iterator[BatchPlace]:
        """Walk all batches and yield each that is sound; derive the indexes on the way. The caller has to take all.

        What is unsound before the offset `keep_before` is quarantined. The first that is unsound from there on ends the
        segment: the file is cut. If `keep_before` is INT64_MAX, only what no sound batch of the log follows is cut.
        """
        derived = Derived(self.base_offset, self._index_interval_bytes)
        quarantine = Quarantine(self._log.size, is_end_known=False)
        verifier = self._verifier(follows=next_segment_offset, hints=self._hints(), may_skip_offsets=may_skip_offsets)
        end = 0
        next_offset = self.base_offset
        for found in verifier.walk(0, next_offset, keep_before=keep_before):
            if not isinstance(found, Damage):
                derived.learn_header(*found)
                end, next_offset = found.end_position, found.header.next_offset
                yield found
                continue
            is_tail = next_segment_offset is None and found.end_position == self._log.size
            if next_offset >= keep_before or (is_tail and keep_before == INT64_MAX):
                break
            reaches = min(found.next_offset, keep_before)
            self._quarantine_range(quarantine, found._replace(next_offset=reaches))
            end, next_offset = found.end_position, reaches
            if reaches < found.next_offset:
                break
        if end < self._log.size:
            self._cut(end, next_offset)
        quarantine.verify(0, self._log.size)
        self._quarantine = quarantine
        self._adopt(derived)

    def looks_compacted(self) -> bool:
        """Whether offsets are missing before one of its batches, or records in it, up to the first that is unsound."""
        next_offset = self.base_offset
        for found in self._verifier().walk(0, next_offset, keep_before=next_offset):
            if isinstance(found, Damage):
                break
            if found.header.base_offset > next_offset or not found.header.record_count:
                return True
            next_offset = found.header.next_offset
        return False

    def _verifier(
        self, *, follows: int | None = None, hints: Sequence[int] = (), may_skip_offsets: bool = True
    ) -> Verifier:
        limit = self.base_offset + RELATIVE_OFFSET_MAX + 1
        return Verifier(
            self._log.read_at,
            self._log.size,
            limit=limit if follows is None else min(limit, follows),
            hints=hints,
            follows=follows,
            may_skip_offsets=may_skip_offsets,
        )

    # --- verification

    def doubt(
        self, start: int, end: int | None, *, next_segment_offset: int, may_skip_offsets: bool, is_whole: bool = False
    ) -> Doubt:
        """Those bytes are not verified, or, if `is_whole`, the indexes cannot be used either."""
        size = self._log.size
        return Doubt(
            read_at=self._log.read_at,
            size=size,
            start=start,
            end=size if end is None else end,
            base_offset=self.base_offset,
            next_segment_offset=min(next_segment_offset, self.base_offset + RELATIVE_OFFSET_MAX + 1),
            may_skip_offsets=may_skip_offsets,
            hints=self._hints(),
            interval_bytes=self._index_interval_bytes,
            is_whole=is_whole,
        )

    def settle(self, findings: Findings) -> None:
        """Learn what a doubt was resolved to."""
        for damage in findings.damages:
            self._quarantine_range(self._quarantine, damage)
        self._quarantine.verify(findings.start, findings.end)
        self._quarantine.is_end_known |= findings.is_end_known
        if findings.derived is not None:
            self._take_over(findings.derived)

    # --- reading

    def headers_back(self, end: int, bytes_max: int) -> Iterator[tuple[int, BatchHeader]]:
        """As `headers`, of about the last `bytes_max` bytes before the position `end`."""
        positions = self._indexed().offsets.positions
        index = bisect_left(positions, end - bytes_max)
        start = self._indexed().offsets.offsets[index] if index < len(positions) and positions[index] < end else 0
        return self.headers(self.start_for(self.base_offset + start), end)

    def batches(self, offset: int) -> Iterator[Buffer]:
        """The whole batches from the one that holds that offset on."""
        position = self.position_of(offset)
        if position is not None:
            for start, stop in self._quarantine.stretches(position, self._log.size):
                for _start, _header, batch in scan_batches(self._log, start, stop):
                    yield batch

    def seek(self, offset: int, *, may_wait: bool = True) -> Sought | None:
        """Where the first batch is that ends at or after that offset; None if the index does not lead there.

        Raises NotResident unless it `may_wait` for the disk.
        """
        if self._derived is None and not self._has_unusable_indexes:
            if not may_wait:
                raise NotResident(self._try_read_indexes, self._learn_indexes)
            self._learn_indexes(self._try_read_indexes())
        derived = self._derived
        start = None if derived is None else self._start(derived, offset, may_wait=may_wait)
        return None if start is None else self._seek(start, offset, may_wait=may_wait)

    def index_sizes(self) -> tuple[int, int]:
        """The bytes of the offset index and of the time index."""
        derived = self._indexed()
        return len(derived.offsets) * OFFSET_ENTRY_BYTES, len(derived.times) * TIME_ENTRY_BYTES

    def _seek(self, start: int, offset: int, *, may_wait: bool = True) -> Sought:
        for position, header in self.headers(start, may_wait=may_wait):
            if header.last_offset >= offset:
                return Sought(start, position, header)
        return Sought(start, self._log.size, None)

    def locate(self, offset: int, *, may_wait: bool = True) -> tuple[int, BatchHeader] | None:
        """As `seek`, with the index made again if it does not lead there; None if all batches end before."""
        start = self.start_for(offset, may_wait=may_wait)
        _, position, header = self._seek(start, offset, may_wait=may_wait)
        return None if header is None else (position, header)

    def start_for(self, offset: int, *, may_wait: bool = True) -> int:
        """Where the walk to an offset begins; the index is made again if it does not lead there."""
        start = self._start(self._indexed(may_wait=may_wait), offset, may_wait=may_wait)
        if start is None:
            derived = self.rebuild("there is no such batch as its index says", may_wait=may_wait)
            start = self._start(derived, offset)
        return start or 0

    def position_of(self, offset: int) -> int | None:
        found = self.locate(offset)
        return None if found is None else found[0]

    def _start(self, derived: Derived, offset: int, *, may_wait: bool = True) -> int | None:
        """Where the walk to an offset begins; None if the index says what is not true."""
        if offset >= derived.last_base_offset:
            return derived.last_position
        floor = derived.offsets.floor(max(offset - self.base_offset, 0))
        if floor is None:
            return 0
        return floor[1] if derived.is_built or self._is_entry_true(*floor, may_wait=may_wait) else None

    def _is_entry_true(self, relative_offset: int, position: int, *, may_wait: bool = True) -> bool:
        """Whether a batch at that position ends with that offset, as an index says that comes from a file."""
        read_at = self._log.read_at if may_wait else self._log.read_resident
        first = next(scan_headers(self._log, position, read_at=read_at), None)
        return first is not None and first[1].last_offset - self.base_offset == relative_offset

    def without_cut_batch(self, position: int, size: int) -> int:
        """The size of a range without the beginning of a large batch that would be cut by its end.

        A client has to throw that away and ask again. Index entries are starts of batches, and a large batch has one;
        to leave off what follows the last of them loses less than the interval between entries in whole batches.
        """
        end = position + size
        positions = self._indexed().offsets.positions
        index = bisect_right(positions, end) - 1
        start = positions[index] if index >= 0 else 0
        return start - position if start > position and end - start > 2 * self._index_interval_bytes else size

    def offset_behind(self, position: int) -> int | None:
        """The last offset of the first batch in the index that begins there or behind; None if none does."""
        offsets = self._indexed().offsets
        index = bisect_left(offsets.positions, position)
        return self.base_offset + offsets.offsets[index] if index < len(offsets) else None

    def start_of(self, timestamp: int, start_offset: int, *, may_wait: bool = True) -> int | None:
        """Where a walk begins to the batches from that offset on that reach a timestamp; None if there are none."""
        derived = self._indexed(may_wait=may_wait)
        if derived.max_timestamp < timestamp:
            return None
        floor = derived.times.floor(timestamp)
        if floor is not None and not derived.is_built and not self._is_time_entry_true(*floor, may_wait=may_wait):
            derived = self.rebuild("there is no batch with the time that its index says", may_wait=may_wait)
            floor = derived.times.floor(timestamp)
        offset = max(start_offset, 0 if floor is None else floor[1] + self.base_offset)
        return self.start_for(offset, may_wait=may_wait)

    def _is_time_entry_true(self, timestamp: int, relative_offset: int, *, may_wait: bool) -> bool:
        found = self.locate(self.base_offset + relative_offset, may_wait=may_wait)
        return found is not None and found[1].max_timestamp == timestamp

    # --- the files

    def _indexed(self, *, may_wait: bool = True) -> Derived:
        """What is derived from the batches; read from the files if they fit, else from the batches again."""
        if self._derived is None and not self._has_unusable_indexes:
            if not may_wait:
                raise NotResident(self._try_read_indexes, self._learn_indexes)
            self._learn_indexes(self._try_read_indexes())
        return self._derived or self.rebuild("its indexes are not usable", may_wait=may_wait)

    def _try_read_indexes(self) -> Derived | None:
        """From any thread."""
        try:
            return self._read_indexes()
        except IndexCorrupt as reason:
            _logger.warning("%s: not using its indexes: %s", self.path(LOG_SUFFIX), reason)
            return None

    def _learn_indexes(self, derived: Derived | None) -> None:
        if self._derived is None:
            self._derived = derived
            self._has_unusable_indexes = derived is None

    def _read_indexes(self) -> Derived:
        """Those of a segment that was sealed; raises IndexCorrupt.

        Looked at are the last entry of each, and whether a batch behind them has a larger timestamp.
        """
        size = self._log.size
        offsets, times = read_indexes(self._files, self.path, log_bytes=size)
        if offsets and not self._is_entry_true(offsets.offsets[-1], offsets.positions[-1]):
            raise IndexCorrupt("the batch of the last entry is not where it says")
        derived = Derived.read(self.base_offset, self._index_interval_bytes, offsets, times)
        if times:
            start = self._start(derived, derived.max_timestamp_offset)
            found = None if start is None else self._seek(start, derived.max_timestamp_offset)
            if found is None or found.header is None or found.header.max_timestamp != times.timestamps[-1]:
                raise IndexCorrupt("no batch has the time of the last entry")
            start = found.position
        else:
            start = offsets.positions[-1] if offsets else 0
        for position, header in self.headers(start):
            if header.max_timestamp > derived.max_timestamp:
                raise IndexCorrupt(f"the batch at byte {position} has a larger timestamp than the last entry")
        return derived

    def rebuild(self, reason: str, *, may_wait: bool = True) -> Derived:
        """Derive the indexes from the sound batches. Whoever reads offsets has what is damaged looked at beforehand."""
        if not may_wait:
            raise NotResident(partial(self._derive, reason), self._take_over)
        return self._take_over(self._derive(reason))

    def _derive(self, reason: str) -> Derived:
        """From any thread."""
        _logger.warning("%s: making its indexes again: %s", self.path(LOG_SUFFIX), reason)
        derived = Derived(self.base_offset, self._index_interval_bytes)
        for found in self._verifier(hints=self._hints()).walk(0, self.base_offset):
            if not isinstance(found, Damage):
                derived.learn_header(*found)
        return derived

    def _take_over(self, derived: Derived) -> Derived:
        """Adopt what was derived elsewhere, with what has been appended since."""
        for position, header in self.headers(derived.last_position):
            if position > derived.last_position or derived.first_timestamp is None:
                derived.learn_header(position, header)
        return self._adopt(derived)

    def _adopt(self, derived: Derived) -> Derived:
        self._derived = derived
        self._dirty_indexes = True
        return derived

    def _hints(self) -> "array[int]":
        """Where batches begin, if the index that is there tells the truth."""
        known = self._derived
        return read_positions(self._files, self.path, log_bytes=self.size) if known is None else known.offsets.positions

    def write_indexes(self, *, sync: bool) -> None:
        if self._dirty_indexes:
            write_indexes(self._files, self.path, self._indexed(), sync=sync)
            self._dirty_indexes = False

    def seal(self) -> None:
        """Nothing more will be appended: the time index gets the largest timestamp of all."""
        self._dirty_indexes |= self._indexed().seal()
        self.transactions.write()
        self.write_indexes(sync=False)

    # --- its age

    def newest_ms(self, *, may_wait: bool = True) -> int | None:
        """The largest timestamp; if no record has one, when the file was last written, if that is known.

        Indexes that are read for it are not kept: who asks for ages asks for those of many segments, and for nothing
        else. Raises NotResident unless it `may_wait` for the disk.
        """
        while True:
            try:
                return self._newest_ms()
            except NotResident as reason:
                if not may_wait:
                    raise
                reason.learn(reason.bring())

    def _newest_ms(self) -> int | None:
        largest = self._max_timestamp_read
        if self._derived is not None or self._has_unusable_indexes:
            largest = self._indexed(may_wait=False).max_timestamp
        elif largest is None:
            raise NotResident(self._try_read_indexes, self._learn_max_timestamp)
        if largest >= 0:
            return largest
        if self.written_ms is None:
            raise NotResident(partial(self._files.modified_ms, self.path(LOG_SUFFIX)), self._learn_written)
        return None if self.written_ms == NO_TIMESTAMP else self.written_ms

    def _learn_max_timestamp(self, derived: Derived | None) -> None:
        if derived is None:
            self._learn_indexes(None)
        else:
            self._max_timestamp_read = derived.max_timestamp

    def _learn_written(self, modified_ms: int | None) -> None:
        if self.written_ms is None:
            self.written_ms = NO_TIMESTAMP if modified_ms is None else modified_ms
