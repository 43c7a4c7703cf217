"""The last offset of each key in the part of a log that is compacted next, in a bounded piece of memory.

`log.cleaner.dedupe.buffer.size` counts as ENTRY_BYTES for each different key, which is what a dictionary of them takes
at the worst moment of its growth (measured: 128 to 188). Kafka's map takes 24, but time in Python. A map that is full
ends the round: the rest of the log is compacted in the next.

Keys are kept as they are up to KEY_BYTES_MAX, longer ones as a digest that is one byte longer, so that one is never
taken for the other.

A dictionary copies itself when it grows, and frees all of its keys at once, either of which takes 20 ms with 500 000 of
them. So there are many small ones.
"""

from collections.abc import Iterator
from hashlib import blake2b
from typing import Final

KEY_BYTES_MAX: Final = 32
ENTRY_BYTES: Final = 192
PART_KEYS: Final = 4096
"""About so many keys, or half of that, have a dictionary together when the map is full."""
_PART_SHIFT: Final = 16
"""Which of them is told by other bits of the hash than a dictionary of that size begins with."""


class OffsetMap:
    """Invariant: it has at most `capacity` keys."""

    __slots__ = ("_count", "_mask", "_parts", "capacity", "latest_offset")

    def __init__(self, memory_bytes: int, load_factor: float) -> None:
        self.capacity = max(int(memory_bytes * load_factor) // ENTRY_BYTES, 1)
        parts = 1 << (self.capacity // PART_KEYS).bit_length()
        self._parts: list[dict[bytes, int]] = [{} for _ in range(parts)]
        self._mask = parts - 1
        self._count = 0
        self.latest_offset = -1
        """The last offset that it knows all about: records behind it have not been looked at."""

    def __len__(self) -> int:
        return self._count

    def put(self, key: bytes, offset: int) -> bool:
        """Remember the offset, in place of what the key had; False if there is no room for another key."""
        if len(key) > KEY_BYTES_MAX:
            key = _digest(key)
        offsets = self._parts[hash(key) >> _PART_SHIFT & self._mask]
        if key not in offsets:
            if self._count >= self.capacity:
                return False
            self._count += 1
        offsets[key] = offset
        self.latest_offset = offset
        return True

    def get(self, key: bytes) -> int:
        """The last offset of the key, -1 if it is not in the map."""
        if len(key) > KEY_BYTES_MAX:
            key = _digest(key)
        return self._parts[hash(key) >> _PART_SHIFT & self._mask].get(key, -1)

    def forget(self) -> Iterator[None]:
        """Give up all keys, with the memory that they take, one part after the other."""
        for offsets in self._parts:
            self._count -= len(offsets)
            offsets.clear()
            yield


def _digest(key: bytes) -> bytes:
    return blake2b(key, digest_size=KEY_BYTES_MAX + 1).digest()
