"""A disk that refuses what a test wants refused, in the middle if it wants that."""

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from kpy.protocol.crc import Buffer
from kpy.storage.disk_files import DiskFile, DiskFiles
from kpy.storage.files import Content, NotResident

Refuses = Callable[[str, str], bool]
"""Of an operation and the path that it is for."""

CHANGES = {"append", "replace", "create", "rename", "remove", "remove_directory", "make_directory", "truncate"}
"""The operations that change what is on the disk; the others are open, read, read whole and sync."""


class Disk:
    """What is refused now, and with which error; nothing at first. `tears`: half of what is refused is done."""

    def __init__(self) -> None:
        self.refuses: Refuses = lambda operation, path: False
        self.error = errno.ENOSPC
        self.tears = False
        self.syncing = threading.Event()
        self.syncing.set()
        self.synced: list[str] = []
        self.written_again: list[tuple[str, int, int]] = []
        self.is_cold: Callable[[str], bool] = lambda path: False
        self.bringing = (0, 0)
        self.brought: list[tuple[str, int, int]] = []
        self.copied: list[tuple[str, int, int]] = []
        """What was read of what is held of files, as replies hold it."""

    def check(self, operation: str, path: str) -> None:
        if self.refuses(operation, path):
            raise self.failure()

    def has(self, path: str, position: int, size: int) -> bool:
        """Whether the bytes are in memory: in a cold file, if they were brought there."""
        return not self.is_cold(path) or any(
            brought == path and start <= position and position + size <= start + length
            for brought, start, length in self.brought
        )

    def failure(self) -> OSError:
        return OSError(self.error, os.strerror(self.error))


def refuse_writing(operation: str, path: str) -> bool:
    """A full disk."""
    return operation in {"append", "replace"}


class FailingContent:
    """What is held of a file on such a disk. Each sync is counted, and waits if `disk.syncing` is a closed gate."""

    def __init__(self, content: Content, disk: Disk, path: str) -> None:
        self._content = content
        self._disk = disk
        self._path = path

    @property
    def has_failed(self) -> bool:
        return self._content.has_failed

    @has_failed.setter
    def has_failed(self, has_failed: bool) -> None:
        self._content.has_failed = has_failed

    @property
    def brought_until(self) -> int:
        return self._content.brought_until

    def fileno(self) -> int | None:
        return self._content.fileno()

    def is_cut(self, position: int, size: int) -> bool:
        return self._content.is_cut(position, size)

    def read_at(self, position: int, size: int) -> Buffer:
        self._disk.check("read", self._path)
        self._disk.copied.append((self._path, position, size))
        return self._content.read_at(position, size)

    def is_resident(self, position: int, size: int) -> bool | None:
        return self._disk.has(self._path, position, size) and self._content.is_resident(position, size)

    def bring(self, position: int, size: int) -> None:
        self._disk.bringing = position, size
        self._disk.check("bring", self._path)
        self._disk.brought.append((self._path, position, size))
        self._content.bring(position, size)

    def write_at(self, position: int, data: Buffer) -> None:
        self._disk.check("write again", self._path)
        self._disk.written_again.append((self._path, position, len(data)))
        self._content.write_at(position, data)

    def begin_sync(self) -> None:
        self._content.begin_sync()

    def sync(self) -> None:
        self._disk.synced.append(self._path)
        self._disk.syncing.wait(timeout=10)
        self._disk.check("sync", self._path)
        self._content.sync()

    def deleted_bytes(self) -> int:
        return self._content.deleted_bytes()


class FailingFile(DiskFile):
    """A file on such a disk."""

    __slots__ = ("disk",)

    disk: Disk

    def append(self, data: Buffer) -> None:
        if self.disk.refuses("append", self.path):
            if self.disk.tears:
                os.pwrite(self._opened().fileno(), memoryview(data)[: len(data) // 2], self.size)
            raise self.disk.failure()
        super().append(data)

    def read_at(self, position: int, size: int) -> bytes:
        self.disk.check("read", self.path)
        return super().read_at(position, size)

    def _is_recent(self, position: int) -> bool:
        return super()._is_recent(position) and not self.disk.is_cold(self.path)

    def read_resident(self, position: int, size: int) -> Buffer:
        self.disk.check("read", self.path)
        size = min(size, self.size - position)
        if not self.disk.has(self.path, position, size):
            raise NotResident(lambda: self.pin().bring(position, size))
        return super().read_resident(position, size)

    def truncate(self, size: int) -> None:
        self.disk.check("truncate", self.path)
        super().truncate(size)

    def pin(self) -> Content:
        return FailingContent(super().pin(), self.disk, self.path)


class FailingFiles(DiskFiles):
    """The files of such a disk. What is synced has to be there; tests of what a program does need not wait for it."""

    __slots__ = ()

    disk: Disk

    def open(self, path: str) -> DiskFile:
        full_path = Path(self.location) / path
        self.disk.check("open" if full_path.exists() else "create", path)
        file = FailingFile(str(full_path), self.descriptors)
        file.disk = self.disk
        return file

    def read(self, path: str) -> bytes | None:
        self.disk.check("read whole", path)
        return super().read(path)

    def replace(self, path: str, data: bytes, *, sync: bool = True) -> None:
        if self.disk.refuses("replace", path):
            if self.disk.tears:
                (Path(self.location) / f"{path}.tmp").write_bytes(data[: len(data) // 2])
            raise self.disk.failure()
        super().replace(path, data, sync=False)

    def make_directory(self, path: str) -> None:
        self.disk.check("make_directory", path)
        super().make_directory(path)

    def rename(self, path: str, target: str) -> None:
        self.disk.check("rename", path)
        super().rename(path, target)

    def remove(self, path: str) -> None:
        self.disk.check("remove", path)
        super().remove(path)

    def remove_directory(self, path: str) -> None:
        if self.disk.refuses("remove_directory", path):
            if self.disk.tears:
                files = sorted((Path(self.location) / path).iterdir())
                for file in files[: len(files) // 2]:
                    file.unlink()
            raise self.disk.failure()
        super().remove_directory(path)

    def begin_sync(self, path: str) -> None:
        pass

    def sync(self, path: str) -> None:
        self.disk.check("sync", path)
        (Path(self.location) / path).stat()

    def sync_directory(self, path: str = "") -> None:
        self.sync(path)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """The disk that brokers of this test write to."""
    made = Disk()
    monkeypatch.setattr(FailingFiles, "disk", made, raising=False)
    monkeypatch.setattr("kpy.server.data_directory.DiskFiles", FailingFiles)
    return made
