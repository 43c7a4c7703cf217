"""Files in memory, with the face of those on the disk: for tests, and for brokers that keep nothing."""

from bisect import bisect_right
from collections.abc import Iterator
from typing import Final

from kpy.protocol.crc import Buffer
from kpy.storage.files import AlreadyLocked, File, Lock

_BLOCK_BYTES_MAX: Final = 1024 * 1024


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

    def modified_ms(self, path: str) -> None:
        return None

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

    def move(self, file: File, path: str, target: str) -> None:
        self.rename(path, target)

    def set_modified_ms(self, path: str, modified_ms: int) -> None:
        pass

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
