"""Finding records of a log by their timestamps, as ListOffsets asks for them."""

from collections.abc import Iterable
from typing import NamedTuple

from kpy.protocol.records import NO_TIMESTAMP, RecordBatch
from kpy.storage.segment import Segment


class TimestampOffset(NamedTuple):
    """A record's timestamp and place."""

    timestamp: int
    offset: int
    leader_epoch: int


def first_from(segments: Iterable[Segment], timestamp: int, start_offset: int) -> TimestampOffset | None:
    """The first record at or behind that offset whose timestamp is at least that."""
    for segment in segments:
        for place in segment.reaching(timestamp, start_offset):
            for record in RecordBatch(segment.batch_at(*place)):
                if record.offset >= start_offset and record.timestamp is not None and record.timestamp >= timestamp:
                    return TimestampOffset(record.timestamp, record.offset, place[1].leader_epoch)
    return None


def first_of_the_latest(segments: Iterable[Segment]) -> TimestampOffset | None:
    """The first record that has the largest timestamp of all; None if no record has one."""
    segment = max(segments, key=lambda segment: segment.max_timestamp)  # the first of equal ones
    place = segment.locate(segment.max_timestamp_offset) if segment.max_timestamp != NO_TIMESTAMP else None
    if place is None:
        return None
    for record in RecordBatch(segment.batch_at(*place)):
        if record.timestamp == segment.max_timestamp:
            return TimestampOffset(segment.max_timestamp, record.offset, place[1].leader_epoch)
    return None
