"""The segments of one log in order, and its snapshots: which holds an offset, which is written to, which go.

What goes gets `.deleted` behind its name and is handed to whoever removes it.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final, TypeAlias

from kpy.storage.files import Files, NotResident
from kpy.storage.log_config import LogConfig
from kpy.storage.retention import Doomed, SegmentSpan, old_segments
from kpy.storage.segment import Segment
from kpy.storage.segment_swap import CleanedSegment, SwapIncomplete
from kpy.storage.snapshots import Snapshots
from kpy.storage.transaction_index import AbortedTransaction

AGES_AT_ONCE: Final = 64
"""Of so many segments it is found out at once how old they are."""

Discard: TypeAlias = Callable[[Sequence[str]], None]
"""Takes paths of files that are called `.deleted`."""


class Segments:
    """Invariants: there is at least one; base offsets ascend; `active` is the last, and the only one appended to."""

    __slots__ = ("_base_offsets", "_directory", "_files", "_segments", "active", "snapshots")

    def __init__(self, files: Files, directory: str, segments: Sequence[Segment], snapshots: Snapshots) -> None:
        self._files = files
        self._directory = directory
        self.snapshots = snapshots
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

    def count_before(self, offset: int) -> int:
        """How many hold nothing but offsets before that one; the active one does not count."""
        return max(bisect_right(self._base_offsets, offset) - 1, 0)

    def remove_oldest(self, count: int, discard: Discard) -> None:
        """Give up so many, never the active one, one after the other; and the snapshots that only they need."""
        deleted: list[str] = []
        try:
            for _ in range(min(count, len(self._segments) - 1)):
                deleted += self._segments[0].retire()
                del self._segments[0]
                del self._base_offsets[0]
            first = self.first_base_offset
            deleted += self.snapshots.retire(lambda offset: offset < first)
        finally:
            discard(deleted)

    # --- ages

    def newest_ms(self, number: int, *, may_wait: bool) -> int | None:
        """As `Segment.newest_ms`. Where it is not known, those of some segments behind are found out with it.

        Mostly that of the oldest is all that is asked for; where many are old, it is asked as often as a power of two.
        """
        try:
            return self._segments[number].newest_ms(may_wait=may_wait)
        except NotResident:
            behind = self._segments[number : number + min(number + 1, AGES_AT_ONCE)]
            reasons = [reason for segment in behind if (reason := _unknown_age(segment)) is not None]
            raise NotResident(partial(_bring, reasons), partial(_learn, reasons)) from None

    def old(
        self,
        ends: Sequence[int],
        config: LogConfig,
        *,
        log_start_offset: int,
        high_watermark: int,
        now_ms: int,
        may_wait: bool,
    ) -> list[Doomed]:
        """Which have to go, given the offset where each ends. Raises NotResident unless it `may_wait` for the disk."""

        def span_of(number: int) -> SegmentSpan:
            newest_ms = partial(self.newest_ms, number, may_wait=may_wait)
            return SegmentSpan(ends[number], self._segments[number].size, newest_ms)

        found = old_segments(
            span_of,
            len(ends),
            config,
            log_start_offset=log_start_offset,
            high_watermark=high_watermark,
            now_ms=now_ms,
        )
        return list(found)

    # --- compaction

    def aborted_transactions(self) -> list[AbortedTransaction]:
        """All of which the indexes know."""
        return [aborted for segment in self._segments for aborted in segment.transactions.entries]

    def create_cleaned(self, base_offset: int, index_interval_bytes: int) -> CleanedSegment:
        """A new segment for compaction to write, which is none of these yet."""
        return CleanedSegment.create(self._files, self._directory, base_offset, index_interval_bytes)

    def sync_names(self) -> None:
        """What was renamed stays so over a power cut."""
        self._files.sync_directory(self._directory)

    def replace(self, old: Sequence[Segment], new: CleanedSegment, discard: Discard) -> Iterator[None]:
        """Put a compacted segment, whose files are called `.swap`, in the place of those that it was made from.

        They follow each other, and the active one is not among them. From the first pause on the new one is read; there
        is one for each file, or few, that is renamed. Raises SwapIncomplete.
        """
        start = self._segments.index(old[0])
        end = start + len(old)
        if self._segments[start:end] != list(old) or end == len(self._segments):
            raise ValueError("these segments do not follow each other before the active one")
        self._segments[start:end] = [new]
        self._base_offsets[start:end] = [new.base_offset]
        try:
            for number, segment in enumerate(old):
                discard(segment.retire())
                if number:
                    discard(self.snapshots.retire(segment.base_offset.__eq__))
                yield
            new.rename("")
        except OSError as error:
            raise SwapIncomplete(f"{new.name} is read, but is not in its place yet: {error}") from error

    def with_ends(self, offset: int, end_offset: int) -> Iterator[tuple[Segment, int]]:
        """As `from_offset`, each with the offset where the next begins, `end_offset` for the last."""
        first = max(bisect_right(self._base_offsets, offset) - 1, 0)
        return zip(self._segments[first:], [*self._base_offsets[first + 1 :], end_offset], strict=True)

    def end_of(self, segment: Segment, end_offset: int) -> int:
        """The offset where the next segment begins, `end_offset` for the last."""
        behind = bisect_right(self._base_offsets, segment.base_offset)
        return self._base_offsets[behind] if behind < len(self._base_offsets) else end_offset

    def check_invariants(self) -> None:
        """For tests: raise if they are not as the docstring says."""
        assert self._base_offsets == [segment.base_offset for segment in self._segments]
        assert self._base_offsets == sorted(set(self._base_offsets))
        assert self._segments[-1] is self.active


def _unknown_age(segment: Segment) -> NotResident | None:
    try:
        segment.newest_ms(may_wait=False)
    except NotResident as reason:
        return reason
    return None


def _bring(reasons: Sequence[NotResident]) -> Sequence[object]:
    """As far as the disk gives it; OSError if that is nothing."""
    results: list[object] = []
    for reason in reasons:
        try:
            results.append(reason.bring())
        except OSError:
            if not results:
                raise
            break
    return results


def _learn(reasons: Sequence[NotResident], results: Sequence[object]) -> None:
    for reason, result in zip(reasons, results, strict=False):
        reason.learn(result)
