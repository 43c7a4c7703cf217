import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpy.storage.offset_index import IndexCorrupt
from kpy.storage.time_index import TimeIndex


def index_of(*entries: tuple[int, int]) -> TimeIndex:
    index = TimeIndex()
    for timestamp, offset in entries:
        index.maybe_append(timestamp, offset)
    return index


def test_format() -> None:
    """An entry is a big-endian int64 and int32, timestamp and offset; a timestamp that is no news adds none."""
    index = index_of((-1, 0), (1000, 5), (1000, 6), (900, 7), (1001, 8))
    assert index.encode() == struct.pack(">qi", 1000, 5) + struct.pack(">qi", 1001, 8)
    assert len(index) == 2


@given(
    entries=st.lists(st.tuples(st.integers(0, 1 << 41), st.integers(1, 1 << 30)), max_size=20),
    wanted=st.integers(-1, 1 << 41),
)
def test_floor(entries: list[tuple[int, int]], wanted: int) -> None:
    """Before the floor every timestamp is smaller, as a plain search finds it."""
    ascending = list(zip(sorted({entry[0] for entry in entries}), sorted(entry[1] for entry in entries), strict=False))
    index = index_of(*ascending)
    assert index.floor(wanted) == max((entry for entry in ascending if entry[0] <= wanted), default=None)
    read = TimeIndex.decode(index.encode())
    assert (read.timestamps, read.offsets) == (index.timestamps, index.offsets)


@pytest.mark.parametrize(
    "data",
    [b"12345678901", struct.pack(">qi", 5, 1) * 2, struct.pack(">qiqi", 5, 9, 6, 8)[:24], struct.pack(">qi", 1, -1)],
)
def test_corrupt(data: bytes) -> None:
    """Entries that do not ascend are not an index."""
    with pytest.raises(IndexCorrupt):
        TimeIndex.decode(data)
