"""The time index of a segment: a sparse map from timestamp to offset.

An entry of the file is twelve bytes, big-endian: a timestamp (int64), and the offset less the segment's base offset
(int32) of the batch with that timestamp. An entry says that no batch up to that offset has a larger timestamp.
Timestamps and offsets ascend. As the offset index it is derived, and written when the segment is flushed, rolled or
closed.
"""

import struct
from array import array
from bisect import bisect_right
from typing import Final, Self

from kpy.storage.offset_index import IndexCorrupt

ENTRY_BYTES: Final = 12
_ENTRY: Final = struct.Struct(">qi")


class TimeIndex:
    """Timestamps and relative offsets in two parallel arrays.

    Invariant: timestamps ascend strictly, offsets ascend, and both have the same length.
    """

    __slots__ = ("offsets", "timestamps")

    def __init__(self) -> None:
        self.timestamps = array("q")
        self.offsets = array("I")

    def __len__(self) -> int:
        return len(self.timestamps)

    def maybe_append(self, timestamp: int, relative_offset: int) -> bool:
        """Remember the largest timestamp so far, if it is news, and say whether it is."""
        if timestamp < 0 or (self.timestamps and timestamp <= self.timestamps[-1]):
            return False
        self.timestamps.append(timestamp)
        self.offsets.append(relative_offset)
        return True

    def floor(self, timestamp: int) -> tuple[int, int] | None:
        """The last entry not above that timestamp, up to which no batch has a larger one; None if there is none."""
        index = bisect_right(self.timestamps, timestamp) - 1
        return (self.timestamps[index], self.offsets[index]) if index >= 0 else None

    def encode(self) -> bytes:
        return b"".join(map(_ENTRY.pack, self.timestamps, self.offsets))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        if len(data) % ENTRY_BYTES:
            raise IndexCorrupt(f"{len(data)} bytes are no multiple of {ENTRY_BYTES}")
        index = cls()
        for timestamp, offset in _ENTRY.iter_unpack(data):
            if offset < 0 or (index.timestamps and (timestamp <= index.timestamps[-1] or offset < index.offsets[-1])):
                raise IndexCorrupt("the entries do not ascend")
            index.timestamps.append(timestamp)
            index.offsets.append(offset)
        return index
