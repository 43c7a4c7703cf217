"""One bounded pass over the records of a batch: is each of them whole, and what must a broker know of them all.

The walk is as strict as Kafka's `DefaultRecord.readFrom`: lengths, header counts and names, and no byte too many or too
few. It looks at neither keys, values nor header contents. Records that are alike are checked a run at a time.
"""

import sys
from typing import Final, NamedTuple

from kpy.protocol.crc import Buffer
from kpy.protocol.records import InvalidRecord, VarintTooLong, read_varint, read_varlong
from kpy.storage.log_config import INT64_MAX
from kpy.storage.record_runs import SHORTEST_RUN, Run, match_run

_BETWEEN_ATTEMPTS_MAX: Final = 256
"""Records read one by one, at most, before a run is looked for again."""
_COPIED_RECORD_BYTES_MAX: Final = 2048
"""Up to this mean size of a record, reading from a copy of the batch is quicker than reading from a view of it."""
_COPIED_BYTES_MAX: Final = 8 * 1024 * 1024
"""What is copied in some milliseconds: nobody else runs meanwhile."""
_INT64_MIN: Final = -(1 << 63)


class RecordLengthTooLong(VarintTooLong):
    """The varint of a record's length does not end: the one break of the format that Kafka has no error code for."""


class TooManyUnlike(Exception):
    """Walking the records takes longer than the caller allows."""


class Walk(NamedTuple):
    """What the records of a batch have in common."""

    min_timestamp_delta: int
    max_timestamp_delta: int
    has_null_keys: bool
    offsets_ascend: bool
    """Whether the offset deltas are 0, 1, 2 and so on."""


def walk(data: Buffer, count: int, *, unlike_max: int = sys.maxsize) -> Walk:
    """Walk `count` records which must fill `data`; InvalidRecord if they do not.

    TooManyUnlike if it is, or seems to be, more work than reading `unlike_max` of them one by one.
    """
    left = unlike_max
    may_copy = len(data) <= min(count * _COPIED_RECORD_BYTES_MAX, _COPIED_BYTES_MAX)
    view = bytes(data) if may_copy else memoryview(data)
    walker = _Walker(view)
    index = position = 0
    one_by_one = SHORTEST_RUN
    while index < count:
        if left < 0:
            raise TooManyUnlike
        run = match_run(view, position, index, count) if count - index >= SHORTEST_RUN else None
        if run is not None:
            walker.add_run(run)
            index, position = index + run.record_count, run.end
            one_by_one = SHORTEST_RUN
            left -= SHORTEST_RUN
        else:
            until = min(count, index + one_by_one)
            position = walker.read(position, index, until)
            left -= until - index
            index = until
            if one_by_one == _BETWEEN_ATTEMPTS_MAX and count - index > left:
                raise TooManyUnlike
            one_by_one = min(2 * one_by_one, _BETWEEN_ATTEMPTS_MAX)
    if position != len(view):
        raise InvalidRecord("there is more in the batch than the records that it counts")
    return walker.result()


class _Walker:
    """What is known of the records walked so far."""

    __slots__ = ("data", "has_null_keys", "high", "low", "offsets_ascend")

    def __init__(self, data: bytes | memoryview) -> None:
        self.data = data
        self.low = INT64_MAX
        self.high = _INT64_MIN
        self.has_null_keys = False
        self.offsets_ascend = True

    def result(self) -> Walk:
        low, high = (self.low, self.high) if self.low <= self.high else (0, 0)
        return Walk(low, high, self.has_null_keys, self.offsets_ascend)

    def add_run(self, run: Run) -> None:
        self.low = min(self.low, run.min_timestamp_delta)
        self.high = max(self.high, run.max_timestamp_delta)
        self.has_null_keys |= run.has_null_keys

    def read(self, position: int, index: int, until: int) -> int:  # noqa: C901, PLR0912 - calls would double its cost
        """The records from `index` to `until`, of which the first is at `position`; returns where they end.

        This is the hot loop for records that differ in size: varints of one byte are read in place, and so are those
        of two bytes where they are common.
        """
        data, end, low, high = self.data, len(self.data), self.low, self.high
        try:
            for expected_delta in range(index, until):
                size = data[position]
                if size < 0x80:
                    start, size = position + 1, size >> 1 ^ -(size & 1)
                elif (more := data[position + 1]) < 0x80:
                    start, size = position + 2, (size & 0x7F | more << 7) >> 1 ^ -(size & 1)
                else:
                    size, start = _read_record_size(data, position)
                timestamp_delta = data[start + 1]
                if timestamp_delta < 0x80:
                    position, timestamp_delta = start + 2, timestamp_delta >> 1 ^ -(timestamp_delta & 1)
                else:
                    timestamp_delta, position = read_varlong(data, start + 1)
                if not low <= timestamp_delta <= high:
                    low, high = min(low, timestamp_delta), max(high, timestamp_delta)
                offset_delta = data[position]
                if offset_delta < 0x80:
                    position, offset_delta = position + 1, offset_delta >> 1 ^ -(offset_delta & 1)
                elif (more := data[position + 1]) < 0x80:
                    position, offset_delta = position + 2, (offset_delta & 0x7F | more << 7) >> 1 ^ -(offset_delta & 1)
                else:
                    offset_delta, position = read_varint(data, position)
                if offset_delta != expected_delta:
                    self.offsets_ascend = False
                key_size = data[position]
                if key_size < 0x80:
                    position, key_size = position + 1, key_size >> 1 ^ -(key_size & 1)
                else:
                    key_size, position = read_varint(data, position)
                if key_size > 0:
                    position += key_size
                elif key_size < 0:
                    self.has_null_keys = True
                value_size = data[position]
                if value_size < 0x80:
                    position, value_size = position + 1, value_size >> 1 ^ -(value_size & 1)
                elif (more := data[position + 1]) < 0x80:
                    position, value_size = position + 2, (value_size & 0x7F | more << 7) >> 1 ^ -(value_size & 1)
                else:
                    value_size, position = read_varint(data, position)
                if value_size > 0:
                    position += value_size
                position = position + 1 if data[position] == 0 else _skip_headers(data, position)
                if position - start != size or position > end:
                    raise InvalidRecord(f"a record of {size} bytes has fields of {position - start}")
        except IndexError:
            raise InvalidRecord("the records end before their count does") from None
        self.low, self.high = low, high
        return position


def _read_record_size(data: bytes | memoryview, position: int) -> tuple[int, int]:
    try:
        return read_varint(data, position)
    except VarintTooLong as error:
        raise RecordLengthTooLong(str(error)) from None


def _skip_headers(data: bytes | memoryview, position: int) -> int:
    count, position = read_varint(data, position)
    if not 0 <= count <= len(data) - position:
        raise InvalidRecord(f"a record cannot have {count} headers")
    for _ in range(count):
        size, position = read_varint(data, position)
        if size < 0:
            raise InvalidRecord("a header has no name")
        position += size
        size, position = read_varint(data, position)
        if size > 0:
            position += size
    return position
