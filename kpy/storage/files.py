"""The seam to the disk: what the log asks of files, whoever keeps them.

`kpy.storage.disk_files` keeps them in a directory of the disk, `kpy.storage.memory_files` in memory. Paths are
relative, with `/` between names. A `File` is written at its end only, and read by position. A `FileRange` names bytes
of a file without reading them, so that the network layer can hand them to the kernel; it holds the file's `Content`,
so that the bytes stay what they are whatever becomes of the file.

Reading may have to wait for the disk. Who must not wait asks whether bytes are resident, which is in memory, and has
another thread `bring` them there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from kpy.protocol.crc import Buffer

T = TypeVar("T")


class NotResident(Exception):
    """What was to be found without waiting is not in memory.

    Have a thread that may wait call `bring`, hand its result to `learn`, and ask again. Raises OSError.
    """

    def __init__(self, bring: Callable[[], T], learn: Callable[[T], object] = lambda _result: None) -> None:
        super().__init__()
        self.bring = bring
        self.learn: Callable[[Any], object] = learn


class Content(Protocol):
    """The bytes of a file for as long as somebody holds this; may be used from any thread.

    `has_failed`: somebody could not read them all. `brought_until`: up to where `bring` was called last.
    """

    has_failed: bool
    brought_until: int

    def fileno(self) -> int | None:
        """The descriptor for sendfile, None if there is none."""

    def read_at(self, position: int, size: int) -> Buffer:
        """Bytes that the file has had; OSError if it was cut there."""

    def is_cut(self, position: int, size: int) -> bool:
        """Whether the file was cut before the end of those bytes."""

    def is_resident(self, position: int, size: int) -> bool | None:
        """Whether those bytes can be read without waiting for a disk; None if that cannot be known."""

    def bring(self, position: int, size: int) -> None:
        """Make those bytes resident."""

    def write_at(self, position: int, data: Buffer) -> None:
        """Write over bytes that the file has."""

    def begin_sync(self) -> None:
        """Have the disk begin with what `sync` waits for; for who is about to sync many."""

    def sync(self) -> None:
        """What was written to the file is on the disk when this returns."""

    def deleted_bytes(self) -> int:
        """What the content takes although no name leads to it any more."""


class File(Protocol):
    """One file."""

    @property
    def size(self) -> int: ...

    def append(self, data: Buffer) -> None:
        """Write all of `data` at the end, or raise OSError and leave the size as it was."""

    def read_at(self, position: int, size: int) -> Buffer:
        """The bytes from `position`, fewer if the file ends before."""

    def read_resident(self, position: int, size: int) -> Buffer:
        """As `read_at`, without waiting; raises NotResident."""

    def pin(self) -> Content:
        """The content, to be held."""

    def range(self, position: int, size_bytes: int) -> "FileRange":
        """Some bytes, to be sent."""

    def truncate(self, size: int) -> None: ...

    def sync(self) -> None:
        """What was written is on the disk when this returns."""

    def check_in_place(self) -> None:
        """OSError if the name of the file leads nowhere; what is appended next goes to the file of that name."""

    def close(self) -> None: ...


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

    @property
    def is_durable(self) -> bool:
        """Whether there is a disk to wait for."""

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

    def begin_sync(self, path: str) -> None:
        """Have the disk begin with what `sync` waits for, if there is such a file."""

    def sync(self, path: str) -> None:
        """The content of a file that was replaced is on the disk when this returns."""

    def sync_directory(self, path: str = "") -> None:
        """Names that were added, renamed or removed in it stay so over a power cut."""

    def lock(self, path: str) -> Lock:
        """Take the lock on that file or raise AlreadyLocked."""


def follows_cold(content: Content, position: int, size_bytes: int) -> bool:
    """Whether what was brought last ends there: the kernel may have begun to read on behind it, and not have done."""
    return position <= content.brought_until < position + size_bytes


@dataclass(frozen=True, slots=True)
class FileRange:
    """Some bytes of a file, to be sent."""

    content: Content
    position: int
    size_bytes: int
    is_resident: bool | None = None
    """Whether they are taken to be resident, as what was appended last is; None if that has to be asked."""

    def fileno(self) -> int | None:
        return self.content.fileno()

    def read(self) -> Buffer:
        return self.content.read_at(self.position, self.size_bytes)
