"""A disk that refuses what a test wants refused, in the middle if it wants that."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kpy.protocol.crc import Buffer
from kpy.storage.disk_files import DiskFile, DiskFiles

Refuses = Callable[[str, str], bool]
"""Of an operation and the path that it is for."""

CHANGES = {"append", "replace", "create", "rename", "remove", "remove_directory", "make_directory", "truncate"}
"""The operations that change what is on the disk; the others are open, read and sync."""


class Disk:
    """What is refused now, and with which error; nothing at first. `tears`: half of what is refused is done."""

    def __init__(self) -> None:
        self.refuses: Refuses = lambda operation, path: False
        self.error = errno.ENOSPC
        self.tears = False

    def check(self, operation: str, path: str) -> None:
        if self.refuses(operation, path):
            raise self.failure()

    def failure(self) -> OSError:
        return OSError(self.error, os.strerror(self.error))


def refuse_writing(operation: str, path: str) -> bool:
    """A full disk."""
    return operation in {"append", "replace"}


class FailingFile(DiskFile):
    """A file on such a disk."""

    __slots__ = ("disk",)

    disk: Disk

    def append(self, data: Buffer) -> None:
        if self.disk.refuses("append", self.path):
            if self.disk.tears:
                os.pwrite(self.pin().fileno(), memoryview(data)[: len(data) // 2], self.size)
            raise self.disk.failure()
        super().append(data)

    def read_at(self, position: int, size: int) -> bytes:
        self.disk.check("read", self.path)
        return super().read_at(position, size)

    def read_resident(self, position: int, size: int) -> Buffer:
        self.disk.check("read", self.path)
        return super().read_resident(position, size)

    def truncate(self, size: int) -> None:
        self.disk.check("truncate", self.path)
        super().truncate(size)

    def sync(self) -> None:
        self.disk.check("sync", self.path)
        super().sync()


class FailingFiles(DiskFiles):
    """The files of such a disk."""

    __slots__ = ()

    disk: Disk

    def open(self, path: str) -> DiskFile:
        full_path = Path(self.location) / path
        self.disk.check("open" if full_path.exists() else "create", path)
        file = FailingFile(str(full_path), self.descriptors)
        file.disk = self.disk
        return file

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

    def sync_directory(self, path: str = "") -> None:
        self.disk.check("sync", path)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """The disk that brokers of this test write to."""
    made = Disk()
    monkeypatch.setattr(FailingFiles, "disk", made, raising=False)
    monkeypatch.setattr("kpy.server.data_directory.DiskFiles", FailingFiles)
    return made
