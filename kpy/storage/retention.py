"""Which of the oldest segments have to go, by Kafka's rules (`UnifiedLog.deleteOldSegments`); decides only.

Whole segments from the oldest on, never beyond the high watermark, in three passes: those before the log start; if
cleanup.policy has `delete`, those whose loss leaves at least retention.bytes; then those whose newest record is older
than retention.ms. The active segment may go too unless it is empty: its log rolls first.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile
from typing import NamedTuple

from kpy.storage.log_config import LogConfig


class SegmentSpan(NamedTuple):
    """What retention has to know of a segment."""

    end_offset: int
    """Where the next one begins, or the end of the log."""
    size_bytes: int
    newest_ms: int | None
    """Its largest timestamp, or when it was last written if no record has one; None if that is not known."""


class Doomed(NamedTuple):
    """So many of the oldest segments, of those that are left, have to go, and why."""

    segments: int
    reason: str


def old_segments(
    spans: Sequence[SegmentSpan], config: LogConfig, *, log_start_offset: int, high_watermark: int, now_ms: int
) -> Iterator[Doomed]:
    """What has to go of a log with these segments; the last of them is the active one."""
    active = spans[-1]
    left = [span for span in spans if span.end_offset <= high_watermark and (span is not active or span.size_bytes)]
    size_bytes = sum(span.size_bytes for span in spans)
    count = _leading(left, lambda span: span is not active and span.end_offset <= log_start_offset)
    if count:
        yield Doomed(count, f"the log starts at {log_start_offset}")
    if "delete" not in config.cleanup_policy:
        return
    size_bytes -= sum(span.size_bytes for span in left[:count])
    left = left[count:]
    if config.retention_bytes >= 0:
        count = _beyond(left, size_bytes - config.retention_bytes)
        if count:
            yield Doomed(count, f"retention.bytes is {config.retention_bytes}")
        left = left[count:]
    if config.retention_ms >= 0:
        count = _leading(
            left, lambda span: span.newest_ms is not None and now_ms - span.newest_ms > config.retention_ms
        )
        if count:
            yield Doomed(count, f"retention.ms is {config.retention_ms}")


def _leading(spans: Sequence[SegmentSpan], rule: Callable[[SegmentSpan], bool]) -> int:
    return sum(1 for _ in takewhile(rule, spans))


def _beyond(spans: Sequence[SegmentSpan], surplus_bytes: int) -> int:
    """How many are whole within the surplus."""
    count = 0
    for span in spans:
        surplus_bytes -= span.size_bytes
        if surplus_bytes < 0:
            break
        count += 1
    return count
