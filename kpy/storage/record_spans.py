"""Where the records of a batch lie, with what compaction asks of each: its key, and whether it has a value.

Values and headers are passed over, for what is kept of a record is copied as it is. The bytes have been checked when
they were appended; those that do not parse raise InvalidRecord.
"""

from collections.abc import Iterator
from typing import NamedTuple

from kpy.protocol.records import InvalidRecord, read_varint, read_varlong, write_varint


class RecordSpan(NamedTuple):
    """One record, from `start` to `end`."""

    start: int
    attributes: int
    """Where its attributes are: behind its length."""
    offset_delta_start: int
    """Where its offset delta is: behind its timestamp delta."""
    end: int
    timestamp_delta: int
    offset_delta: int
    key: bytes | None
    has_value: bool


def record_spans(data: bytes | bytearray, count: int) -> Iterator[RecordSpan]:
    """The records in the payload of a batch that has so many."""
    start = 0
    try:
        for _ in range(count):
            size, attributes = read_varint(data, start)
            end = attributes + size
            timestamp_delta, offset_delta_start = read_varlong(data, attributes + 1)
            offset_delta, position = read_varint(data, offset_delta_start)
            key_size, position = read_varint(data, position)
            key = None
            if key_size >= 0:
                key = bytes(data[position : position + key_size])
                position += key_size
            value_size = read_varint(data, position)[0]
            if position >= end or end > len(data):
                raise InvalidRecord(f"a record of {size} bytes does not hold its fields")
            yield RecordSpan(
                start, attributes, offset_delta_start, end, timestamp_delta, offset_delta, key, value_size >= 0
            )
            start = end
    except IndexError:
        raise InvalidRecord("the records end before their count does") from None
    if start != len(data):
        raise InvalidRecord("there is more in the batch than the records that it counts")


def write_with_timestamp_delta(out: bytearray, data: bytes | bytearray, span: RecordSpan, timestamp_delta: int) -> None:
    """Append a record as it is, but for its timestamp delta."""
    body = bytearray(data[span.attributes : span.attributes + 1])
    write_varint(body, timestamp_delta)
    body += data[span.offset_delta_start : span.end]
    write_varint(out, len(body))
    out += body
