"""What is known of the bytes of one segment's `.log` file: which were verified, and which hold no sound batch.

Bytes that an earlier process wrote are verified when this one first reads them. Those that turn out damaged are
quarantined: they stay where they are, an offset inside of them cannot be read, and everything else can.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import NamedTuple


class Damage(NamedTuple):
    """Bytes that hold no sound batch, and the offsets that are missing for it.

    The byte range is empty where the file ends too early; the offset range is, where garbage stands between batches.
    """

    position: int
    end_position: int
    first_offset: int
    next_offset: int
    reason: str

    @property
    def size_bytes(self) -> int:
        return self.end_position - self.position

    def __str__(self) -> str:
        where = f"bytes {self.position} to {self.end_position}, offsets {self.first_offset} to {self.next_offset}"
        return f"{where} (each without the last): {self.reason}"


class Quarantine:
    """Invariants: the verified ranges are disjoint, in order and do not touch; damages are in order and disjoint."""

    __slots__ = ("_damages", "_ends", "_inherited_bytes", "_starts", "is_end_known")

    def __init__(self, inherited_bytes: int, *, is_end_known: bool) -> None:
        self._inherited_bytes = inherited_bytes
        """So many bytes, from the start of the file, were written by an earlier process."""
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._damages: list[Damage] = []
        self.is_end_known = is_end_known
        """Whether offsets that are missing behind the last batch are among the damages."""

    @property
    def damages(self) -> list[Damage]:
        return self._damages

    def is_verified(self, start: int, end: int) -> bool:
        """Whether everything in that range is known to be sound or to be damaged."""
        end = min(end, self._inherited_bytes)
        if start >= end:
            return True
        index = bisect_right(self._starts, start) - 1
        return index >= 0 and self._ends[index] >= end

    def verify(self, start: int, end: int) -> None:
        """The range has been looked at."""
        first = bisect_left(self._ends, start)
        last = bisect_right(self._starts, end)
        if first < last:
            start = min(start, self._starts[first])
            end = max(end, self._ends[last - 1])
        self._starts[first:last] = [start]
        self._ends[first:last] = [end]

    def add(self, damage: Damage) -> bool:
        """Quarantine a range; whether it is news. Ranges that overlap are one."""
        overlapping = [known for known in self._damages if _overlap(known, damage)]
        if any(_covers(known, damage) for known in overlapping):
            return False
        for known in overlapping:
            damage = Damage(
                min(known.position, damage.position),
                max(known.end_position, damage.end_position),
                min(known.first_offset, damage.first_offset),
                max(known.next_offset, damage.next_offset),
                known.reason,
            )
            self._damages.remove(known)
        self._damages.append(damage)
        self._damages.sort()
        return True

    def of_offset(self, offset: int) -> Damage | None:
        """The damage that the offset would be in."""
        for damage in self._damages:
            if damage.first_offset <= offset < damage.next_offset:
                return damage
        return None

    def stretches(self, position: int, end: int) -> Iterator[tuple[int, int]]:
        """The parts of a range that are not damaged, as far as is known."""
        for damage in self._damages:
            if damage.end_position <= position:
                continue
            if damage.position >= end:
                break
            if damage.position > position:
                yield position, damage.position
            position = damage.end_position
        if position < end:
            yield position, end


def _overlap(one: Damage, other: Damage) -> bool:
    return (one.position < other.end_position and other.position < one.end_position) or (
        one.first_offset < other.next_offset and other.first_offset < one.next_offset
    )


def _covers(one: Damage, other: Damage) -> bool:
    return (
        one.position <= other.position
        and one.end_position >= other.end_position
        and one.first_offset <= other.first_offset
        and one.next_offset >= other.next_offset
    )
