"""The segments of one log in order: which holds an offset, which is written to, which may go."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence

from kpy.storage.segment import Segment


class Segments:
    """Invariants: there is at least one; base offsets ascend; `active` is the last, and the only one appended to."""

    __slots__ = ("_base_offsets", "_segments", "active")

    def __init__(self, segments: Sequence[Segment]) -> None:
        self._segments = list(segments)
        self._base_offsets = [segment.base_offset for segment in segments]
        self.active = self._segments[-1]

    def __iter__(self) -> Iterator[Segment]:
        return iter(self._segments)

    @property
    def base_offsets(self) -> Sequence[int]:
        return tuple(self._base_offsets)

    @property
    def first_base_offset(self) -> int:
        return self._base_offsets[0]

    @property
    def size_bytes(self) -> int:
        return sum(segment.size for segment in self._segments)

    def append(self, segment: Segment) -> None:
        """Make it the active one."""
        self._segments.append(segment)
        self._base_offsets.append(segment.base_offset)
        self.active = segment

    def from_offset(self, offset: int) -> Sequence[Segment]:
        """The segment that holds that offset, or would, and all behind it."""
        return self._segments[max(bisect_right(self._base_offsets, offset) - 1, 0) :]

    @property
    def first(self) -> Segment:
        return self._segments[0]

    def before(self, offset: int) -> Sequence[Segment]:
        """The segments whose offsets are all before that one; never the active one."""
        return self._segments[: max(bisect_right(self._base_offsets, offset) - 1, 0)]

    def drop_first(self) -> None:
        """Give up the oldest, which is not the active one."""
        if len(self._segments) == 1:
            raise ValueError("a log has at least one segment")
        del self._segments[0]
        del self._base_offsets[0]

    def replace(self, old: Sequence[Segment], new: Segment) -> None:
        """Put one segment in the place of several that follow each other; the active one is not among them."""
        start = self._segments.index(old[0])
        end = start + len(old)
        if self._segments[start:end] != list(old) or end == len(self._segments):
            raise ValueError("these segments do not follow each other before the active one")
        self._segments[start:end] = [new]
        self._base_offsets[start:end] = [new.base_offset]

    def check_invariants(self) -> None:
        """For tests: raise if they are not as the docstring says."""
        assert self._base_offsets == [segment.base_offset for segment in self._segments]
        assert self._base_offsets == sorted(set(self._base_offsets))
        assert self._segments[-1] is self.active
