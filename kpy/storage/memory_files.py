"""Files in memory, with the face of those on the disk: for tests, and for brokers that keep nothing."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Final

from kpy.protocol.crc import Buffer
from kpy.storage.files import AlreadyLocked, File, FileRange, Lock

_BLOCK_BYTES_MAX: Final = 1024 * 1024


class MemoryContent:
    """Bytes in blocks that never move and are only ever added to: who holds it reads what was there."""

    __slots__ = ("_blocks", "_starts", "is_deleted")

    def __init__(self, blocks: list[bytearray], starts: list[int]) -> None:
        self._blocks = blocks
        self._starts = starts
        self.is_deleted = False

    @property
    def allocated_bytes(self) -> int:
        return self._starts[-1] + len(self._blocks[-1]) if self._blocks else 0

    def write(self, position: int, data: Buffer) -> None:
        """Write at the end, in the room that is there."""
        # a bytearray's own slice copies a view twice
        start = position - self._starts[-1]
        memoryview(self._blocks[-1])[start : start + len(data)] = data

    def grow(self, size: int) -> None:
        """Have room for so many bytes more."""
        self._starts.append(self.allocated_bytes)
        self._blocks.append(bytearray(size))

    def cut(self, size: int) -> "MemoryContent":
        """The same bytes up to that size: who holds the old content keeps the old block."""
        count = bisect_left(self._starts, size)
        blocks, starts = self._blocks[:count], self._starts[:count]
        if blocks:
            blocks[-1] = blocks[-1][: size - starts[-1]]
        return MemoryContent(blocks, starts)

    def read_at(self, position: int, size: int) -> Buffer:
        parts = list(self._views(position, position + size))
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _views(self, position: int, end: int) -> Iterator[memoryview]:
        index = bisect_right(self._starts, position) - 1
        while position < end:
            start = self._starts[index]
            view = memoryview(self._blocks[index])[position - start : end - start].toreadonly()
            yield view
            position += len(view)
            index += 1

    def fileno(self) -> None:
        return None

    def is_resident(self, position: int, size: int) -> bool:
        return True

    def bring(self, position: int, size: int) -> None:
        pass

    def write_at(self, position: int, data: Buffer) -> None:
        raise AssertionError("memory loses nothing that would have to be written again")

    def sync(self) -> None:
        pass

    def deleted_bytes(self) -> int:
        return self.allocated_bytes if self.is_deleted else 0


class MemoryFile:
    """A file in memory: a content that grows."""

    __slots__ = ("_content", "size")

    def __init__(self) -> None:
        self._content = MemoryContent([], [])
        self.size = 0

    def append(self, data: Buffer) -> None:
        size = len(data)
        if not size:
            return
        content = self._content
        room = content.allocated_bytes - self.size
        if size <= room:
            content.write(self.size, data)
        else:
            view = memoryview(data)
            if room:
                content.write(self.size, view[:room])
            content.grow(max(size - room, min(self.size, _BLOCK_BYTES_MAX)))
            content.write(self.size + room, view[room:])
        self.size += size

    def read_at(self, position: int, size: int) -> Buffer:
        size = min(size, self.size - position)
        return self._content.read_at(position, size) if size > 0 else b""

    read_resident = read_at

    def pin(self) -> MemoryContent:
        return self._content

    def range(self, position: int, size_bytes: int) -> FileRange:
        return FileRange(self._content, position, size_bytes)

    def truncate(self, size: int) -> None:
        self._content = self._content.cut(size)
        self.size = size

    def sync(self) -> None:
        pass

    def check_in_place(self) -> None:
        pass

    def close(self) -> None:
        pass


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
    is_durable = False

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

    def sync(self, path: str) -> None:
        pass

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
