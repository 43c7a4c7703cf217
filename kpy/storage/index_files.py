"""The files of a segment's two indexes: read whole, written whole, and never trusted.

`path` makes the path of a file of the segment from its suffix.
"""

from array import array
from collections.abc import Callable
from typing import TypeAlias

from kpy.storage.derived import Derived
from kpy.storage.files import Files
from kpy.storage.offset_index import IndexCorrupt, OffsetIndex
from kpy.storage.segment_files import OFFSET_INDEX_SUFFIX, TIME_INDEX_SUFFIX
from kpy.storage.time_index import TimeIndex

PathOf: TypeAlias = Callable[[str], str]


def read_indexes(files: Files, path: PathOf, *, log_bytes: int) -> tuple[OffsetIndex, TimeIndex]:
    """Both, of a log of that size. Raises IndexCorrupt."""
    offsets, times = files.read(path(OFFSET_INDEX_SUFFIX)), files.read(path(TIME_INDEX_SUFFIX))
    if log_bytes and (offsets is None or times is None):
        raise IndexCorrupt("an index is missing")
    return OffsetIndex.decode(offsets or b"", log_bytes=log_bytes), TimeIndex.decode(times or b"")


def read_positions(files: Files, path: PathOf, *, log_bytes: int) -> "array[int]":
    """Where batches begin, if it is true; none if there is nothing to be read."""
    try:
        return OffsetIndex.decode(files.read(path(OFFSET_INDEX_SUFFIX)) or b"", log_bytes=log_bytes).positions
    except IndexCorrupt:
        return array("I")


def write_indexes(files: Files, path: PathOf, derived: Derived, *, sync: bool) -> None:
    """Replace both."""
    files.replace(path(OFFSET_INDEX_SUFFIX), derived.offsets.encode(), sync=sync)
    files.replace(path(TIME_INDEX_SUFFIX), derived.times.encode(), sync=sync)
