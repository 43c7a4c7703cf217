"""Runs of records of one layout, checked all at once: what makes walking the batches of a busy producer cheap.

A producer's records are often alike: of one size, with keys, values and headers of the same lengths. Then the bytes
that frame them (sizes and counts) repeat at a fixed distance, and each of them is checked for the whole run as one
column, `data[at::distance]`, at the speed of C. Offset deltas are compared with the columns that they must be.
Timestamp deltas may differ as long as they take the same number of bytes.

Every record of a run is framed by the same bytes as its first, which was read in full: so it passes the same checks.
"""

import sys
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from kpy.protocol.records import InvalidRecord, read_varint, read_varlong

SHORTEST_RUN: Final = 16
"""Below this many records, reading them one by one is as quick."""
_HEADERS_MAX: Final = 8

# Varints of the offset deltas 0 to 8191, byte by byte. Beyond, two bytes repeat and a third counts the rounds.
_DELTA_ONE_BYTE: Final = bytes(range(0, 0x80, 2))
_DELTA_FIRST: Final = bytes(range(0x80, 0x100, 2)) * 128
_DELTA_LAST_OF_TWO: Final = b"".join(bytes([high]) * 64 for high in range(128))
_DELTA_SECOND_OF_THREE: Final = b"".join(bytes([high | 0x80]) * 64 for high in range(128))
_DELTA_ROUND: Final = len(_DELTA_FIRST)
_DELTA_ROUNDS_MAX: Final = 1 << 7

_TIMESTAMP_WORDS: Final[dict[int, tuple[int, Literal["B", "H", "I", "Q"]]]] = {
    1: (1, "B"),
    2: (2, "H"),
    3: (4, "I"),
    4: (4, "I"),
    5: (8, "Q"),
    6: (8, "Q"),
}
"""By the length of a timestamp delta: bytes and format of the integer that holds it."""


class Run(NamedTuple):
    """`record_count` records from the first on, which end at `end`."""

    record_count: int
    end: int
    min_timestamp_delta: int
    max_timestamp_delta: int
    has_null_keys: bool


class _Layout(NamedTuple):
    """The first record of a run: where its bytes are, and which of them must be the same in all others."""

    size_bytes: int
    timestamp: range
    offset: range
    fixed: Sequence[int]
    has_null_key: bool


def match_run(data: bytes | memoryview, position: int, index: int, count: int) -> Run | None:
    """The run that begins with record `index` at `position`, in a batch of `count`; None if there is none."""
    try:
        layout = _read_layout(data, position)
    except (IndexError, InvalidRecord):
        return None
    if layout is None:
        return None
    distance = layout.size_bytes
    offsets = _offset_columns(index, len(layout.offset))
    length = min(count - index, (len(data) - position) // distance, len(offsets[0]) if offsets else 0)
    for at in layout.fixed:
        if length < SHORTEST_RUN:
            return None
        column = _column(data, at, distance, length)
        length -= len(column.lstrip(column[:1]))
    if length < SHORTEST_RUN:
        return None
    for at, expected in zip(layout.offset, offsets, strict=True):
        if _column(data, at, distance, length) != expected[:length]:
            return None
    timestamps = _timestamp_deltas([_column(data, at, distance, length) for at in layout.timestamp])
    if not timestamps:
        return None
    return Run(length, position + length * distance, min(timestamps), max(timestamps), layout.has_null_key)


def _column(data: bytes | memoryview, at: int, distance: int, length: int) -> bytes:
    return bytes(data[at : at + (length - 1) * distance + 1 : distance])


def _read_layout(data: bytes | memoryview, position: int) -> _Layout | None:
    """None for a record that is not sound, or of which the next one is certainly different."""
    size, start = read_varint(data, position)
    end = start + size
    if size < 0 or data[position:start] != data[end : end + start - position]:
        return None
    fixed = list(range(position, start))
    _, after_timestamp = read_varlong(data, start + 1)
    _, after_offset = read_varint(data, after_timestamp)
    key_size, after = _sized(data, after_offset, fixed)
    _, after = _sized(data, after, fixed)
    header_count, after_count = read_varint(data, after)
    if not 0 <= header_count <= _HEADERS_MAX:
        return None
    fixed += range(after, after_count)
    after = after_count
    for _ in range(header_count):
        name_size, after = _sized(data, after, fixed)
        if name_size < 0:
            return None
        _, after = _sized(data, after, fixed)
    if after != end:
        return None
    timestamp, offset = range(start + 1, after_timestamp), range(after_timestamp, after_offset)
    return _Layout(end - position, timestamp, offset, fixed, key_size < 0)


def _sized(data: bytes | memoryview, position: int, fixed: list[int]) -> tuple[int, int]:
    """The size at `position` and the end of what has that size."""
    size, after = read_varint(data, position)
    fixed += range(position, after)
    return size, after + max(size, 0)


def _offset_columns(index: int, width: int) -> list[bytes]:
    """The bytes of the offset deltas from `index` on, as far as they are of one length; none if it is not `width`."""
    round_, within = divmod(index, _DELTA_ROUND)
    if index < len(_DELTA_ONE_BYTE):
        columns = [_DELTA_ONE_BYTE[index:]]
    elif round_ == 0:
        columns = [_DELTA_FIRST[within:], _DELTA_LAST_OF_TWO[within:]]
    elif round_ < _DELTA_ROUNDS_MAX:
        third = bytes([round_]) * (_DELTA_ROUND - within)
        columns = [_DELTA_FIRST[within:], _DELTA_SECOND_OF_THREE[within:], third]
    else:
        return []
    return columns if len(columns) == width else []


def _timestamp_deltas(columns: list[bytes]) -> set[int]:
    """The different values of the varints in these columns; empty if they are not all of that length."""
    width = len(columns)
    if width not in _TIMESTAMP_WORDS:
        return set()
    word_bytes, word_format = _TIMESTAMP_WORDS[width]
    words = bytearray(word_bytes * len(columns[0]))
    for at, column in enumerate(columns):
        words[at::word_bytes] = column
    deltas = set()
    for word in set(memoryview(words).cast(word_format)):
        delta, end = read_varlong(word.to_bytes(word_bytes, sys.byteorder) + b"\0", 0)
        if end != width:
            return set()
        deltas.add(delta)
    return deltas
