"""From a partition's directory to a sound log, in numbered passes; also after kill -9 and after a power cut.

The recovery point divides two rules; after a clean shutdown it is the log's end. What lies before it was flushed, and
nothing of it is cut: bytes that turn out damaged are quarantined (`kpy.storage.quarantine`), and the log does not end
before it. From it on the log is a prefix of what was appended: it is cut at the first batch that is not sound, even if
sound ones follow, for what is not flushed reaches the disk in any order. If the recovery point cannot be known, for its
checkpoint is damaged, no sound batch is cut off.

1. Finish or undo a swap of segments (`kpy.storage.segment_swap`), and remove what else was left half done: temporary
   files and indexes without their log.
2. Load the segments. Of those that lie before the recovery point nothing is read; they are verified when they are.
   After a clean shutdown the last one's end is looked at. Otherwise every segment that reaches beyond the recovery
   point is walked batch by batch, its indexes are derived again, and segments behind a cut or a gap are removed. A last
   segment that cannot be appended to, for its end is damaged, is followed by a new one.
3. Leader epochs: those of the file that the log still has, and those found in the walk; all of them are found again
   if the file is lost.
4. Aborted transactions: as the index of a segment has them that was flushed. Where it is not sound, and where a
   segment was walked that has markers, they are found again by the next pass, which then begins before that segment.
5. Producers: the latest sound snapshot of the log as it is now, and every batch behind it replayed.

What was cut and removed is so on the disk, too, before anything is appended: it must not come back after a power cut.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from kpy.protocol.crc import Buffer
from kpy.protocol.records import BatchHeader, EndTransactionMarker, InvalidRecord, RecordBatch
from kpy.storage.files import Files
from kpy.storage.leader_epochs import LeaderEpochs
from kpy.storage.log_config import INT64_MAX, LogConfig
from kpy.storage.offset_index import IndexCorrupt
from kpy.storage.partition_log import PartitionLog
from kpy.storage.producer_states import SNAPSHOT_SUFFIX, CompletedTransaction, ProducerStates, SnapshotCorrupt
from kpy.storage.restart_points import secure
from kpy.storage.segment import Segment
from kpy.storage.segment_files import (
    INDEX_SUFFIXES,
    LOG_SUFFIX,
    TRANSACTION_INDEX_SUFFIX,
    file_name,
    remove_segment,
)
from kpy.storage.segment_swap import finish_swaps
from kpy.storage.segments import Segments
from kpy.storage.snapshots import Snapshots

_logger = logging.getLogger(__name__)

_LEFTOVER_SUFFIX: Final = ".tmp"
_HISTORY_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class LastKnown:
    """What the data directory's checkpoints say of a partition."""

    clean: bool = False
    recovery_point: int | None = 0
    """None if it cannot be known."""
    log_start_offset: int = 0
    sparse_before: int = 0
    """Up to where the log was compacted, so that offsets are missing which nobody has lost."""


def load_log(
    files: Files, directory: str, *, topic: str, partition: int, topic_id: UUID, config: LogConfig, known: LastKnown
) -> PartitionLog:
    """The log in that directory, whatever state it was left in."""
    finish_swaps(files, directory)
    loading = _Loading(files, directory, config.index_interval_bytes, known)
    bases, snapshots = loading.tidy()
    epochs = LeaderEpochs(files, directory)
    epochs.load()
    stored = (*epochs.epochs, *epochs.start_offsets)
    are_lost = not epochs.epochs
    segments, end_offset = loading.load_segments(bases, epochs)
    log_start_offset = max(known.log_start_offset, segments.first_base_offset)
    if are_lost and log_start_offset < end_offset:
        epochs.clear()
        _find_epochs(segments, end_offset, epochs)
    epochs.truncate_start(log_start_offset)
    epochs.truncate_end(end_offset)
    if (*epochs.epochs, *epochs.start_offsets) != stored:
        epochs.store()
    loading.load_transactions(segments)
    recovery_point = end_offset if known.clean else min(known.recovery_point or 0, end_offset)
    producers = loading.load_producers(segments, snapshots, recovery_point, end_offset)
    if loading.changed:
        files.sync_directory(directory)
    log = PartitionLog(
        files,
        directory,
        topic=topic,
        partition=partition,
        topic_id=topic_id,
        config=config,
        segments=segments,
        epochs=epochs,
        producers=producers,
        log_start_offset=log_start_offset,
        end_offset=end_offset,
        recovery_point=recovery_point,
        sparse_before=known.sparse_before,
    )
    if known.recovery_point is None and not known.clean:
        log.flush()  # now it can be known
        secure(log)
    return log


class _Loading:
    """The passes over one directory. `changed`: names in it are not what they were."""

    def __init__(self, files: Files, directory: str, interval_bytes: int, known: LastKnown) -> None:
        self._files = files
        self._directory = directory
        self._interval_bytes = interval_bytes
        self._known = known
        self._recovery_point = known.recovery_point
        self._walked: dict[int, bool] = {}
        """The base offset of each segment that was walked, and whether transactions end in it."""
        self._have_transactions: set[str] = set()
        """The names of the files of aborted transactions."""
        self._lost_transactions: set[int] = set()
        """The base offsets of the segments whose aborted transactions have to be found again."""
        self.changed = False

    @property
    def _keep_before(self) -> int:
        return INT64_MAX if self._recovery_point is None else self._recovery_point

    def tidy(self) -> tuple[list[int], list[int]]:
        """Pass 1. The base offsets of the segments, and the offsets of the snapshots.

        Segments before the log's start were removed, but their removal was not on the disk yet. A log that was closed
        properly left a snapshot of its end.
        """
        names = set(self._files.list(self._directory))
        self._have_transactions = {name for name in names if name.endswith(TRANSACTION_INDEX_SUFFIX)}
        bases = sorted(int(name[: -len(LOG_SUFFIX)]) for name in names if _is_numbered(name, LOG_SUFFIX))
        snapshots = sorted(int(name[: -len(SNAPSHOT_SUFFIX)]) for name in names if _is_numbered(name, SNAPSHOT_SUFFIX))
        for name in names:
            orphan = any(
                _is_numbered(name, suffix) and f"{name[: -len(suffix)]}{LOG_SUFFIX}" not in names
                for suffix in INDEX_SUFFIXES
            )
            if orphan or name.endswith(_LEFTOVER_SUFFIX):
                self._remove(name)
        while len(bases) > 1 and bases[1] <= self._known.log_start_offset:
            self._remove_segments(bases[:1])
            del bases[0]
        if self._known.clean and self._recovery_point is None and snapshots:
            self._recovery_point = snapshots[-1]
        return bases, snapshots

    def load_segments(self, bases: list[int], epochs: LeaderEpochs) -> tuple[Segments, int]:
        """Pass 2. The segments, of which the last can be appended to, and the end offset."""
        known = self._known
        segments: list[Segment] = []
        end_offset = 0
        for index, base in enumerate(bases):
            is_hole = segments and max(end_offset, self._keep_before, known.sparse_before) < base
            if is_hole and not self._looks_compacted(bases):
                _logger.warning("%s: nothing is there of offset %d to %d", self._directory, end_offset, base)
                self._remove_segments(bases[index:])
                break
            segment = Segment(self._files, self._directory, base, self._interval_bytes)
            segments.append(segment)
            next_base = bases[index + 1] if index + 1 < len(bases) else None
            if next_base is not None and (known.clean or next_base <= self._keep_before):
                end_offset = next_base
                continue
            size = segment.size
            end_offset = self._end_of(segment, next_base, epochs)
            if next_base is not None:
                segment.seal()
            if next_base is not None and segment.size < size:
                self._remove_segments(bases[index + 1 :])
                break
        return self._with_place_to_append(segments, end_offset)

    def _looks_compacted(self, bases: list[int]) -> bool:
        """Whether one of the segments has a batch that only compaction leaves.

        Asked before a hole costs the segments behind it: a log from elsewhere may have no checkpoint to tell.
        """
        return any(
            Segment(self._files, self._directory, base, self._interval_bytes).looks_compacted() for base in bases
        )

    def _end_of(self, segment: Segment, next_base: int | None, epochs: LeaderEpochs) -> int:
        """The end of a segment that may reach beyond the recovery point: quickly after a clean shutdown."""
        if self._known.clean:
            try:
                return segment.load()
            except IndexCorrupt as reason:
                _logger.warning("%s: walking all of it: %s", segment.path(LOG_SUFFIX), reason)
        end_offset = segment.base_offset
        has_markers = False
        for place in segment.recover(
            keep_before=self._keep_before,
            next_segment_offset=next_base,
            may_skip_offsets=segment.base_offset < self._known.sparse_before,
        ):
            epochs.assign(place.header.leader_epoch, place.header.base_offset, store=False)  # pass 3
            has_markers |= place.header.is_control
            end_offset = place.header.next_offset
        self._walked[segment.base_offset] = has_markers
        return end_offset

    def _with_place_to_append(self, segments: list[Segment], found_end: int) -> tuple[Segments, int]:
        """The log ends no earlier than the recovery point, and what is behind it is in a segment without damage."""
        start = self._known.log_start_offset
        end_offset = max(found_end, self._recovery_point or 0)
        if end_offset < start:
            if segments:
                _logger.warning("%s: the log ends at %d, before its start at %d", self._directory, end_offset, start)
            self._remove_segments([segment.base_offset for segment in segments])
            segments = []
            end_offset = start
        if segments and end_offset > found_end:
            segments[-1].seal()
            segments[-1].miss(found_end, end_offset)
        if not segments or end_offset > found_end:
            segments.append(Segment.create(self._files, self._directory, end_offset, self._interval_bytes))
            self.changed = True
        snapshots = Snapshots(self._files, self._directory, ())
        return Segments(self._files, self._directory, segments, snapshots), end_offset

    def load_transactions(self, segments: Segments) -> None:
        """Pass 4. Find out which are lost."""
        for segment in segments:
            has_markers = self._walked.get(segment.base_offset)
            if has_markers is None:
                if file_name(segment.base_offset, TRANSACTION_INDEX_SUFFIX) not in self._have_transactions:
                    continue
                try:
                    segment.transactions.load(segment.base_offset)
                    continue
                except IndexCorrupt as reason:
                    _logger.warning("%s: making it again: %s", segment.transactions.path, reason)
                    has_markers = True
            segment.transactions.reset()
            if has_markers:
                self._lost_transactions.add(segment.base_offset)

    def load_producers(
        self, segments: Segments, snapshots: list[int], recovery_point: int, end_offset: int
    ) -> ProducerStates:
        """Pass 5. The producers as of the end offset.

        Kept are the snapshots of segments' bases, the last one, and the last up to the recovery point, for a later one
        may not be on the disk. One of before the first segment tells nothing of what was between.
        """
        usable = [offset for offset in snapshots if segments.first_base_offset <= offset <= end_offset]
        needed = {*segments.base_offsets, *usable[-1:], *[each for each in usable if each <= recovery_point][-1:]}
        kept = [offset for offset in usable if offset in needed]
        for offset in set(snapshots) - set(kept):
            self._remove(file_name(offset, SNAPSHOT_SUFFIX), is_lasting=offset > end_offset)
        producers = self._newest(kept, end_offset)
        latest = min(self._lost_transactions, default=end_offset)
        if latest < producers.end_offset:  # the snapshot knows the producers better than the log, and no transactions
            self._replay(segments, self._newest(kept, latest), producers.end_offset, end_offset)
        if producers.producers:
            producers.restore_history(_headers_before(segments, producers.end_offset))
        self._replay(segments, producers, end_offset, end_offset)
        producers.end_offset = end_offset
        synced_before = end_offset + 1 if self._known.clean else recovery_point + 1
        segments.snapshots = Snapshots(
            self._files, self._directory, kept, restart_point=recovery_point, synced_before=synced_before
        )
        return producers

    def _newest(self, snapshots: list[int], up_to: int) -> ProducerStates:
        """The producers in the newest sound snapshot up to that offset; those that are not sound go."""
        for offset in [offset for offset in reversed(snapshots) if offset <= up_to]:
            name = file_name(offset, SNAPSHOT_SUFFIX)
            try:
                return ProducerStates.decode(self._files.read(f"{self._directory}/{name}") or b"", offset)
            except SnapshotCorrupt as reason:
                _logger.warning("%s/%s: ignoring a snapshot: %s", self._directory, name, reason)
                self._remove(name)
                snapshots.remove(offset)
        return ProducerStates()

    def _replay(self, segments: Segments, producers: ProducerStates, up_to: int, end_offset: int) -> None:
        """Have the producers learn from the batches behind them, and the indexes the transactions that they lost."""
        for segment, header, batch in _batches_between(segments, producers.end_offset, up_to, end_offset):
            done = replay_batch(producers, header, batch)
            if done is not None and done.aborted and segment.base_offset in self._lost_transactions:
                segment.transactions.append(done.as_aborted())

    def _remove_segments(self, bases: list[int]) -> None:
        """The newest first, and each for good: what a power cut leaves of them has no hole that it had not before."""
        for base in reversed(bases):
            _logger.warning("%s: removing the segment at %d", self._directory, base)
            remove_segment(self._files, self._directory, base)
            self._files.sync_directory(self._directory)

    def _remove(self, name: str, *, is_lasting: bool = True) -> None:
        """`is_lasting`: it may not be there again after a power cut."""
        self._files.remove(f"{self._directory}/{name}")
        self.changed |= is_lasting


def _is_numbered(name: str, suffix: str) -> bool:
    return name.endswith(suffix) and name[: -len(suffix)].isdecimal()


def _find_epochs(segments: Segments, end_offset: int, epochs: LeaderEpochs) -> None:
    """Pass 3, if the file was lost: every log that has batches has epochs."""
    for segment, segment_end in segments.with_ends(0, end_offset):
        _verify(segment, segment_end)
        for _position, header in segment.headers():
            epochs.assign(header.leader_epoch, header.base_offset, store=False)


def replay_batch(producers: ProducerStates, header: BatchHeader, batch: Buffer) -> CompletedTransaction | None:
    """Learn from a batch of the log what its append taught."""
    if header.producer_id < 0:
        return None
    if not header.is_control:
        producers.appended(header, header.base_offset, header.max_timestamp)
        return None
    try:
        marker = EndTransactionMarker.parse(next(iter(RecordBatch(batch))))
    except (InvalidRecord, StopIteration):  # a control batch of another kind, or one that was cleaned
        return None
    return producers.transaction_ended(header, marker, offset=header.base_offset, timestamp=header.max_timestamp)


def _batches_between(
    segments: Segments, offset: int, up_to: int, end_offset: int
) -> Iterator[tuple[Segment, BatchHeader, Buffer]]:
    for segment, segment_end in segments.with_ends(offset, end_offset):
        if segment_end > offset and segment.base_offset < up_to:
            _verify(segment, segment_end)
            for batch in segment.batches(offset):
                header = RecordBatch(batch).header
                if header.base_offset >= up_to:
                    return
                yield segment, header, batch


def _verify(segment: Segment, segment_end: int) -> None:
    """Have all batches of a segment verified, but not yet what may be missing at its end: that takes its config."""
    if not segment.is_verified(0, segment.size):
        doubt = segment.doubt(0, None, next_segment_offset=segment_end, may_skip_offsets=True)
        segment.settle(doubt.resolve()._replace(is_end_known=False))


def _headers_before(segments: Segments, offset: int) -> Iterator[BatchHeader]:
    """The headers of the last batches before that offset, of one segment and of so many bytes at most."""
    before = [segment for segment in segments if segment.base_offset < offset]
    for segment in before[-1:]:
        end = segment.position_of(offset)
        for _position, header in segment.headers_back(segment.size if end is None else end, _HISTORY_BYTES):
            yield header
