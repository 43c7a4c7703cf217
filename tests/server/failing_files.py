"""A disk that refuses what a test wants refused."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kpy.protocol.crc import Buffer
from kpy.storage.files import DiskFile, DiskFiles

Refuses = Callable[[str, str], bool]
"""Of an operation (open, append, read, sync, replace, rename) and the path that it is for."""


class Disk:
    """What is refused now, and with which error; nothing at first."""

    def __init__(self) -> None:
        self.refuses: Refuses = lambda operation, path: False
        self.error = errno.ENOSPC

    def check(self, operation: str, path: str) -> None:
        if self.refuses(operation, path):
            raise OSError(self.error, os.strerror(self.error))


def refuse_writing(operation: str, path: str) -> bool:
    """A full disk."""
    return operation in {"append", "replace"}


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """The disk that brokers of this test write to."""
    made = Disk()

    class File(DiskFile):
        __slots__ = ()

        def append(self, data: Buffer) -> None:
            made.check("append", self.path)
            super().append(data)

        def read_at(self, position: int, size: int) -> bytes:
            made.check("read", self.path)
            return super().read_at(position, size)

        def sync(self) -> None:
            made.check("sync", self.path)
            super().sync()

    class Files(DiskFiles):
        __slots__ = ()

        def open(self, path: str) -> DiskFile:
            made.check("open", path)
            return File(str(Path(self.location) / path))

        def replace(self, path: str, data: bytes, *, sync: bool = True) -> None:
            made.check("replace", path)
            super().replace(path, data, sync=sync)

        def rename(self, path: str, target: str) -> None:
            made.check("rename", path)
            super().rename(path, target)

        def sync_directory(self, path: str = "") -> None:
            made.check("sync", path)
            super().sync_directory(path)

    monkeypatch.setattr("kpy.server.data_directory.DiskFiles", Files)
    return made
