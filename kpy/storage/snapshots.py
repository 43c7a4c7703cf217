"""The `.snapshot` files of one log: its producers as of some end offsets.

They can be found again in the log, as long as that is whole. So that damage before the recovery point changes nothing
that is known of producers, what a checkpoint says of a log is not its recovery point but its restart point: no batch
before it is needed to know the producers, for none of them has written since a snapshot that is on the disk. Kafka
writes one where a log rolls and where it is closed; kpy one before a checkpoint, too, if a log that is flushed
would not get any further otherwise.
"""

from bisect import bisect_right, insort
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Final, NamedTuple

from kpy.storage.files import Files
from kpy.storage.log_context import DELETED_SUFFIX
from kpy.storage.producer_states import SNAPSHOT_SUFFIX, ProducerStates
from kpy.storage.segment_files import file_name

_UNFINISHED: Final = ".new.tmp"


class Capture(NamedTuple):
    """A snapshot that is to be stored, as soon as the log is flushed up to its offset."""

    offset: int
    content: bytes


class Snapshots:
    """Which there are. Invariant: `offsets` ascend."""

    __slots__ = ("_directory", "_files", "_restart_point", "_unfinished", "_unsynced", "offsets")

    def __init__(
        self, files: Files, directory: str, offsets: Iterable[int], *, restart_point: int = 0, synced_before: int = 0
    ) -> None:
        """`restart_point` is what the checkpoint on the disk says; snapshots from `synced_before` on may not be."""
        self._files = files
        self._directory = directory
        self._restart_point = restart_point
        self._unfinished: str | None = None
        self.offsets = sorted(offsets)
        self._unsynced = {offset for offset in self.offsets if offset >= synced_before}

    def take(self, offset: int, producers: ProducerStates) -> None:
        """Write the producers as of that end offset. One that a power cut tears is ignored at the next start."""
        if self.offsets and self.offsets[-1] == offset:
            return
        self._files.replace(self._path(offset), producers.encode(), sync=False)
        insort(self.offsets, offset)
        self._unsynced.add(offset)

    # --- onto the disk

    def unsynced(self, producers: ProducerStates) -> list[int]:
        """The last one, if it may not be on the disk and somebody could miss it."""
        last = self.offsets[-1:]
        return last if producers.producers and self._unsynced.issuperset(last) else []

    def paths(self, offsets: Iterable[int]) -> list[str]:
        return [self._path(offset) for offset in offsets]

    def synced(self, offsets: Iterable[int]) -> None:
        """They are on the disk, names too."""
        self._unsynced.difference_update(offsets)

    def restart_point(self, recovery_point: int, producers: ProducerStates) -> int:
        """What a checkpoint may say; it never goes back."""
        if self._restart_point >= recovery_point:
            return self._restart_point
        point = recovery_point
        if producers.producers:
            newest = self._newest_synced(recovery_point)
            point = recovery_point if producers.end_offset <= newest else newest
        self._restart_point = max(self._restart_point, point)
        return self._restart_point

    def missing(
        self, recovery_point: int, end_offset: int, producers: ProducerStates, *, may_flush: bool
    ) -> int | None:
        """The offset of the snapshot that brings the restart point to the recovery point, or if it `may_flush`, beyond.

        None if there is none to be taken. The producers are known as they are now. They were so at the recovery point
        if none has written behind it.
        """
        if not producers.producers or self._newest_synced(recovery_point) >= min(recovery_point, producers.end_offset):
            return None
        offset = recovery_point if producers.end_offset <= recovery_point else end_offset
        return None if offset > recovery_point and not may_flush else offset

    def store(self, capture: Capture, is_deleted: Callable[[], bool]) -> Iterator[Callable[[], None]]:
        """The steps, each for a thread that may wait, as taken by the log's owner. Raises OSError.

        The last name is given by the owner, who knows whether the log is there: one of the same name may have come
        in its place.
        """
        path = self._path(capture.offset)
        unfinished = path + _UNFINISHED

        def write() -> None:
            self._files.replace(unfinished, capture.content, sync=False)
            self._files.sync(unfinished)

        self._unfinished = unfinished
        yield write
        if is_deleted():
            self.remove_unfinished()
            return
        self._files.rename(unfinished, path)
        self._unfinished = None
        if capture.offset not in self.offsets:
            insort(self.offsets, capture.offset)
        self._unsynced.add(capture.offset)
        yield lambda: self._files.sync_directory(self._directory)
        if capture.offset in self.offsets:
            self.synced([capture.offset])

    def _newest_synced(self, up_to: int) -> int:
        """The offset of the last before that one, inclusive, which is on the disk; -1 if there is none."""
        for offset in reversed(self.offsets[: bisect_right(self.offsets, up_to)]):
            if offset not in self._unsynced:
                return offset
        return -1

    # --- removing

    def superseded(self, base_offsets: Collection[int], restart_point: int) -> list[int]:
        """Those in the middle of segments that no start from that restart point, or a later one, needs."""
        needed = self._newest_synced(restart_point)
        return [offset for offset in self.offsets if offset < needed and offset not in base_offsets]

    def remove(self, offsets: Collection[int]) -> None:
        for offset in offsets:
            self._files.remove(self._path(offset))
            self._forget(offset)

    def remove_unfinished(self) -> None:
        """Remove what is left of one that was not stored after all."""
        if self._unfinished is not None:
            self._files.remove(self._unfinished)
            self._unfinished = None

    def retire(self, is_needless: Callable[[int], bool]) -> list[str]:
        """Rename those that are needed no more; returns what they are called now."""
        retired = []
        for offset in [offset for offset in self.offsets if is_needless(offset)]:
            path = self._path(offset)
            self._files.rename(path, path + DELETED_SUFFIX)
            self._forget(offset)
            retired.append(path + DELETED_SUFFIX)
        return retired

    def _forget(self, offset: int) -> None:
        self.offsets.remove(offset)
        self._unsynced.discard(offset)

    def _path(self, offset: int) -> str:
        return f"{self._directory}/{file_name(offset, SNAPSHOT_SUFFIX)}"
