"""Files on the disk, under one directory: with `descriptors`, the only module that opens any for the log."""

import fcntl
import os
import shutil
from contextlib import suppress
from functools import partial
from pathlib import Path
from sys import maxsize
from typing import Final, NamedTuple

from kpy.protocol.crc import Buffer
from kpy.storage.descriptors import Descriptor, Descriptors
from kpy.storage.files import AlreadyLocked, Content, File, FileRange, Lock, NotResident, follows_cold

OPEN_FILES_MAX: Final = 1024
"""How many files stay open where nobody says otherwise."""
RECENT_BYTES_MAX: Final = 8 * 1024 * 1024
"""So much of what all files together were given last is taken to be in memory without asking: what consumers at the
tail read. The kernel may forget more than that at once if somebody else reads much and memory is short.
"""


class _Mark(NamedTuple):
    """A file's end, and how much all files had been given when it was there."""

    position: int
    written_bytes: int


_NEVER_WRITTEN: Final = _Mark(maxsize, -maxsize)


class DiskFile:
    """A file on the disk. Its size is kept here: one process writes it, and no call is spent on asking.

    It is opened when it is used, and `Descriptors` may close it again.
    """

    __slots__ = (
        "__weakref__",
        "_descriptors",
        "_newer",
        "_older",
        "descriptor",
        "path",
        "recently_used",
        "size",
    )

    def __init__(self, path: str, descriptors: Descriptors) -> None:
        self.path = path
        self.size = 0
        self._older = self._newer = _NEVER_WRITTEN
        self.descriptor: Descriptor | None = None
        self.recently_used = False
        self._descriptors = descriptors
        try:
            self.size = os.stat(path).st_size
        except FileNotFoundError:
            descriptors.create(self)

    def _opened(self) -> Descriptor:
        self.recently_used = True
        return self.descriptor or self._descriptors.open(self)

    def pin(self) -> Content:
        return self._opened()

    def range(self, position: int, size_bytes: int) -> FileRange:
        content = self.pin()
        is_resident = self._is_recent(position) and not follows_cold(content, position, size_bytes)
        return FileRange(content, position, size_bytes, is_resident or None)

    def _is_recent(self, position: int) -> bool:
        """Whether what is behind that position is among the last that any file was given."""
        written = self._descriptors.written_bytes - RECENT_BYTES_MAX
        for mark in (self._newer, self._older):
            if position >= mark.position:
                return mark.written_bytes >= written
        return False

    def append(self, data: Buffer) -> None:
        descriptor = self._opened()
        number = descriptor.fileno()
        size = len(data)
        position = self.size
        written = os.pwrite(number, data, position)
        while written < size:
            written += os.pwrite(number, memoryview(data)[written:], position + written)
        self.size = position + size
        if descriptor.brought_until == position:  # what was cold ends here
            descriptor.brought_until = -1
        descriptors = self._descriptors
        written_bytes = descriptors.written_bytes
        if written_bytes - self._newer.written_bytes > RECENT_BYTES_MAX // 2:
            self._older = self._newer
            self._newer = _Mark(position, written_bytes)
        descriptors.written_bytes = written_bytes + size

    def read_at(self, position: int, size: int) -> bytes:
        return self._opened().read_at(position, min(size, self.size - position)) if position < self.size else b""

    def read_resident(self, position: int, size: int) -> Buffer:
        if position >= self.size:
            return b""
        descriptor = self._opened()
        size = min(size, self.size - position)
        if self._is_recent(position):
            return descriptor.read_at(position, size)
        data = descriptor.read_if_resident(position, size)
        if data is not None:
            return data
        if descriptor.is_resident(position, 1) is None:  # waiting for so little is better than a thread for each time
            return descriptor.read_at(position, size)
        raise NotResident(partial(descriptor.bring, position, size))

    def truncate(self, size: int) -> None:
        descriptor = self._opened()
        os.ftruncate(descriptor.fileno(), size)
        if size < self.size:
            descriptor.cut_at = size
            self._descriptors.forget(self)  # who reads from now on has a descriptor that was not cut
        self.size = size

    def sync(self) -> None:
        self.pin().sync()

    def check_in_place(self) -> None:
        if self.descriptor is None:
            return
        try:
            found, opened = os.stat(self.path), os.fstat(self.descriptor.fileno())
        except OSError:
            self._descriptors.forget(self)
            raise
        if (found.st_ino, found.st_dev) != (opened.st_ino, opened.st_dev):
            self._descriptors.forget(self)

    def close(self) -> None:
        self._descriptors.forget(self)

    def __del__(self) -> None:
        self._descriptors.forget(self)


class _DiskLock:
    __slots__ = ("_descriptor",)

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            raise AlreadyLocked(str(path)) from error

    def release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class DiskFiles:
    """Files under one directory of the disk, which is made if it is not there.

    A new partition takes a dozen of these calls, and its stop another: they are the system's own, on plain strings.
    """

    __slots__ = ("_root", "descriptors")

    is_durable = True

    def __init__(self, root: str | Path, *, open_files_max: int = OPEN_FILES_MAX) -> None:
        self._root = str(root)
        os.makedirs(self._root, exist_ok=True)
        self.descriptors = Descriptors(open_files_max)

    @property
    def location(self) -> str:
        return self._root

    def _path(self, path: str) -> str:
        return f"{self._root}/{path}"

    def _open(self, path: str, flags: int) -> int:
        return self.descriptors.retrying(lambda: os.open(self._path(path), flags | os.O_CLOEXEC, 0o644))

    def open(self, path: str) -> DiskFile:
        return DiskFile(self._path(path), self.descriptors)

    def read(self, path: str) -> bytes | None:
        try:
            return self.descriptors.retrying(Path(self._path(path)).read_bytes)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def replace(self, path: str, data: bytes, *, sync: bool = True) -> None:
        temporary = f"{path}.tmp"
        descriptor = self._open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            written = 0
            while written < len(data):
                written += os.write(descriptor, memoryview(data)[written:])
            if sync:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(self._path(temporary), self._path(path))
        if sync:
            self.sync_directory(os.path.dirname(path))

    def exists(self, path: str) -> bool:
        return os.path.exists(self._path(path))

    def size(self, path: str) -> int:
        return os.stat(self._path(path)).st_size

    def modified_ms(self, path: str) -> int:
        return os.stat(self._path(path)).st_mtime_ns // 1_000_000

    def list(self, path: str = "") -> list[str]:
        try:
            return self.descriptors.retrying(lambda: os.listdir(self._path(path)))
        except FileNotFoundError:
            return []

    def make_directory(self, path: str) -> None:
        try:
            os.mkdir(self._path(path))
        except FileNotFoundError:
            os.makedirs(self._path(path), exist_ok=True)
        except FileExistsError:
            if not os.path.isdir(self._path(path)):
                raise

    def rename(self, path: str, target: str) -> None:
        os.replace(self._path(path), self._path(target))

    def move(self, file: File, path: str, target: str) -> None:
        self.rename(path, target)
        assert isinstance(file, DiskFile)
        file.path = self._path(target)

    def set_modified_ms(self, path: str, modified_ms: int) -> None:
        os.utime(self._path(path), ns=(modified_ms * 1_000_000, modified_ms * 1_000_000))

    def remove(self, path: str) -> None:
        with suppress(FileNotFoundError):
            os.unlink(self._path(path))

    def remove_directory(self, path: str) -> None:
        with suppress(FileNotFoundError):
            shutil.rmtree(self._path(path))

    def begin_sync(self, path: str) -> None:
        from kpy.storage.write_back import begin_writing  # noqa: PLC0415 - a start does not need ctypes

        with suppress(FileNotFoundError):
            descriptor = self._open(path, os.O_RDONLY)
            try:
                begin_writing(descriptor)
            finally:
                os.close(descriptor)

    def sync(self, path: str) -> None:
        self._sync(path, os.O_RDONLY)

    def sync_directory(self, path: str = "") -> None:
        self._sync(path, os.O_RDONLY | os.O_DIRECTORY)

    def _sync(self, path: str, flags: int) -> None:
        descriptor = self._open(path, flags)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def lock(self, path: str) -> Lock:
        return _DiskLock(Path(self._path(path)))
