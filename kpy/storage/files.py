"""The seam to the disk: `DiskFiles` keeps files in a directory, `MemoryFiles` has the same face and keeps nothing.

Paths are relative, with `/` between names. A `File` is written at its end only, and read by position. A `FileRange`
names bytes of a file without reading them, so that the network layer can hand them to the kernel.
"""

import fcntl
import os
import shutil
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from kpy.protocol.crc import Buffer

_BLOCK_BYTES_MAX: Final = 1024 * 1024


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

    def list(self, path: str = "") -> list[str]:
        """The names in a directory, in no order; none if it is not there."""

    def make_directory(self, path: str) -> None: ...

    def rename(self, path: str, target: str) -> None:
        """Rename a file or directory, replacing a file of that name."""

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


class DiskFile:
    """A file on the disk. Its size is kept here: one process writes it, and no call is spent on asking."""

    __slots__ = ("_descriptor", "path", "size")

    def __init__(self, path: str) -> None:
        self.path = path
        self._descriptor = -1
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self.size = os.fstat(self._descriptor).st_size

    def append(self, data: Buffer) -> None:
        size = len(data)
        position = self.size
        written = os.pwrite(self._descriptor, data, position)
        while written < size:
            written += os.pwrite(self._descriptor, memoryview(data)[written:], position + written)
        self.size = position + size

    def read_at(self, position: int, size: int) -> bytes:
        return os.pread(self._descriptor, min(size, self.size - position), position) if position < self.size else b""

    def truncate(self, size: int) -> None:
        os.ftruncate(self._descriptor, size)
        self.size = size

    def sync(self) -> None:
        os.fdatasync(self._descriptor) if hasattr(os, "fdatasync") else os.fsync(self._descriptor)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        # A segment may be removed while a reply is being sent from it: the last one to hold the file closes it.
        self.close()

    def fileno(self) -> int:
        return self._descriptor


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
    """Files under one directory of the disk, which is made if it is not there."""

    __slots__ = ("_root",)

    def __init__(self, root: str | Path) -> None:
        self._root = Path(root)
        self._root.mkdir(parents=True, exist_ok=True)

    @property
    def location(self) -> str:
        return str(self._root)

    def open(self, path: str) -> DiskFile:
        return DiskFile(str(self._root / path))

    def read(self, path: str) -> bytes | None:
        try:
            return (self._root / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def replace(self, path: str, data: bytes, *, sync: bool = True) -> None:
        temporary = self._root / f"{path}.tmp"
        with temporary.open("wb") as file:
            file.write(data)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(self._root / path)
        if sync:
            self.sync_directory(os.path.dirname(path))

    def exists(self, path: str) -> bool:
        return (self._root / path).exists()

    def size(self, path: str) -> int:
        return (self._root / path).stat().st_size

    def list(self, path: str = "") -> list[str]:
        try:
            return os.listdir(self._root / path)
        except FileNotFoundError:
            return []

    def make_directory(self, path: str) -> None:
        (self._root / path).mkdir(parents=True, exist_ok=True)

    def rename(self, path: str, target: str) -> None:
        (self._root / path).replace(self._root / target)

    def remove(self, path: str) -> None:
        (self._root / path).unlink(missing_ok=True)

    def remove_directory(self, path: str) -> None:
        shutil.rmtree(self._root / path, ignore_errors=True)

    def sync_directory(self, path: str = "") -> None:
        descriptor = os.open(self._root / path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def lock(self, path: str) -> Lock:
        return _DiskLock(self._root / path)


class MemoryFile:
    """A file in blocks that never move, so that what was read of it stays a view without a copy."""

    __slots__ = ("_blocks", "_starts", "size")

    def __init__(self) -> None:
        self._blocks: list[bytearray] = []
        self._starts: list[int] = []
        self.size = 0

    def append(self, data: Buffer) -> None:
        size = len(data)
        if not size:
            return
        room = self._starts[-1] + len(self._blocks[-1]) - self.size if self._blocks else 0
        if size <= room:
            self._write(self._blocks[-1], self.size - self._starts[-1], data)
        else:
            view = memoryview(data)
            if room:
                self._write(self._blocks[-1], len(self._blocks[-1]) - room, view[:room])
            block = bytearray(max(size - room, min(self.size, _BLOCK_BYTES_MAX)))
            self._write(block, 0, view[room:])
            self._blocks.append(block)
            self._starts.append(self.size + room)
        self.size += size

    @staticmethod
    def _write(block: bytearray, position: int, data: Buffer) -> None:
        memoryview(block)[position : position + len(data)] = data  # a bytearray's own slice copies a view twice

    def read_at(self, position: int, size: int) -> Buffer:
        end = min(position + size, self.size)
        if position >= end:
            return b""
        parts = list(self._views(position, end))
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _views(self, position: int, end: int) -> Iterator[memoryview]:
        index = bisect_right(self._starts, position) - 1
        while position < end:
            start = self._starts[index]
            view = memoryview(self._blocks[index])[position - start : end - start].toreadonly()
            yield view
            position += len(view)
            index += 1

    def truncate(self, size: int) -> None:
        while self._starts and self._starts[-1] >= size:
            self._starts.pop()
            self._blocks.pop()
        if self._blocks:  # a view of the old end keeps the old block
            self._blocks[-1] = self._blocks[-1][: size - self._starts[-1]]
        self.size = size

    def sync(self) -> None:
        pass

    def close(self) -> None:
        pass

    def fileno(self) -> None:
        return None


class _MemoryLock:
    __slots__ = ("_locked", "_path")

    def __init__(self, locked: set[str], path: str) -> None:
        if path in locked:
            raise AlreadyLocked(path)
        locked.add(path)
        self._locked = locked
        self._path = path

    def release(self) -> None:
        self._locked.discard(self._path)


class MemoryFiles:
    """Files in memory, for tests and for brokers that keep nothing. Directories are in the root only."""

    __slots__ = ("_directories", "_locked")

    location = "memory"

    def __init__(self) -> None:
        self._directories: dict[str, dict[str, MemoryFile]] = {"": {}}
        self._locked: set[str] = set()

    def open(self, path: str) -> MemoryFile:
        directory, _, name = path.rpartition("/")
        files = self._directory(directory)
        file = files.get(name)
        if file is None:
            file = files[name] = MemoryFile()
        return file

    def read(self, path: str) -> bytes | None:
        file = self._file(path)
        return None if file is None else bytes(file.read_at(0, file.size))

    def replace(self, path: str, data: bytes, *, sync: bool = True) -> None:
        file = MemoryFile()
        if data:
            file.append(data)
        directory, _, name = path.rpartition("/")
        self._directory(directory)[name] = file

    def exists(self, path: str) -> bool:
        return path in self._directories or self._file(path) is not None

    def size(self, path: str) -> int:
        file = self._file(path)
        if file is None:
            raise FileNotFoundError(path)
        return file.size

    def list(self, path: str = "") -> list[str]:
        files = list(self._directories.get(path, ()))
        return files if path else files + [directory for directory in self._directories if directory]

    def make_directory(self, path: str) -> None:
        self._directories.setdefault(path, {})

    def rename(self, path: str, target: str) -> None:
        if path in self._directories:
            self._directories[target] = self._directories.pop(path)
            return
        directory, _, name = path.rpartition("/")
        file = self._directory(directory).pop(name, None)
        if file is None:
            raise FileNotFoundError(path)
        directory, _, name = target.rpartition("/")
        self._directory(directory)[name] = file

    def remove(self, path: str) -> None:
        directory, _, name = path.rpartition("/")
        self._directories.get(directory, {}).pop(name, None)

    def remove_directory(self, path: str) -> None:
        self._directories.pop(path, None)

    def sync_directory(self, path: str = "") -> None:
        pass

    def lock(self, path: str) -> Lock:
        return _MemoryLock(self._locked, path)

    def _directory(self, path: str) -> dict[str, MemoryFile]:
        try:
            return self._directories[path]
        except KeyError:
            raise FileNotFoundError(path) from None

    def _file(self, path: str) -> MemoryFile | None:
        directory, _, name = path.rpartition("/")
        return self._directories.get(directory, {}).get(name)
