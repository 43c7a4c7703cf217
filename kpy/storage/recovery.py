"""From a partition's directory to a sound log, in numbered passes; also after kill -9.

1. Finish or undo a swap of segments (see `kpy.storage.segment_swap`), and remove what else was left half done:
   temporary files and indexes without their log.
2. Load the segments. After a clean shutdown, and before the recovery point, they are as they were flushed: only their
   end is checked, and indexes that are missing or do not fit are made again. Otherwise every segment that reaches
   beyond the recovery point is walked batch by batch, and the log ends with the last sound one: a torn tail is cut,
   and the segments behind it are removed.
3. Leader epochs: those of the file that the log still has, and those found in the walk; all of them are found again
   if the file is lost.
4. Aborted transactions: as the index of a segment has them that was flushed. Where it is not sound, and where a
   segment was walked that has markers, they are found again by the next pass, which then begins before that segment.
5. Producers: the latest sound snapshot of the log as it is now, and every batch behind it replayed.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from kpy.protocol.crc import Buffer
from kpy.protocol.records import BatchHeader, EndTransactionMarker, InvalidRecord, RecordBatch
from kpy.storage.files import Files
from kpy.storage.leader_epochs import LeaderEpochs
from kpy.storage.log_config import LogConfig
from kpy.storage.offset_index import IndexCorrupt
from kpy.storage.partition_log import PartitionLog
from kpy.storage.producer_states import SNAPSHOT_SUFFIX, CompletedTransaction, ProducerStates, SnapshotCorrupt
from kpy.storage.segment import INDEX_SUFFIXES, LOG_SUFFIX, Segment, file_name
from kpy.storage.segment_swap import finish_swaps

_logger = logging.getLogger(__name__)

_LEFTOVER_SUFFIX: Final = ".tmp"
_HISTORY_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class LastKnown:
    """What the data directory's checkpoints say of a partition."""

    clean: bool = False
    recovery_point: int = 0
    log_start_offset: int = 0


def load_log(
    files: Files, directory: str, *, topic: str, partition: int, topic_id: UUID, config: LogConfig, known: LastKnown
) -> PartitionLog:
    """The log in that directory, whatever state it was left in."""
    finish_swaps(files, directory)
    bases, snapshots = _tidy(files, directory)
    epochs = LeaderEpochs(files, directory)
    epochs.load()
    stored = (*epochs.epochs, *epochs.start_offsets)
    walked: dict[int, bool] = {}
    segments, end_offset = _load_segments(
        files, directory, bases, epochs=epochs, interval_bytes=config.index_interval_bytes, known=known, walked=walked
    )
    if segments and end_offset < known.log_start_offset:
        _logger.warning("%s: the log ends at %d, before its start at %d", directory, end_offset, known.log_start_offset)
        for segment in segments:
            segment.remove()
        segments = []
    if not segments:
        end_offset = known.log_start_offset
        segments = [Segment.create(files, directory, end_offset, config.index_interval_bytes)]
    log_start_offset = max(known.log_start_offset, segments[0].base_offset)
    if not epochs.epochs:
        _find_epochs(segments, epochs)
    epochs.truncate_end(end_offset)
    epochs.truncate_start(log_start_offset)
    if (*epochs.epochs, *epochs.start_offsets) != stored:
        epochs.store()
    lost = _load_transactions(segments, walked)
    producers, snapshots = _load_producers(files, directory, segments, snapshots, end_offset, lost)
    return PartitionLog(
        files,
        directory,
        topic=topic,
        partition=partition,
        topic_id=topic_id,
        config=config,
        segments=segments,
        epochs=epochs,
        producers=producers,
        snapshots=snapshots,
        log_start_offset=log_start_offset,
        end_offset=end_offset,
        recovery_point=end_offset if known.clean else min(known.recovery_point, end_offset),
    )


def _tidy(files: Files, directory: str) -> tuple[list[int], list[int]]:
    """Pass 1. The base offsets of the segments, and the offsets of the snapshots."""
    names = set(files.list(directory))
    bases = sorted(int(name[: -len(LOG_SUFFIX)]) for name in names if _is_numbered(name, LOG_SUFFIX))
    snapshots = sorted(int(name[: -len(SNAPSHOT_SUFFIX)]) for name in names if _is_numbered(name, SNAPSHOT_SUFFIX))
    for name in names:
        orphan = any(
            _is_numbered(name, suffix) and f"{name[: -len(suffix)]}{LOG_SUFFIX}" not in names
            for suffix in INDEX_SUFFIXES
        )
        if orphan or name.endswith(_LEFTOVER_SUFFIX):
            files.remove(f"{directory}/{name}")
    return bases, snapshots


def _is_numbered(name: str, suffix: str) -> bool:
    return name.endswith(suffix) and name[: -len(suffix)].isdecimal()


def _load_segments(
    files: Files,
    directory: str,
    bases: list[int],
    *,
    epochs: LeaderEpochs,
    interval_bytes: int,
    known: LastKnown,
    walked: dict[int, bool],
) -> tuple[list[Segment], int]:
    """Pass 2. The segments up to the first that had to be cut, and the end offset.

    `walked` gets the base offset of each that was walked, and whether transactions end in it.
    """
    segments: list[Segment] = []
    end_offset = 0
    for index, base in enumerate(bases):
        segment = Segment(files, directory, base, interval_bytes)
        segments.append(segment)
        next_base = bases[index + 1] if index + 1 < len(bases) else None
        if known.clean or (next_base is not None and next_base <= known.recovery_point):
            end_offset = _load_flushed(segment, epochs, walked, is_last=next_base is None)
            continue
        size = segment.size
        end_offset = _recover(segment, epochs, walked)
        if segment.size < size and next_base is not None:
            _remove_behind(files, directory, bases[index + 1 :])
            break
    return segments, end_offset


def _load_flushed(segment: Segment, epochs: LeaderEpochs, walked: dict[int, bool], *, is_last: bool) -> int:
    """The end of a segment that was flushed. Only the last one is ever cut, for it is the one to append to."""
    try:
        return segment.load()
    except IndexCorrupt as reason:
        _logger.warning("%s: walking it again: %s", segment.path(LOG_SUFFIX), reason)
        return _recover(segment, epochs, walked) if is_last else segment.rebuild()


def _recover(segment: Segment, epochs: LeaderEpochs, walked: dict[int, bool]) -> int:
    """Walk a segment, and learn the epochs that its batches show (pass 3)."""
    end_offset = segment.base_offset
    has_markers = False
    for header, _batch in segment.recover():
        epochs.assign(header.leader_epoch, header.base_offset, store=False)
        has_markers |= header.is_control
        end_offset = header.next_offset
    walked[segment.base_offset] = has_markers
    return end_offset


def _find_epochs(segments: list[Segment], epochs: LeaderEpochs) -> None:
    """Pass 3, if the file was lost: every log that has batches has epochs."""
    for segment in segments:
        for _position, header in segment.headers():
            epochs.assign(header.leader_epoch, header.base_offset, store=False)


def _remove_behind(files: Files, directory: str, bases: list[int]) -> None:
    _logger.warning("%s: removing the segments behind the cut: %s", directory, bases)
    for base in bases:
        for suffix in (LOG_SUFFIX, *INDEX_SUFFIXES):
            files.remove(f"{directory}/{file_name(base, suffix)}")


def _load_transactions(segments: list[Segment], walked: Mapping[int, bool]) -> set[int]:
    """Pass 4. The base offsets of the segments whose aborted transactions have to be found again."""
    lost = set()
    for segment in segments:
        has_markers = walked.get(segment.base_offset)
        if has_markers is None:
            try:
                segment.transactions.load(segment.base_offset)
                continue
            except IndexCorrupt as reason:
                _logger.warning("%s: making it again: %s", segment.transactions.path, reason)
                has_markers = True
        segment.transactions.reset()
        if has_markers:
            lost.add(segment.base_offset)
    return lost


def _load_producers(
    files: Files, directory: str, segments: list[Segment], snapshots: list[int], end_offset: int, lost: set[int]
) -> tuple[ProducerStates, list[int]]:
    """Pass 5. The producers as of the end offset, and the snapshots that are kept: of segments, and the last one."""
    usable = [offset for offset in snapshots if offset <= end_offset]
    bases = {segment.base_offset for segment in segments}
    kept = [offset for offset in usable if offset in bases or offset == usable[-1]]
    for offset in set(snapshots) - set(kept):
        files.remove(f"{directory}/{file_name(offset, SNAPSHOT_SUFFIX)}")
    producers = ProducerStates()
    latest = min(lost, default=end_offset)
    for offset in [offset for offset in reversed(kept) if offset <= latest]:
        path = f"{directory}/{file_name(offset, SNAPSHOT_SUFFIX)}"
        try:
            producers = ProducerStates.decode(files.read(path) or b"", offset)
            break
        except SnapshotCorrupt as reason:
            _logger.warning("%s: ignoring a snapshot: %s", path, reason)
            files.remove(path)
            kept.remove(offset)
    if producers.producers:
        producers.restore_history(_headers_before(segments, producers.end_offset))
    for segment, header, batch in _batches_from(segments, producers.end_offset):
        done = replay_batch(producers, header, batch)
        if done is not None and done.aborted and segment.base_offset in lost:
            segment.transactions.append(done.as_aborted())
    producers.end_offset = end_offset
    return producers, kept


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


def _batches_from(segments: list[Segment], offset: int) -> Iterator[tuple[Segment, BatchHeader, Buffer]]:
    for index, segment in enumerate(segments):
        if index + 1 == len(segments) or segments[index + 1].base_offset > offset:
            for batch in segment.batches(offset):
                yield segment, RecordBatch(batch).header, batch


def _headers_before(segments: list[Segment], offset: int) -> Iterator[BatchHeader]:
    """The headers of the last batches before that offset, of one segment and of so many bytes at most."""
    before = [segment for segment in segments if segment.base_offset < offset]
    for segment in before[-1:]:
        end = segment.position_of(offset)
        for _position, header in segment.headers_back(segment.size if end is None else end, _HISTORY_BYTES):
            yield header
