"""The seam to the disk: what the log asks of files, whoever keeps them.

`kpy.storage.disk_files` keeps them in a directory of the disk, `kpy.storage.memory_files` in memory. Paths are
relative, with `/` between names. A `File` is written at its end only, and read by position. A `FileRange` names bytes
of a file without reading them, so that the network layer can hand them to the kernel.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from kpy.protocol.crc import Buffer


class File(Protocol):
    """One open file."""

    @property
    def size(self) -> int: ...

    def append(self, data: Buffer) -> None:
        """Write all of `data` at the end, or raise OSError and leave the size as it was."""

    def read_at(self, position: int, size: int) -> Buffer:
        """The bytes from `position`, fewer if the file ends before."""

    def truncate(self, size: int) -> None: ...

    def sync(self) -> None:
        """What was written is on the disk when this returns."""

    def close(self) -> None: ...

    def fileno(self) -> int | None:
        """The descriptor for sendfile, None if there is none."""


class Lock(Protocol):
    """A lock on a directory, held until released or until the process ends."""

    def release(self) -> None: ...


class AlreadyLocked(OSError):
    """Someone else holds the lock."""


class Files(Protocol):
    """A tree of files."""

    @property
    def location(self) -> str:
        """Where the files are, for messages."""

    def open(self, path: str) -> File:
        """The file for reading and appending, created if it is not there."""

    def read(self, path: str) -> bytes | None:
        """The whole content, None if there is no such file."""

    def replace(self, path: str, data: bytes, *, sync: bool = True) -> None:
        """Make `data` the content in one step: after a crash the file has the old content or the new."""

    def exists(self, path: str) -> bool: ...

    def size(self, path: str) -> int:
        """The size of a file that is there."""

    def modified_ms(self, path: str) -> int | None:
        """When a file that is there was last written, None if these files do not know such times."""

    def list(self, path: str = "") -> list[str]:
        """The names in a directory, in no order; none if it is not there."""

    def make_directory(self, path: str) -> None: ...

    def rename(self, path: str, target: str) -> None:
        """Rename a file or directory, replacing a file of that name."""

    def move(self, file: File, path: str, target: str) -> None:
        """Rename an open file, which goes on to be what it was."""

    def set_modified_ms(self, path: str, modified_ms: int) -> None:
        """Let `modified_ms` say that time, if these files know such times."""

    def remove(self, path: str) -> None:
        """Remove a file; it is no error if it is not there."""

    def remove_directory(self, path: str) -> None:
        """Remove a directory and all in it."""

    def sync_directory(self, path: str = "") -> None:
        """Names that were added, renamed or removed in it stay so over a power cut."""

    def lock(self, path: str) -> Lock:
        """Take the lock on that file or raise AlreadyLocked."""


@dataclass(frozen=True, slots=True)
class FileRange:
    """Some bytes of a file, to be sent."""

    file: File
    position: int
    size_bytes: int

    def fileno(self) -> int | None:
        return self.file.fileno()

    def read(self) -> Buffer:
        return self.file.read_at(self.position, self.size_bytes)

    def chunks(self, size_bytes_max: int) -> Iterator[Buffer]:
        """The same bytes in pieces, for a copy that should not hold all of them at once."""
        end = self.position + self.size_bytes
        for position in range(self.position, end, size_bytes_max):
            yield self.file.read_at(position, min(size_bytes_max, end - position))
