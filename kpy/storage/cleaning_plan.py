"""Whether a log should be compacted now, what of it, and in which pieces; decides only.

The rules are those of Kafka's `LogCleanerManager.cleanableOffsets`, `LogToClean` and `Cleaner.groupSegmentsBySize`. A
log is clean up to its first dirty offset, which is where the last round ended. The active segment is never compacted,
nor is what is above the last stable offset, nor a segment with records younger than min.compaction.lag.ms and what
follows it. A log is compacted if the dirty part is more than min.cleanable.dirty.ratio of all that would be read, or
has waited for longer than max.compaction.lag.ms.
"""

from collections.abc import Sequence
from typing import NamedTuple

from kpy.storage.log_config import INT64_MAX, LogConfig
from kpy.storage.offset_index import RELATIVE_OFFSET_MAX


class SegmentFacts(NamedTuple):
    """What has to be known of a segment."""

    base_offset: int
    size_bytes: int
    newest_ms: int | None
    """Its largest timestamp, or when it was last written if no record has one."""
    first_timestamp: int | None
    """That of its first batch."""
    offset_index_bytes: int = 0
    time_index_bytes: int = 0


class CleaningPlan(NamedTuple):
    """What compacting a log would do."""

    first_dirty_offset: int
    first_uncleanable_offset: int
    """The base offset of the first segment that is left alone."""
    clean_bytes: int
    dirty_bytes: int
    """Of segments that are dirty and may be compacted."""
    is_overdue: bool
    """Whether records have waited for longer than max.compaction.lag.ms."""

    @property
    def ratio(self) -> float:
        """How much of what would be read is dirty."""
        total_bytes = self.clean_bytes + self.dirty_bytes
        return self.dirty_bytes / total_bytes if total_bytes else 0.0

    def is_due(self, config: LogConfig) -> bool:
        return (self.is_overdue and self.dirty_bytes > 0) or self.ratio > config.min_cleanable_dirty_ratio


def valid_first_dirty_offset(known: int | None, *, log_start_offset: int, end_offset: int) -> int:
    """Where the dirty part begins; the log start if nothing is known, or what is known cannot be."""
    return known if known is not None and log_start_offset <= known <= end_offset else log_start_offset


def needs_times(config: LogConfig) -> bool:
    """Whether a plan depends on times of segments: only where there is a lag, which by default there is not."""
    return config.min_compaction_lag_ms > 0 or config.max_compaction_lag_ms < INT64_MAX


def plan_cleaning(
    segments: Sequence[SegmentFacts],
    config: LogConfig,
    *,
    first_dirty_offset: int,
    last_stable_offset: int,
    now_ms: int,
) -> CleaningPlan:
    """The plan for a log of these segments, of which the last is the active one."""
    active = segments[-1].base_offset
    dirty = [] if first_dirty_offset > active else _between(segments, first_dirty_offset, active)
    bound = min(last_stable_offset, active)
    if config.min_compaction_lag_ms > 0:
        young = (
            segment.base_offset for segment in dirty if (segment.newest_ms or 0) > now_ms - config.min_compaction_lag_ms
        )
        bound = min(bound, next(young, bound))
    bound = max(bound, first_dirty_offset)
    uncleanable = active
    if bound <= active:
        uncleanable = next((segment.base_offset for segment in _between(segments, bound, active)), active)
    overdue_before_ms = now_ms - config.max_compaction_lag_ms
    first = min(first_dirty_offset, uncleanable)
    return CleaningPlan(
        first_dirty_offset=first_dirty_offset,
        first_uncleanable_offset=uncleanable,
        clean_bytes=sum(segment.size_bytes for segment in segments if segment.base_offset < first_dirty_offset),
        dirty_bytes=sum(segment.size_bytes for segment in _between(segments, first, uncleanable)),
        is_overdue=any(0 < (segment.first_timestamp or 0) < overdue_before_ms for segment in dirty),
    )


def group_sizes(segments: Sequence[SegmentFacts], config: LogConfig, first_uncleanable_offset: int) -> list[int]:
    """How many segments each become one, so that small ones do not stay small.

    The sums of logs and of indexes stay within segment.bytes and segment.index.bytes, and offsets within what an index
    can say. That a segment ends before the next one begins is a safe guess of its last offset.
    """
    sizes: list[int] = []
    first_base_offset = log_bytes = offset_index_bytes = time_index_bytes = 0
    for number, segment in enumerate(segments):
        following = segments[number + 1].base_offset if number + 1 < len(segments) else first_uncleanable_offset
        if (
            sizes
            and log_bytes + segment.size_bytes <= config.segment_bytes
            and offset_index_bytes + segment.offset_index_bytes <= config.segment_index_bytes
            and time_index_bytes + segment.time_index_bytes <= config.segment_index_bytes
            and (segment.size_bytes == 0 or following - 1 - first_base_offset <= RELATIVE_OFFSET_MAX)
        ):
            sizes[-1] += 1
        else:
            sizes.append(1)
            first_base_offset = segment.base_offset
            log_bytes = offset_index_bytes = time_index_bytes = 0
        log_bytes += segment.size_bytes
        offset_index_bytes += segment.offset_index_bytes
        time_index_bytes += segment.time_index_bytes
    return sizes


def _between(segments: Sequence[SegmentFacts], start: int, end: int) -> list[SegmentFacts]:
    """From the segment that holds `start`, or would, to the one before the offset `end` (`LogSegments.values`)."""
    if start >= end:
        return []
    first = max((segment.base_offset for segment in segments if segment.base_offset <= start), default=0)
    return [segment for segment in segments if first <= segment.base_offset < end]
