"""Getting what a log has on to the disk: a plan made by the log's owner, carried out by a thread that may wait.

What a plan syncs: the segments' files from the recovery point on, their aborted transactions, and where names are new
the log's directory, the names in it that are not derived, the last snapshot of producers, and the directory above. The
other indexes are derived, and found again whenever they are looked at and do not fit: they need no sync.

When a sync fails, the kernel may have given up the pages that it could not write and call them clean: the next sync
then succeeds and has written nothing. So after a failure the recovery point stays where it is, whoever waited is told,
and the next plan first writes everything from the recovery point on once more, batch by batch, out of the page cache.
A batch whose checksum does not hold any more has been lost by the kernel: then the log counts as not flushed, plan
after plan, and the next start cuts it there as after a power cut.
"""

import errno
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from kpy.protocol.crc import Buffer
from kpy.storage.batch_scan import is_sound, scan_batches
from kpy.storage.files import Content, Files
from kpy.storage.transaction_index import TransactionIndex

NEVER: Final = (1 << 63) - 1
"""flush.messages and flush.ms of a log that is not forced to the disk."""


class Unsynced(NamedTuple):
    """A file with bytes that may not be on the disk, from one position to another."""

    content: Content
    position: int
    end: int

    def write_again(self) -> None:
        """Write those bytes over themselves, so that a sync has to write them. OSError if one batch is not sound."""
        position = self.position
        for start, header, batch in scan_batches(_Window(self.content, self.end), self.position):
            if not is_sound(header, batch):
                break
            self.content.write_at(start, batch)
            position = start + len(batch)
        if position != self.end:
            raise OSError(errno.EIO, f"the batch at byte {position} did not outlive a failed write")


class _Window:
    """The beginning of a content, as `scan_batches` reads a file."""

    def __init__(self, content: Content, size: int) -> None:
        self._content = content
        self.size = size

    def read_at(self, position: int, size: int) -> Buffer:
        return self._content.read_at(position, min(size, self.size - position))


class FlushPlan(NamedTuple):
    """What has to be done so that everything before `up_to` is on the disk. `run` may be called from any thread."""

    up_to: int
    parts: Sequence[Unsynced]
    files: Files
    names: Sequence[str]
    directory: str | None
    """That of the log, if names in it or its own are new."""
    transactions: Sequence[tuple[TransactionIndex, int]]
    """Those of segments, and how many there are."""
    snapshots: Sequence[int]
    """The offsets of those among the names."""
    names_version: int
    writes_again: bool

    @property
    def has_new_names(self) -> bool:
        """Whether the directory above has to be synced, too."""
        return self.directory is not None

    def begin(self) -> None:
        """Have the disk begin with what `run` waits for; for who is about to carry out many plans. Raises OSError."""
        for part in self.parts:
            part.content.begin_sync()
        for name in self.names:
            self.files.begin_sync(name)

    def run(self) -> None:
        """Raises OSError; then nothing of it may be taken to be on the disk."""
        self.run_within()
        if self.has_new_names:
            self.files.sync_directory()

    def run_within(self) -> None:
        """As `run`, but for the directory above."""
        for part in self.parts:
            if self.writes_again:
                part.write_again()
            part.content.sync()
        for index, _ in self.transactions:
            self.files.sync(index.path)
        for name in self.names:
            with suppress(FileNotFoundError):
                self.files.sync(name)
        if self.directory is not None:
            self.files.sync_directory(self.directory)
