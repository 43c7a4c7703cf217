"""The `.snapshot` files of one log: its producers as of some end offsets."""

from collections.abc import Callable, Iterable

from kpy.storage.files import Files
from kpy.storage.log_context import DELETED_SUFFIX
from kpy.storage.producer_states import SNAPSHOT_SUFFIX, ProducerStates
from kpy.storage.segment_files import file_name


class Snapshots:
    """Which there are. Invariant: `offsets` ascend."""

    __slots__ = ("_directory", "_files", "offsets")

    def __init__(self, files: Files, directory: str, offsets: Iterable[int]) -> None:
        self._files = files
        self._directory = directory
        self.offsets = sorted(offsets)

    def take(self, offset: int, producers: ProducerStates) -> None:
        """Write the producers as of that end offset. One that a power cut tears is ignored at the next start."""
        if self.offsets and self.offsets[-1] == offset:
            return
        self._files.replace(self._path(offset), producers.encode(), sync=False)
        self.offsets.append(offset)

    def retire(self, is_needless: Callable[[int], bool]) -> list[str]:
        """Rename those that are needed no more; returns what they are called now."""
        retired = []
        for offset in [offset for offset in self.offsets if is_needless(offset)]:
            path = self._path(offset)
            self._files.rename(path, path + DELETED_SUFFIX)
            self.offsets.remove(offset)
            retired.append(path + DELETED_SUFFIX)
        return retired

    def _path(self, offset: int) -> str:
        return f"{self._directory}/{file_name(offset, SNAPSHOT_SUFFIX)}"
