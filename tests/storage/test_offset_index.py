import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpy.storage.offset_index import IndexCorrupt, OffsetIndex

ascending = st.lists(st.integers(0, (1 << 31) - 1), unique=True, max_size=30).map(sorted)


def index_of(*entries: tuple[int, int]) -> OffsetIndex:
    index = OffsetIndex()
    for offset, position in entries:
        index.append(offset, position)
    return index


def test_format() -> None:
    """An entry is two big-endian int32, offset and position."""
    index = index_of((5, 100), (9, 70_000))
    assert index.encode() == struct.pack(">iiii", 5, 100, 9, 70_000)
    assert OffsetIndex().encode() == b""


@given(offsets=ascending, wanted=st.integers(0, (1 << 31) - 1))
def test_floor(offsets: list[int], wanted: int) -> None:
    """The floor is the entry of the last batch that ends at or before the offset, as a plain search finds it."""
    index = index_of(*((offset, 10 * number + 1) for number, offset in enumerate(offsets)))
    expected = max(((offset, 10 * n + 1) for n, offset in enumerate(offsets) if offset <= wanted), default=None)
    assert index.floor(wanted) == expected


@given(offsets=ascending)
def test_round_trip(offsets: list[int]) -> None:
    """What was written is read."""
    index = index_of(*((offset, number + 1) for number, offset in enumerate(offsets)))
    read = OffsetIndex.decode(index.encode(), log_bytes=1000)
    assert list(read.offsets) == offsets
    assert read.positions == index.positions
    assert len(read) == len(offsets)


@pytest.mark.parametrize(
    "data",
    [
        b"1234567",
        struct.pack(">iiii", 5, 10, 5, 20),
        struct.pack(">iiii", 5, 20, 6, 20),
        struct.pack(">ii", 5, 100),
        struct.pack(">ii", -1, 10),
    ],
)
def test_corrupt(data: bytes) -> None:
    """Entries that do not ascend, or that lie outside of the log, are not an index."""
    with pytest.raises(IndexCorrupt):
        OffsetIndex.decode(data, log_bytes=100)
