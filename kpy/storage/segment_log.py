"""The `.log` file of a segment: its bytes, and what is known of them.

Bytes that an earlier process wrote are verified when they are first read. What turns out damaged is quarantined (see
`kpy.storage.quarantine`), and every walk goes around it.
"""

import logging
from collections.abc import Iterator, Sequence

from kpy.protocol.crc import Buffer
from kpy.protocol.records import BatchHeader
from kpy.storage.batch_scan import scan_headers
from kpy.storage.files import File, FileRange, Files
from kpy.storage.flushing import Unsynced
from kpy.storage.log_context import DELETED_SUFFIX
from kpy.storage.quarantine import Damage, Quarantine
from kpy.storage.segment_files import INDEX_SUFFIXES, LOG_SUFFIX, file_name
from kpy.storage.verification import ReadAt

_logger = logging.getLogger(__name__)


class SegmentLog:
    """The file that begins with `base_offset`, in the log's directory."""

    __slots__ = ("_directory", "_files", "_log", "_quarantine", "base_offset")

    def __init__(self, files: Files, directory: str, base_offset: int) -> None:
        self._files = files
        self._directory = directory
        self.base_offset = base_offset
        self._log: File = files.open(self.path(LOG_SUFFIX))
        self._quarantine = Quarantine(self._log.size, is_end_known=False)

    def path(self, suffix: str) -> str:
        return f"{self._directory}/{file_name(self.base_offset, suffix)}"

    @property
    def name(self) -> str:
        """For messages."""
        return self.path(LOG_SUFFIX)

    @property
    def size(self) -> int:
        return self._log.size

    def read(self, position: int, size_bytes: int) -> Buffer:
        """Bytes of the file, whatever they are."""
        return self._log.read_at(position, size_bytes)

    def batch_at(self, position: int, header: BatchHeader, *, may_wait: bool = True) -> Buffer:
        return self._read_at(may_wait=may_wait)(position, header.size_bytes)

    def _read_at(self, *, may_wait: bool) -> ReadAt:
        """What reads the file; it raises NotResident unless it `may_wait` for the disk."""
        return self._log.read_at if may_wait else self._log.read_resident

    def range(self, position: int, size: int) -> FileRange:
        return self._log.range(position, size)

    def unsynced(self, position: int) -> Unsynced:
        """The bytes from that position on, for a flush."""
        return Unsynced(self._log.pin(), position, self._log.size)

    def check_in_place(self) -> None:
        """OSError if the file has vanished although it is still open: what is written to it would be lost."""
        self._log.check_in_place()

    def close(self) -> None:
        self._log.close()

    def retire(self) -> list[str]:
        """Rename the files, so that no start takes them for a segment; returns what they are called now.

        Ranges that were read of it stay readable.
        """
        path = self.path(LOG_SUFFIX)
        if self._files.exists(path):  # else it has vanished, or was renamed before the disk refused the next
            self._files.move(self._log, path, path + DELETED_SUFFIX)
        deleted = [path + DELETED_SUFFIX]
        for suffix in INDEX_SUFFIXES:
            path = self.path(suffix)
            if self._files.exists(path):
                self._files.rename(path, path + DELETED_SUFFIX)
                deleted.append(path + DELETED_SUFFIX)
        return deleted

    def _cut(self, position: int, offset: int) -> None:
        """The log ends here. On the disk too, at once: what was cut must not come back behind what is appended."""
        _logger.warning(
            "%s: cut %d bytes, all from byte %d and offset %d on: a log has no holes behind its recovery point",
            self.path(LOG_SUFFIX), self._log.size - position, position, offset,
        )  # fmt: skip
        self._log.truncate(position)
        self._log.sync()

    # --- what is damaged

    @property
    def damages(self) -> Sequence[Damage]:
        """The ranges in quarantine, as far as they have been read."""
        return self._quarantine.damages

    def sound_end(self, position: int) -> int:
        """How far the bytes from that position on are not known to be damaged."""
        return next((end for _, end in self._quarantine.stretches(position, self._log.size)), position)

    def damage_of(self, offset: int) -> Damage | None:
        """The damage that a record of that offset was lost in."""
        return self._quarantine.of_offset(offset)

    def is_verified(self, start: int, end: int | None = None) -> bool:
        """Whether it is known what those bytes are; without an end, also what is missing behind the last."""
        if end is None:
            return self._quarantine.is_end_known and self._quarantine.is_verified(start, self._log.size)
        return self._quarantine.is_verified(start, end)

    def miss(self, first_offset: int, next_offset: int) -> None:
        """Records of those offsets were flushed, and the file ends before them."""
        reason = "they were flushed, and the file ends before them"
        missing = Damage(self._log.size, self._log.size, first_offset, next_offset, reason)
        self._quarantine_range(self._quarantine, missing)

    def _quarantine_range(self, quarantine: Quarantine, damage: Damage) -> None:
        if quarantine.add(damage):
            _logger.error("%s: quarantined %s", self.path(LOG_SUFFIX), damage)

    # --- walking

    def headers(
        self, position: int = 0, end: int | None = None, *, may_wait: bool = True
    ) -> Iterator[tuple[int, BatchHeader]]:
        """Position and header of the batches from that position on, which must be the start of one.

        Raises NotResident unless it `may_wait` for the disk.
        """
        read_at = self._read_at(may_wait=may_wait)
        for start, stop in self._quarantine.stretches(position, self._log.size if end is None else end):
            yield from scan_headers(self._log, start, stop, read_at)

    def reaching(
        self, start: int, timestamp: int, start_offset: int, *, may_wait: bool
    ) -> Iterator[tuple[int, BatchHeader]]:
        """As `headers`, of the batches that reach that offset and whose largest timestamp is at least that."""
        for position, header in self.headers(start, may_wait=may_wait):
            if header.max_timestamp >= timestamp and header.last_offset >= start_offset:
                yield position, header
