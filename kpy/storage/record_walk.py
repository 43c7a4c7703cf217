"""One bounded pass over the records of a batch: is each of them whole, and what must a broker know of them all.

The walk is as strict as Kafka's `DefaultRecord.readFrom`: lengths, header counts and names, and no byte too many or too
few. It looks at neither keys, values nor header contents.
"""

from typing import NamedTuple

from kpy.protocol.crc import Buffer
from kpy.protocol.records import InvalidRecord, VarintTooLong, read_varint, read_varlong


class RecordLengthTooLong(VarintTooLong):
    """The varint of a record's length does not end: the one break of the format that Kafka has no error code for."""


class Walk(NamedTuple):
    """What the records of a batch have in common."""

    min_timestamp_delta: int
    max_timestamp_delta: int
    has_null_keys: bool
    offsets_ascend: bool
    """Whether the offset deltas are 0, 1, 2 and so on."""


def walk(data: Buffer, count: int) -> Walk:
    """Walk `count` records which must fill `data`; InvalidRecord if they do not."""
    position = 0
    end = len(data)
    low = high = 0
    has_null_keys = False
    offsets_ascend = True
    try:
        for index in range(count):
            try:
                size, start = read_varint(data, position)
            except VarintTooLong as error:
                raise RecordLengthTooLong(str(error)) from None
            timestamp_delta, position = read_varlong(data, start + 1)
            offset_delta, position = read_varint(data, position)
            key_size, position = read_varint(data, position)
            if key_size < 0:
                has_null_keys = True
            else:
                position += key_size
            value_size, position = read_varint(data, position)
            if value_size > 0:
                position += value_size
            header_count, position = read_varint(data, position)
            if header_count:
                position = _walk_headers(data, position, header_count)
            if position - start != size or position > end:
                raise InvalidRecord(f"record {index} of {size} bytes has fields of {position - start}")
            if offset_delta != index:
                offsets_ascend = False
            if index == 0:
                low = high = timestamp_delta
            elif timestamp_delta > high:
                high = timestamp_delta
            elif timestamp_delta < low:
                low = timestamp_delta
    except IndexError:
        raise InvalidRecord("the records end before their count does") from None
    if position != end:
        raise InvalidRecord("there is more in the batch than the records that it counts")
    return Walk(low, high, has_null_keys, offsets_ascend)


def _walk_headers(data: Buffer, position: int, count: int) -> int:
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
