"""What is derived from the batches of one segment: the two sparse indexes over them, and their largest timestamp.

Every `index.interval.bytes` of batches the offset index gets an entry for the batch that comes next, and the time index
the largest timestamp so far; when the segment is sealed, the largest of all. The files of it are never trusted: an
entry that was read from one is looked up in the log before it is used, and what turns out wrong is derived again.
"""

from typing import Final, Self

from kpy.protocol.records import NO_TIMESTAMP, BatchHeader
from kpy.storage.offset_index import OffsetIndex
from kpy.storage.time_index import TimeIndex

NOT_KNOWN: Final = (1 << 63) - 1


class Derived:
    """Learns from one batch after the other.

    Invariant: `last_base_offset` is that of the batch at `last_position`, or NOT_KNOWN.
    """

    __slots__ = (
        "_bytes_since_entry",
        "_interval_bytes",
        "base_offset",
        "first_timestamp",
        "is_built",
        "last_base_offset",
        "last_position",
        "max_timestamp",
        "max_timestamp_offset",
        "offsets",
        "times",
    )

    def __init__(self, base_offset: int, interval_bytes: int) -> None:
        self.base_offset = base_offset
        self._interval_bytes = interval_bytes
        self._bytes_since_entry = 0
        self.offsets = OffsetIndex()
        self.times = TimeIndex()
        self.is_built = True
        """Whether all of it was learnt from batches, and nothing read from a file."""
        self.last_base_offset = base_offset
        self.last_position = 0
        self.first_timestamp: int | None = None
        """The first batch's largest timestamp, if there is one that is known: segment.ms counts from it."""
        self.max_timestamp = NO_TIMESTAMP
        self.max_timestamp_offset = base_offset
        """The last offset of the first batch that has the largest timestamp."""

    @classmethod
    def read(cls, base_offset: int, interval_bytes: int, offsets: OffsetIndex, times: TimeIndex) -> Self:
        """What the files of a sealed segment's indexes say."""
        derived = cls(base_offset, interval_bytes)
        derived.offsets = offsets
        derived.times = times
        derived.is_built = False
        derived.last_base_offset = NOT_KNOWN
        if times:
            derived.max_timestamp = times.timestamps[-1]
            derived.max_timestamp_offset = base_offset + times.offsets[-1]
        return derived

    def learn(self, position: int, size: int, base_offset: int, last_offset: int, max_timestamp: int) -> None:
        """A batch was appended."""
        self._learn_timestamp(max_timestamp, last_offset)
        if self._bytes_since_entry > self._interval_bytes:
            self.offsets.append(last_offset - self.base_offset, position)
            self.times.maybe_append(self.max_timestamp, self.max_timestamp_offset - self.base_offset)
            self._bytes_since_entry = 0
        self._bytes_since_entry += size
        self.last_base_offset = base_offset
        self.last_position = position

    def learn_header(self, position: int, header: BatchHeader) -> None:
        self.learn(position, header.size_bytes, header.base_offset, header.last_offset, header.max_timestamp)

    def follow(self, position: int, header: BatchHeader) -> None:
        """As `learn`, of a batch that the files of the indexes have counted already."""
        self._learn_timestamp(header.max_timestamp, header.last_offset)
        self._bytes_since_entry += header.size_bytes
        self.last_base_offset = header.base_offset
        self.last_position = position

    def _learn_timestamp(self, max_timestamp: int, last_offset: int) -> None:
        if self.first_timestamp is None and self.is_built:
            self.first_timestamp = max_timestamp
        if max_timestamp > self.max_timestamp:
            self.max_timestamp = max_timestamp
            self.max_timestamp_offset = last_offset

    def seal(self) -> bool:
        """Nothing more will be appended: the time index gets the largest timestamp of all; whether that is news."""
        return self.times.maybe_append(self.max_timestamp, self.max_timestamp_offset - self.base_offset)
