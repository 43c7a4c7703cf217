"""TCP segments of one direction, in whatever order a capture has them, to the bytes that were sent.

What comes twice is taken once, the first time; what comes early is held. A hole that is not filled before the limits
are reached, or the capture ends, is given up as `Lost`, and so is what the capture cut off a packet. Where the
beginning was not captured the stream begins with the lowest sequence number among the first segments.

Invariant: all bytes before `position` have been handed out, and no held segment ends at or before it.
"""

from bisect import insort
from collections.abc import Iterator
from typing import Final, NamedTuple

from kpy.inspect.packets import Segment

HELD_SEGMENTS_MAX: Final = 256
HELD_BYTES_MAX: Final = 16 * 1024 * 1024
FIRST_SEGMENTS: Final = 64
"""So many are held, if no SYN was seen, before it is decided which one is the first."""

_SEQUENCES: Final = 1 << 32


class Chunk(NamedTuple):
    """The next bytes of the stream, and when the last of them was captured."""

    data: bytes
    time_ns: int | None


class Lost(NamedTuple):
    """The next bytes of the stream are not in the capture."""

    size_bytes: int


class _Held(NamedTuple):
    position: int
    order: int
    data: bytes
    time_ns: int | None
    cut_bytes: int

    @property
    def size(self) -> int:
        return len(self.data) + self.cut_bytes


class Reassembly:
    """The bytes of one direction of one connection."""

    def __init__(self) -> None:
        self.position = 0
        self.held_bytes = 0
        self.from_start = False
        self._base: int | None = None  # the sequence number of position 0
        self._is_open = False  # where the stream begins is decided
        self._held: list[_Held] = []
        self._count = 0

    def is_another(self, segment: Segment) -> bool:
        """Whether a SYN begins another stream than this one."""
        return self._is_open and not (self.from_start and (segment.sequence + 1) % _SEQUENCES == self._base)

    def add(self, segment: Segment) -> Iterator[Chunk | Lost]:
        """Takes a segment; what can be handed out by that."""
        sequence = segment.sequence
        if segment.is_syn:
            sequence = (sequence + 1) % _SEQUENCES
            if not self._is_open:
                self._begin(sequence, from_start=True)
        if segment.payload or segment.cut_bytes:
            self._hold(sequence, segment)
        if not self._is_open and len(self._held) >= FIRST_SEGMENTS:
            self._begin_anywhere()
        if self._is_open:
            yield from self._drain()
            while len(self._held) > HELD_SEGMENTS_MAX or self.held_bytes > HELD_BYTES_MAX:
                yield from self._give_up_hole()

    @property
    def begins_with_next(self) -> bool:
        """Whether one more segment decides where the stream begins, without a SYN."""
        return not self._is_open and len(self._held) == FIRST_SEGMENTS - 1

    @property
    def from_middle(self) -> bool:
        """Whether the stream was begun without a SYN."""
        return self._is_open and not self.from_start

    def begin(self) -> Iterator[Chunk | Lost]:
        """Wait no longer for what may be the beginning."""
        if self._held and not self._is_open:
            self._begin_anywhere()
            yield from self._drain()

    def end(self) -> Iterator[Chunk | Lost]:
        """The capture ends, or the connection: what is held is all there will be."""
        if not self._is_open:
            self._begin_anywhere()
        yield from self._drain()
        while self._held:
            yield from self._give_up_hole()

    def _begin(self, sequence: int, *, from_start: bool) -> None:
        self._is_open = True
        self.from_start = from_start
        held, self._held = self._held, []
        old_base = sequence if self._base is None else self._base
        shift = _difference(old_base, sequence)
        self._base = sequence
        for each in held:
            insort(self._held, each._replace(position=each.position + shift))

    def _begin_anywhere(self) -> None:
        if self._base is None:
            self._is_open = True
            self._base = 0
        else:
            self._begin((self._base + self._held[0].position) % _SEQUENCES, from_start=False)

    def _hold(self, sequence: int, segment: Segment) -> None:
        if self._base is None:
            self._base = sequence
        position = self.position + _difference(sequence, (self._base + self.position) % _SEQUENCES)
        self._count += 1
        new = _Held(position, self._count, segment.payload, segment.time_ns, segment.cut_bytes)
        if self._is_open and position + new.size <= self.position:
            return
        if any(held.position == position and len(held.data) >= len(new.data) for held in self._held):
            return
        insort(self._held, new)
        self.held_bytes += len(segment.payload)

    def _drain(self) -> Iterator[Chunk | Lost]:
        while self._held and self._held[0].position <= self.position:
            held = self._held.pop(0)
            self.held_bytes -= len(held.data)
            fresh = held.data[self.position - held.position :]
            if fresh:
                self.position += len(fresh)
                yield Chunk(fresh, held.time_ns)
            if (cut_bytes := held.position + held.size - self.position) > 0:
                self.position += cut_bytes
                yield Lost(cut_bytes)

    def _give_up_hole(self) -> Iterator[Chunk | Lost]:
        count = self._held[0].position - self.position
        self.position += count
        yield Lost(count)
        yield from self._drain()


def _difference(sequence: int, other: int) -> int:
    """How far `sequence` is behind `other`; they are less than half of all numbers apart."""
    return (sequence - other + _SEQUENCES // 2) % _SEQUENCES - _SEQUENCES // 2
