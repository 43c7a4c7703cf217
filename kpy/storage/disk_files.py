"""Files on the disk, under one directory: the only module that opens any for the log."""

import fcntl
import os
import shutil
from pathlib import Path

from kpy.protocol.crc import Buffer
from kpy.storage.files import AlreadyLocked, File, Lock


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

    def modified_ms(self, path: str) -> int:
        return (self._root / path).stat().st_mtime_ns // 1_000_000

    def list(self, path: str = "") -> list[str]:
        try:
            return os.listdir(self._root / path)
        except FileNotFoundError:
            return []

    def make_directory(self, path: str) -> None:
        (self._root / path).mkdir(parents=True, exist_ok=True)

    def rename(self, path: str, target: str) -> None:
        (self._root / path).replace(self._root / target)

    def move(self, file: File, path: str, target: str) -> None:
        self.rename(path, target)
        assert isinstance(file, DiskFile)
        file.path = str(self._root / target)

    def set_modified_ms(self, path: str, modified_ms: int) -> None:
        os.utime(self._root / path, ns=(modified_ms * 1_000_000, modified_ms * 1_000_000))

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
