"""The transaction index of a segment: the aborted transactions whose markers are in it (KIP-98).

An entry of the file is 34 bytes, big-endian: version int16 (0), producer id int64, the transaction's first offset
int64, its last one, which is that of the marker, int64, and the last stable offset of the log at that time int64. Last
offsets ascend. There is no file until there is an entry.

A consumer that reads committed records is told by it what to drop. Unlike the other indexes it cannot be seen to be
missing, so it is written and synced with the log, and recovery finds the entries of what was not flushed again.
"""

import struct
from bisect import bisect_left
from operator import attrgetter
from typing import Final, NamedTuple

from kpy.storage.files import Files
from kpy.storage.offset_index import IndexCorrupt

ENTRY_BYTES: Final = 34
_ENTRY: Final = struct.Struct(">hqqqq")
_VERSION: Final = 0


class AbortedTransaction(NamedTuple):
    """One entry."""

    producer_id: int
    first_offset: int
    last_offset: int
    last_stable_offset: int
    """Where the oldest transaction began that was open still, or the offset after the marker."""


class TransactionIndex:
    """The entries in memory, and the file that they are appended to by `write`.

    Invariant: last offsets ascend strictly.
    """

    __slots__ = ("_files", "_stored", "_synced", "entries", "path")

    def __init__(self, files: Files, path: str) -> None:
        self._files = files
        self.path = path
        self.entries: list[AbortedTransaction] = []
        self._stored = 0
        """So many of the entries are in the file."""
        self._synced = 0
        """And so many of those are on the disk."""

    def append(self, aborted: AbortedTransaction) -> None:
        self.entries.append(aborted)

    def collect(self, fetch_offset: int, upper_bound: int, found: list[AbortedTransaction]) -> bool:
        """Add the transactions that overlap with those offsets, the upper one excluded, to `found`.

        True if no later segment has more of them: at the time of an entry all before the bound was decided.
        """
        for aborted in self.entries[bisect_left(self.entries, fetch_offset, key=attrgetter("last_offset")) :]:
            if aborted.first_offset < upper_bound:
                found.append(aborted)
            if aborted.last_stable_offset >= upper_bound:
                return True
        return False

    # --- the file

    def load(self, base_offset: int) -> None:
        """Read the file, if there is one; IndexCorrupt if it is not an index of a segment from that offset on."""
        data = self._files.read(self.path) or b""
        if len(data) % ENTRY_BYTES:
            raise IndexCorrupt(f"{len(data)} bytes are no multiple of {ENTRY_BYTES}")
        previous = base_offset - 1
        entries = []
        for version, *fields in _ENTRY.iter_unpack(data):
            aborted = AbortedTransaction(*fields)
            if version != _VERSION or aborted.last_offset <= previous or aborted.first_offset > aborted.last_offset:
                raise IndexCorrupt(f"there cannot be an entry of version {version} that says {aborted}")
            previous = aborted.last_offset
            entries.append(aborted)
        self.entries = entries
        self._stored = self._synced = len(entries)

    def reset(self) -> None:
        """Forget all entries, in the file too."""
        self._files.remove(self.path)
        self.entries.clear()
        self._stored = self._synced = 0

    def write(self) -> None:
        """Have all entries in the file. After an OSError the next call tries again."""
        if self._stored == len(self.entries):
            return
        file = self._files.open(self.path)
        try:
            if file.size < self._stored * ENTRY_BYTES:  # somebody else was here
                self._stored = self._synced = 0
            file.truncate(self._stored * ENTRY_BYTES)  # what a call left that failed
            file.append(b"".join(_ENTRY.pack(_VERSION, *aborted) for aborted in self.entries[self._stored :]))
        finally:
            file.close()
        self._stored = len(self.entries)

    def unsynced(self) -> int | None:
        """How many entries are in the file now, if some may not be on the disk yet."""
        self.write()
        return self._stored if self._synced < self._stored else None

    def flush(self) -> None:
        """All entries are on the disk when this returns."""
        entries = self.unsynced()
        if entries is not None:
            self._files.sync(self.path)
            self.synced(entries)

    def synced(self, entries: int) -> None:
        """So many are on the disk."""
        self._synced = max(self._synced, min(entries, self._stored))
