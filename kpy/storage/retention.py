"""Which of the oldest segments have to go, by Kafka's rules (`UnifiedLog.deleteOldSegments`); decides only.

Whole segments from the oldest on, never beyond the high watermark, in three passes: those before the log start; if
cleanup.policy has `delete`, those whose loss leaves at least retention.bytes; then those whose newest record is older
than retention.ms. The active segment may go too unless it is empty: its log rolls first.
"""

from collections.abc import Callable, Iterator
from itertools import accumulate, takewhile
from operator import sub
from typing import NamedTuple

from kpy.storage.log_config import LogConfig


class SegmentSpan(NamedTuple):
    """What retention has to know of a segment."""

    end_offset: int
    """Where the next one begins, or the end of the log."""
    size_bytes: int
    newest_ms: Callable[[], int | None]
    """Its largest timestamp, or when it was last written if no record has one; None if that is not known.

    It is asked for where it decides: the indexes of a segment that nobody reads are on the disk.
    """


class Doomed(NamedTuple):
    """So many of the oldest segments, of those that are left, have to go, and why."""

    segments: int
    reason: str


def old_segments(
    span_of: Callable[[int], SegmentSpan],
    segments: int,
    config: LogConfig,
    *,
    log_start_offset: int,
    high_watermark: int,
    now_ms: int,
) -> Iterator[Doomed]:
    """What has to go of a log with so many segments, the last of which is the active one; those that stay are not seen.

    Only retention.bytes looks at all of them.
    """
    active = segments - 1

    def leading(start: int, rule: Callable[[int, SegmentSpan], bool]) -> int:
        """How many from that one on may go, and have to."""

        def goes(number: int) -> bool:
            span = span_of(number)
            may_go = span.end_offset <= high_watermark and (number != active or span.size_bytes > 0)
            return may_go and rule(number, span)

        return sum(1 for _ in takewhile(goes, range(start, segments)))

    gone = leading(0, lambda number, span: number != active and span.end_offset <= log_start_offset)
    if gone:
        yield Doomed(gone, f"the log starts at {log_start_offset}")
    if "delete" not in config.cleanup_policy:
        return
    if config.retention_bytes >= 0:
        sizes = [span_of(number).size_bytes for number in range(gone, segments)]
        left_bytes = list(accumulate(sizes, sub, initial=sum(sizes)))
        start = gone
        count = leading(start, lambda number, _: left_bytes[number - start + 1] >= config.retention_bytes)
        if count:
            yield Doomed(count, f"retention.bytes is {config.retention_bytes}")
        gone += count
    if config.retention_ms >= 0:

        def is_old(_: int, span: SegmentSpan) -> bool:
            newest_ms = span.newest_ms()
            return newest_ms is not None and now_ms - newest_ms > config.retention_ms

        count = leading(gone, is_old)
        if count:
            yield Doomed(count, f"retention.ms is {config.retention_ms}")
