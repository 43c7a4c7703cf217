"""The map of keys that compaction goes by."""

import tracemalloc
from itertools import pairwise

import pytest

from kpy.storage.offset_map import ENTRY_BYTES, KEY_BYTES_MAX, PART_KEYS, OffsetMap


def test_the_last_offset_counts() -> None:
    """Of each key the offset that was put last; -1 for keys that are not in it."""
    offsets = OffsetMap(1 << 20, 0.9)
    assert all(offsets.put(key, offset) for offset, key in enumerate([b"a", b"b", b"a", b""]))
    assert [offsets.get(key) for key in (b"a", b"b", b"", b"c")] == [2, 1, 3, -1]
    assert (len(offsets), offsets.latest_offset) == (3, 3)


@pytest.mark.parametrize(("memory_bytes", "load_factor", "capacity"), [(4 * ENTRY_BYTES, 0.5, 2), (1, 0.9, 1)])
def test_when_it_is_full(memory_bytes: int, load_factor: float, capacity: int) -> None:
    """It takes no other key, but goes on to take those that it has; there is always room for one."""
    offsets = OffsetMap(memory_bytes, load_factor)
    assert [offsets.put(b"%d" % number, number) for number in range(3)] == [True] * capacity + [False] * (3 - capacity)
    assert offsets.latest_offset == capacity - 1
    assert offsets.put(b"0", 9)
    assert (offsets.get(b"0"), offsets.latest_offset) == (9, 9)


def test_long_keys() -> None:
    """Keys longer than it keeps them are told apart from each other and from short ones."""
    offsets = OffsetMap(1 << 20, 0.9)
    keys = [bytes([number]) * size for size in (KEY_BYTES_MAX, KEY_BYTES_MAX + 1, 10_000) for number in range(3)]
    for offset, key in enumerate(keys):
        assert offsets.put(key, offset)
    assert [offsets.get(key) for key in keys] == list(range(len(keys)))


@pytest.mark.parametrize("count", [700, 701, 5_600, 44_800])
def test_what_it_takes(count: int) -> None:
    """A full map takes no more than it may, also where a dictionary has just grown."""
    tracemalloc.start()
    try:
        offsets = OffsetMap(count * ENTRY_BYTES, 1.0)
        for number in range(count):
            offsets.put(b"%0100d" % number, 1 << 40 | number)
        assert tracemalloc.get_traced_memory()[1] <= count * ENTRY_BYTES + 10_000
    finally:
        tracemalloc.stop()


def test_no_part_is_large() -> None:
    """However many keys there are, no dictionary has many: they are spread evenly, and given up one by one."""
    offsets = OffsetMap(40 * PART_KEYS * ENTRY_BYTES, 1.0)
    for number in range(offsets.capacity):
        assert offsets.put(b"%d" % number, number)
    counts = [len(offsets) for _ in offsets.forget()]
    assert max(before - after for before, after in pairwise([offsets.capacity, *counts])) < 1.5 * PART_KEYS
    assert (len(offsets), offsets.get(b"1")) == (0, -1)
