"""One round of compaction of one log: of each key the last record stays (Kafka's `Cleaner`).

1. Map the keys of the dirty part to their last offsets, until the end or until the map is full.
2. Copy the segments from the start of the log on, group by group, without the records that the map has later ones of;
   each group, when it is written and on the disk, takes the place of the segments that it was made from.

The round is a generator of steps, so that whoever runs it can let others run between two of them: a step is short, or
it is a call that may wait for the disk or take its time over a large batch, and that another thread may make. What is
done between two steps is counted: records, and bytes by how long a record they take. A thread that makes a call has the
interpreter for itself while it runs Python, so that calls are short, too, but where they wait or run in C.
"""

import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from kpy.protocol.compression import DecompressedTooLarge, Decompressor, compress, decompress
from kpy.protocol.crc import Buffer
from kpy.protocol.records import HEADER_BYTES, MAGIC, BatchHeader, RecordBatch, control_type
from kpy.storage.batch_filter import (
    BatchFilter,
    Fate,
    Kept,
    Verdict,
    append_counted_from,
    empty_batch,
    filtered_batch,
)
from kpy.storage.batch_scan import is_sound
from kpy.storage.cleaned_transactions import CleanedTransactions
from kpy.storage.cleaning_plan import CleaningPlan, SegmentFacts, group_sizes
from kpy.storage.offset_map import OffsetMap
from kpy.storage.partition_log import PartitionLog
from kpy.storage.record_spans import record_spans
from kpy.storage.segment import Segment
from kpy.storage.segment_swap import SWAP_SUFFIX, CleanedSegment
from kpy.storage.transaction_index import AbortedTransaction

_logger = logging.getLogger(__name__)

RECORDS_AT_ONCE: Final = 200
"""So many records are looked at in one step. Other work counts as the records that take as long:"""
_RECORDS_A_BATCH: Final = 8
_RECORDS_A_SEGMENT: Final = 2
_COPIED_BYTES_A_RECORD: Final = 16 * 1024
_EXPANDED_BYTES_A_RECORD: Final = 1024
"""Of what decompression makes, and of keys, which may be digested."""
_COMPRESSED_BYTES_A_RECORD: Final = 128
"""Of what is given to the slowest codec."""
QUICK_STORED_BYTES_MAX: Final = 16 * 1024
"""Up to this size a batch is decompressed without another thread, as long as no more comes out of it than this:"""
QUICK_EXPANDED_BYTES_MAX: Final = 64 * 1024
QUICK_COMPRESSED_BYTES_MAX: Final = 8 * 1024
"""Up to this size records are compressed without another thread."""
_BATCHES_AT_ONCE: Final = 100
"""About so many are read by one call, where they are small."""

T = TypeVar("T")


class Step(NamedTuple):
    """Where others may run. `call` is made before the next step, and its result sent; it may wait."""

    call: Callable[[], Any] | None = None
    io_bytes: int = 0
    """How much it reads or writes."""


Steps: TypeAlias = Generator[Step, Any, T]

_PAUSE: Final = Step()


class LogDamaged(Exception):
    """There are bytes in the log that are no sound batch: what they hold must not be dropped by mistake."""


class Compaction:
    """One round. `end_offset` is the first offset that is still dirty when the steps are done."""

    def __init__(
        self, log: PartitionLog, plan: CleaningPlan, *, offsets: OffsetMap, now_ms: int, buffer_bytes: int
    ) -> None:
        self._log = log
        self._plan = plan
        self._offsets = offsets
        self._now_ms = now_ms
        self._buffer_bytes = max(buffer_bytes, HEADER_BYTES)
        self._batch_bytes = self._buffer_bytes
        """The mean size of a batch, as of the last that were read."""
        self._left = RECORDS_AT_ONCE
        """How much may be done before the next step."""
        self._decompressor = Decompressor()
        self._ends: Mapping[int, int] = {}
        """Base offset of a segment -> where the next one begins."""
        self.end_offset = plan.first_dirty_offset
        self.bytes_before = 0
        self.bytes_after = 0

    def steps(self) -> Steps[None]:
        """Raises LogDamaged, OSError, SwapIncomplete, and what records that do not parse raise."""
        log, plan = self._log, self._plan
        log.being_compacted = True
        try:
            segments = [segment for segment in log.segments if segment.base_offset < plan.first_uncleanable_offset]
            if not segments:  # retention was faster
                return
            ends = [*(segment.base_offset for segment in segments[1:]), plan.first_uncleanable_offset]
            self._ends = {segment.base_offset: end for segment, end in zip(segments, ends, strict=True)}
            aborted = log.segments.aborted_transactions()
            yield from self._map_keys(segments, aborted)
            end_offset = self._offsets.latest_offset + 1
            segments = [segment for segment in segments if segment.base_offset < end_offset]
            transactions = CleanedTransactions(aborted)
            facts = yield from self._facts(segments)
            for size in group_sizes(facts, log.config, plan.first_uncleanable_offset):
                group, segments = segments[:size], segments[size:]
                yield from self._compact(group, transactions)
            self.end_offset = end_offset
        finally:
            log.being_compacted = False

    def _facts(self, segments: Sequence[Segment]) -> Steps[list[SegmentFacts]]:
        facts = []
        for segment in segments:
            if not segment.is_indexed:
                yield Step(segment.index_sizes)
            facts.append(facts_of(segment, with_indexes=True))
            if self._spend(_RECORDS_A_SEGMENT):
                yield _PAUSE
        return facts

    # --- pass 1

    def _map_keys(self, segments: Sequence[Segment], aborted: Sequence[AbortedTransaction]) -> Steps[None]:
        start = self._plan.first_dirty_offset
        transactions = CleanedTransactions(found for found in aborted if found.last_offset >= start)
        for segment in segments:
            end = self._ends[segment.base_offset]
            if end > start:
                position: int | None = 0
                if segment.base_offset < start:
                    position = yield Step(partial(segment.position_of, start))
                if position is not None and (yield from self._map_segment(segment, position, transactions)):
                    return
                self._offsets.latest_offset = end - 1

    def _map_segment(self, segment: Segment, position: int, transactions: CleanedTransactions) -> Steps[bool]:
        """Whether the map was full before the end."""
        start, offsets = self._plan.first_dirty_offset, self._offsets
        next_offset = segment.base_offset
        while position < segment.size:
            for header, batch in (yield from self._read(segment, position, next_offset)):
                position += header.size_bytes
                next_offset = header.next_offset
                if header.is_control:
                    transactions.marker_may_go(header, _marker(header, batch))
                elif not transactions.data_may_go(header):
                    data = yield from self._payload(header, batch)
                    for span in record_spans(data, header.record_count):
                        offset = header.base_offset + span.offset_delta
                        if span.key is not None and offset >= start and not offsets.put(span.key, offset):
                            return True
                        if self._spend(1 + len(span.key or b"") // _EXPANDED_BYTES_A_RECORD):
                            yield _PAUSE
                if header.last_offset >= start:
                    offsets.latest_offset = header.last_offset
                if self._spend(_RECORDS_A_BATCH):
                    yield _PAUSE
        return False

    # --- pass 2

    def _compact(self, group: Sequence[Segment], transactions: CleanedTransactions) -> Steps[None]:
        log = self._log
        batch_filter = BatchFilter(
            self._offsets,
            transactions,
            log.producers.last_record,
            end_offset=self._plan.first_uncleanable_offset,
            now_ms=self._now_ms,
            delete_retention_ms=log.config.delete_retention_ms,
        )
        cleaned = log.segments.create_cleaned(group[0].base_offset, log.config.index_interval_bytes)
        try:
            for segment in group:
                yield from self._copy(segment, cleaned, batch_filter)
            for aborted in transactions.take_kept():
                cleaned.transactions.append(aborted)
            yield Step(partial(cleaned.finish, group[-1].newest_ms()))
            cleaned.rename(SWAP_SUFFIX)
            yield Step(log.segments.sync_names)
        except BaseException:
            _give_up(cleaned)
            raise
        self.bytes_before += sum(segment.size for segment in group)
        self.bytes_after += cleaned.size
        with closing(log.replace_segments(group, cleaned)) as moves:
            for _ in moves:
                yield _PAUSE
        yield Step(log.segments.sync_names)

    def _copy(self, segment: Segment, cleaned: CleanedSegment, batch_filter: BatchFilter) -> Steps[None]:
        position, next_offset = 0, segment.base_offset
        out = bytearray()
        while position < segment.size:
            for header, batch in (yield from self._read(segment, position, next_offset)):
                position += header.size_bytes
                next_offset = header.next_offset
                kept = yield from self._filter(header, batch, batch_filter)
                if kept is not None:
                    cleaned.learn(cleaned.size + len(out), BatchHeader.unpack(kept))
                    out += kept
                    self._left -= len(kept) // _COPIED_BYTES_A_RECORD
                if len(out) >= self._buffer_bytes:
                    yield Step(partial(cleaned.write, out), len(out))
                    out = bytearray()
                if self._spend(_RECORDS_A_BATCH):
                    yield _PAUSE
        if out:
            yield Step(partial(cleaned.write, out), len(out))

    def _filter(self, header: BatchHeader, batch: Buffer, batch_filter: BatchFilter) -> Steps[Buffer | None]:
        """What is left of a batch, None if that is nothing."""
        verdict = batch_filter.judge(header, _marker(header, batch) if header.is_control else None)
        if verdict.fate is Fate.DROP:
            return None
        data = yield from self._payload(header, batch)
        kept = yield from self._kept(header, data, verdict, batch_filter)
        if not kept.record_count:
            return empty_batch(header) if verdict.fate is Fate.KEEP else None
        horizon_ms = batch_filter.horizon_ms() if batch_filter.needs_horizon(header, verdict, kept) else None
        if kept.record_count == header.record_count and horizon_ms is None:
            return batch
        payload: Buffer = kept.payload
        if horizon_ms is not None:
            payload = yield from self._counted_from(horizon_ms, header, kept)
        if header.codec:
            payload = yield from self._compressed(header.codec, payload)
        self._left -= len(payload) // _COPIED_BYTES_A_RECORD
        return filtered_batch(header, kept, payload, horizon_ms=horizon_ms)

    def _kept(
        self, header: BatchHeader, data: bytes | bytearray, verdict: Verdict, batch_filter: BatchFilter
    ) -> Steps[Kept]:
        kept = Kept()
        for span in record_spans(data, header.record_count):
            if batch_filter.keeps(header, verdict, span):
                kept.add(data, span, header)
            size = span.end - span.start
            if self._spend(1 + len(span.key or b"") // _EXPANDED_BYTES_A_RECORD + size // _COPIED_BYTES_A_RECORD):
                yield _PAUSE
        return kept

    def _counted_from(self, horizon_ms: int, header: BatchHeader, kept: Kept) -> Steps[bytearray]:
        """The records that are kept, with their timestamps counted from a new horizon."""
        out = bytearray()
        for span in record_spans(kept.payload, kept.record_count):
            append_counted_from(out, kept.payload, span, header, horizon_ms)
            if self._spend(1 + (span.end - span.start) // _COPIED_BYTES_A_RECORD):
                yield _PAUSE
        return out

    # --- what the passes share

    def _read(
        self, segment: Segment, position: int, next_offset: int
    ) -> Steps[Sequence[tuple[BatchHeader, memoryview]]]:
        """Some of the batches from that position on, at least one; none is before that offset."""
        size = min(self._buffer_bytes, segment.size - position, _BATCHES_AT_ONCE * self._batch_bytes)
        within = range(next_offset, self._ends[segment.base_offset])
        batches = yield from self._aside(partial(_read_batches, segment, position, size, within), size)
        self._batch_bytes = max(size // len(batches), HEADER_BYTES)
        return batches

    def _payload(self, header: BatchHeader, batch: Buffer) -> Steps[bytes | bytearray]:
        stored = memoryview(batch)[HEADER_BYTES:]
        if not header.codec or not header.record_count:
            self._left -= len(stored) // _COPIED_BYTES_A_RECORD
            return bytes(stored)
        if len(stored) <= QUICK_STORED_BYTES_MAX:
            try:
                data = bytes(self._decompressor.decompress(header.codec, stored, QUICK_EXPANDED_BYTES_MAX))
            except DecompressedTooLarge:
                pass  # it takes its time
            else:
                self._left -= len(data) // _EXPANDED_BYTES_A_RECORD
                return data
        return (yield from self._aside(partial(decompress, header.codec, stored)))

    def _compressed(self, codec: int, payload: Buffer) -> Steps[Buffer]:
        if len(payload) > QUICK_COMPRESSED_BYTES_MAX:
            return (yield from self._aside(partial(compress, codec, payload)))
        self._left -= len(payload) // _COMPRESSED_BYTES_A_RECORD
        return compress(codec, payload)

    def _aside(self, call: Callable[[], T], io_bytes: int = 0) -> Steps[T]:
        """The result of a call that another thread makes."""
        result: T = yield Step(call, io_bytes)
        self._left = RECORDS_AT_ONCE
        return result

    def _spend(self, records: int) -> bool:
        """Whether so much has been done in this step that others should run."""
        self._left -= records
        if self._left > 0:
            return False
        self._left = RECORDS_AT_ONCE
        return True


def facts_of(
    segment: Segment, *, with_times: bool = False, with_indexes: bool = False, may_wait: bool = True
) -> SegmentFacts:
    """What a plan has to know of a segment: its times only for compaction lags, its indexes only for groups.

    Indexes may have to be read from the disk. Raises NotResident for times that are there, unless it `may_wait`.
    """
    newest_ms = first_timestamp = None
    if with_times:
        first_timestamp = segment.first_timestamp(may_wait=may_wait)  # it keeps the indexes, which tell the other, too
        newest_ms = segment.newest_ms(may_wait=may_wait)
    sizes = segment.index_sizes() if with_indexes else (0, 0)
    return SegmentFacts(segment.base_offset, segment.size, newest_ms, first_timestamp, *sizes)


def _give_up(cleaned: CleanedSegment) -> None:
    """Remove a segment that was not put in place. What the disk keeps of it, the next round or start removes."""
    try:
        cleaned.remove()
    except OSError as error:
        _logger.warning("%s: cannot be removed now: %s", cleaned.name, error)


def _read_batches(
    segment: Segment, position: int, size_bytes: int, within: range
) -> list[tuple[BatchHeader, memoryview]]:
    """The whole batches in these bytes, the first one in any case; their offsets, which no checksum covers, ascend."""
    data = memoryview(segment.read(position, size_bytes))
    if len(data) >= HEADER_BYTES and (first := BatchHeader.unpack(data)).size_bytes > len(data):
        data = memoryview(segment.read(position, first.size_bytes))
    batches = []
    start = 0
    while len(data) - start >= HEADER_BYTES:
        header = BatchHeader.unpack(data, start)
        batch = data[start : start + header.size_bytes]
        if header.magic == MAGIC and header.size_bytes >= HEADER_BYTES and len(batch) < header.size_bytes and start:
            break
        if header.magic != MAGIC or header.size_bytes < HEADER_BYTES or not is_sound(header, batch):
            raise LogDamaged(f"{segment.name}: there is no sound batch at byte {position + start}")
        if header.last_offset_delta < 0 or header.base_offset not in within or header.last_offset not in within:
            raise LogDamaged(f"{segment.name}: the offsets at byte {position + start} do not fit those around them")
        batches.append((header, batch))
        start += header.size_bytes
        within = range(header.next_offset, within.stop)
    if not batches:
        raise LogDamaged(f"{segment.name}: there is no whole batch at byte {position}")
    return batches


def _marker(header: BatchHeader, batch: Buffer) -> int | None:
    """The type of the one record of a control batch; None if it has been emptied."""
    return control_type(next(iter(RecordBatch(batch)))) if header.record_count else None
