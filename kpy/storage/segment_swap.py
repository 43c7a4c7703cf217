"""How a compacted segment takes the place of those that it was made from, so that a crash leaves the old or the new.

    written as       <base offset>.log.cleaned  .index.cleaned  .timeindex.cleaned, and forced to the disk
    complete         .swap in place of .cleaned: from here on a start finishes what a crash has cut short
    the old ones     get .deleted behind their names
    in place         without .swap

`finish_swaps` is what a start does with what it finds of that, as Kafka's LogLoader: it reads directories that either
has left.
"""

import logging
from collections.abc import Sequence
from typing import Final

from kpy.protocol.crc import Buffer
from kpy.protocol.records import BatchHeader
from kpy.storage.batch_scan import scan_headers
from kpy.storage.files import Files
from kpy.storage.log_context import DELETED_SUFFIX
from kpy.storage.segment import Segment
from kpy.storage.segment_files import INDEX_SUFFIXES, LOG_SUFFIX, TRANSACTION_INDEX_SUFFIX

_logger = logging.getLogger(__name__)

CLEANED_SUFFIX: Final = ".cleaned"
SWAP_SUFFIX: Final = ".swap"


class SwapIncomplete(Exception):
    """The disk refused in the middle. The next start finishes the swap; until then nothing else may be swapped."""


class CleanedSegment(Segment):
    """A segment that is written by compaction, and is one like any other once it is in place."""

    __slots__ = ("_name_suffix",)

    def __init__(self, files: Files, directory: str, base_offset: int, index_interval_bytes: int) -> None:
        self._files = files
        self._directory = directory
        self.base_offset = base_offset
        self._name_suffix = CLEANED_SUFFIX
        self.remove()  # what a round that failed has left
        super().__init__(files, directory, base_offset, index_interval_bytes)

    def path(self, suffix: str) -> str:
        return super().path(suffix) + self._name_suffix

    def learn(self, position: int, header: BatchHeader) -> None:
        """Take the batch, which is written at that position later, into the indexes."""
        self.learn_batch(position, header.size_bytes, header.base_offset, header.last_offset, header.max_timestamp)

    def write(self, batches: Buffer) -> None:
        """Write batches that it has learned of."""
        self._log.append(batches)

    def finish(self, newest_ms: int | None) -> None:
        """Nothing more will be written: all of it is on the disk when this returns.

        If no record has a timestamp, it is as old as the newest of those that it was made from.
        """
        self.seal()
        self._log.sync()
        self.transactions.flush()
        if self.max_timestamp < 0 and newest_ms is not None:
            self.written_ms = newest_ms
            self._files.set_modified_ms(self.path(LOG_SUFFIX), newest_ms)

    def rename(self, name_suffix: str) -> None:
        """Give the files names with that suffix; the log first."""
        old = {suffix: self.path(suffix) for suffix in (LOG_SUFFIX, *INDEX_SUFFIXES)}
        self._files.move(self._log, old[LOG_SUFFIX], super().path(LOG_SUFFIX) + name_suffix)
        self._name_suffix = name_suffix
        for suffix in INDEX_SUFFIXES:
            if self._files.exists(old[suffix]):
                self._files.rename(old[suffix], self.path(suffix))
        self.transactions.path = self.path(TRANSACTION_INDEX_SUFFIX)

    def remove(self) -> None:
        """Remove the files, the log last: while it is there, and complete, a start puts it in place."""
        for suffix in (*INDEX_SUFFIXES, LOG_SUFFIX):
            for name_suffix in {CLEANED_SUFFIX, self._name_suffix}:
                self._files.remove(super().path(suffix) + name_suffix)


def finish_swaps(files: Files, directory: str) -> None:
    """Finish the swap that a crash has cut short, or undo it if the new segment was not complete.

    What is called `.deleted` goes. A `.swap` file at or behind a `.cleaned` one belongs to something incomplete: both
    go. For any other, the segments are removed whose place it takes, and then it gets its name.
    """
    names = files.list(directory)
    unfinished = [name for name in names if name.endswith((DELETED_SUFFIX, CLEANED_SUFFIX, SWAP_SUFFIX))]
    if not unfinished:
        return
    cleaned = [name for name in unfinished if name.endswith(CLEANED_SUFFIX)]
    incomplete_from = min((_offset(name) for name in cleaned), default=None)
    complete = []
    for name in unfinished:
        if name.endswith(DELETED_SUFFIX):
            files.remove(f"{directory}/{name}")
        elif name.endswith(SWAP_SUFFIX):
            if incomplete_from is None or _offset(name) < incomplete_from:
                complete.append(name)
            else:
                files.remove(f"{directory}/{name}")
    for name in cleaned:  # last: while they are there, it can be told what is incomplete
        files.remove(f"{directory}/{name}")
    _put_in_place(files, directory, complete)
    files.sync_directory(directory)


def _put_in_place(files: Files, directory: str, complete: Sequence[str]) -> None:
    logs = [name for name in complete if name.endswith(LOG_SUFFIX + SWAP_SUFFIX)]
    if logs:
        start = min(_offset(name) for name in logs)
        end = max(_next_offset(files, f"{directory}/{name}", _offset(name)) for name in logs)
        _logger.info("%s: putting compacted segments in place, from offset %d to %d", directory, start, end)
        for name in files.list(directory):
            if not name.endswith(SWAP_SUFFIX) and name[:20].isdecimal() and start <= _offset(name) < end:
                files.remove(f"{directory}/{name}")
    for name in complete:
        files.rename(f"{directory}/{name}", f"{directory}/{name.removesuffix(SWAP_SUFFIX)}")


def _offset(name: str) -> int:
    return int(name.partition(".")[0])


def _next_offset(files: Files, path: str, base_offset: int) -> int:
    file = files.open(path)
    try:
        return max((header.next_offset for _position, header in scan_headers(file)), default=base_offset)
    finally:
        file.close()
