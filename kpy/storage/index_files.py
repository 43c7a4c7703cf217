"""The files of a segment's two indexes: read whole, written whole, and never trusted."""

from array import array

from kpy.storage.derived import Derived
from kpy.storage.files import Files
from kpy.storage.offset_index import IndexCorrupt, OffsetIndex
from kpy.storage.segment_files import OFFSET_INDEX_SUFFIX, TIME_INDEX_SUFFIX
from kpy.storage.time_index import TimeIndex


class IndexFiles:
    """Those of the segment whose files begin with `path`."""

    __slots__ = ("_files", "_offsets_path", "_times_path")

    def __init__(self, files: Files, path: str) -> None:
        self._files = files
        self._offsets_path = path + OFFSET_INDEX_SUFFIX
        self._times_path = path + TIME_INDEX_SUFFIX

    def read(self, log_bytes: int) -> tuple[OffsetIndex, TimeIndex]:
        """Both, for a log of that size. Raises IndexCorrupt."""
        offsets, times = self._files.read(self._offsets_path), self._files.read(self._times_path)
        if log_bytes and (offsets is None or times is None):
            raise IndexCorrupt("an index is missing")
        return OffsetIndex.decode(offsets or b"", log_bytes=log_bytes), TimeIndex.decode(times or b"")

    def read_positions(self, log_bytes: int) -> "array[int]":
        """Where batches begin, if it is true; none if there is nothing to be read."""
        try:
            return OffsetIndex.decode(self._files.read(self._offsets_path) or b"", log_bytes=log_bytes).positions
        except IndexCorrupt:
            return array("I")

    def write(self, derived: Derived, *, sync: bool) -> None:
        """Replace both."""
        self._files.replace(self._offsets_path, derived.offsets.encode(), sync=sync)
        self._files.replace(self._times_path, derived.times.encode(), sync=sync)
