"""The offset index of a segment: a sparse map from offset to file position.

An entry of the file is eight bytes, big-endian: the offset less the segment's base offset (int32), and the position in
the `.log` file (int32) of the batch that ends with that offset. Both ascend. The file is derived from the log: it has
no checksum and is rebuilt whenever it may not be trusted, so entries are kept in memory and written when the segment is
flushed, rolled or closed.
"""

import sys
from array import array
from bisect import bisect_right
from typing import Final, Self

ENTRY_BYTES: Final = 8
RELATIVE_OFFSET_MAX: Final = (1 << 31) - 1
_SWAP: Final = sys.byteorder == "little"


class IndexCorrupt(Exception):
    """What the file holds cannot be an index of this segment."""


class OffsetIndex:
    """Relative offsets and positions in two parallel arrays.

    Invariant: both ascend strictly, and have the same length.
    """

    __slots__ = ("offsets", "positions")

    def __init__(self) -> None:
        self.offsets = array("I")
        self.positions = array("I")

    def __len__(self) -> int:
        return len(self.offsets)

    def append(self, relative_offset: int, position: int) -> None:
        self.offsets.append(relative_offset)
        self.positions.append(position)

    def floor(self, relative_offset: int) -> tuple[int, int] | None:
        """Offset and position of the last entry at or before that offset, None if there is none."""
        index = bisect_right(self.offsets, relative_offset) - 1
        return (self.offsets[index], self.positions[index]) if index >= 0 else None

    def encode(self) -> bytes:
        words = array("I", bytes(ENTRY_BYTES * len(self.offsets)))
        words[0::2] = self.offsets
        words[1::2] = self.positions
        if _SWAP:
            words.byteswap()
        return words.tobytes()

    @classmethod
    def decode(cls, data: bytes, *, log_bytes: int) -> Self:
        """The index in `data`; IndexCorrupt if it is not one of a log file of that size."""
        if len(data) % ENTRY_BYTES:
            raise IndexCorrupt(f"{len(data)} bytes are no multiple of {ENTRY_BYTES}")
        words = array("I", data)
        if _SWAP:
            words.byteswap()
        index = cls()
        index.offsets = words[0::2]
        index.positions = words[1::2]
        if not (_ascends(index.offsets) and _ascends(index.positions)):
            raise IndexCorrupt("the entries do not ascend")
        if index.positions and index.positions[-1] >= log_bytes:
            raise IndexCorrupt(f"position {index.positions[-1]} is beyond the log's end at {log_bytes}")
        if index.offsets and index.offsets[-1] > RELATIVE_OFFSET_MAX:
            raise IndexCorrupt(f"offset {index.offsets[-1]} is negative")
        return index


def _ascends(values: "array[int]") -> bool:
    return all(map(int.__lt__, values, values[1:]))
