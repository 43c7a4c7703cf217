"""Files in memory, with the face of those on the disk: for tests, and for brokers that keep nothing.

How much they take together may be bounded: what would go beyond it is refused as a full disk refuses it. Counted are
the blocks that files consist of, and something for each file; what is derived of a log and kept beside it (indexes,
producers) is a hundredth of it, which is counted with the blocks. Some files may take a reserve beyond the bound, so
that what frees memory can still be written down.
"""

import errno
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from sys import maxsize
from typing import Final

from kpy.protocol.crc import Buffer
from kpy.storage.files import AlreadyLocked, File, FileRange, Lock

_BLOCK_BYTES_MAX: Final = 1024 * 1024
_FILE_BYTES: Final = 1024
_DERIVED_SHARE: Final = 100
_RESERVE_BYTES_MIN: Final = 1024 * 1024
_RESERVE_SHARE: Final = 64


class Memory:
    """What files take of `bytes_max`."""

    __slots__ = ("bytes_max", "used_bytes")

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.used_bytes = 0

    def take(self, size_bytes: int, *, may_use_reserve: bool) -> None:
        """OSError if there is not so much left."""
        bytes_max = self.bytes_max
        if may_use_reserve:
            bytes_max += max(_RESERVE_BYTES_MIN, bytes_max // _RESERVE_SHARE)
        used_bytes = self.used_bytes + size_bytes
        if used_bytes + used_bytes // _DERIVED_SHARE > bytes_max:
            raise OSError(errno.ENOSPC, f"the memory for data is used up (kpy.memory.max.bytes={self.bytes_max})")
        self.used_bytes = used_bytes

    def give_back(self, size_bytes: int) -> None:
        self.used_bytes -= size_bytes


class MemoryContent:
    """Bytes in blocks that never move and are only ever added to: who holds it reads what was there."""

    __slots__ = ("_blocks", "_starts", "brought_until", "has_failed", "is_deleted")

    def __init__(self, blocks: list[bytearray], starts: list[int]) -> None:
        self._blocks = blocks
        self._starts = starts
        self.is_deleted = False
        self.has_failed = False
        self.brought_until = -1

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

    def is_cut(self, position: int, size: int) -> bool:
        return False

    def is_resident(self, position: int, size: int) -> bool:
        return True

    def bring(self, position: int, size: int) -> None:
        pass

    def write_at(self, position: int, data: Buffer) -> None:
        raise AssertionError("memory loses nothing that would have to be written again")

    def begin_sync(self) -> None:
        pass

    def sync(self) -> None:
        pass

    def deleted_bytes(self) -> int:
        return self.allocated_bytes if self.is_deleted else 0


class MemoryFile:
    """A file in memory: a content that grows."""

    __slots__ = ("_content", "_may_use_reserve", "_memory", "size")

    def __init__(self, memory: Memory | None = None, *, may_use_reserve: bool = False) -> None:
        self._content = MemoryContent([], [])
        self._memory = memory or Memory(maxsize)
        self._memory.take(_FILE_BYTES, may_use_reserve=may_use_reserve)
        self._may_use_reserve = may_use_reserve
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
            self._grow(size - room)
            content.write(self.size + room, view[room:])
        self.size += size

    def _grow(self, needed_bytes: int) -> None:
        """A block for so many bytes, and if there is memory for as many as there are already."""
        content = self._content
        if content.is_deleted:
            content.grow(needed_bytes)
            return
        for size in (max(needed_bytes, min(self.size, _BLOCK_BYTES_MAX)), needed_bytes):
            try:
                self._memory.take(size, may_use_reserve=self._may_use_reserve)
            except OSError:
                if size == needed_bytes:
                    raise
            else:
                content.grow(size)
                return

    def delete(self) -> None:
        """No name leads to it any more: what it takes is that of its last holder."""
        if not self._content.is_deleted:
            self._memory.give_back(self._content.allocated_bytes + _FILE_BYTES)
            self._content.is_deleted = True

    def read_at(self, position: int, size: int) -> Buffer:
        size = min(size, self.size - position)
        return self._content.read_at(position, size) if size > 0 else b""

    read_resident = read_at

    def pin(self) -> MemoryContent:
        return self._content

    def range(self, position: int, size_bytes: int) -> FileRange:
        return FileRange(self._content, position, size_bytes, True)

    def truncate(self, size: int) -> None:
        old = self._content
        self._content = old.cut(size)
        self._content.is_deleted = old.is_deleted
        self.size = size
        if not old.is_deleted:
            self._memory.give_back(old.allocated_bytes - self._content.allocated_bytes)

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
    """Files in memory, for tests and for brokers that keep nothing. Directories are in the root only.

    They take `bytes_max` together; those in the directory `reserved_for`, and files that are replaced, somewhat more.
    """

    __slots__ = ("_directories", "_locked", "_reserved_for", "memory")

    location = "memory"
    is_durable = False

    def __init__(self, *, bytes_max: int = maxsize, reserved_for: str | None = None) -> None:
        self.memory = Memory(bytes_max)
        self._reserved_for = reserved_for
        self._directories: dict[str, dict[str, MemoryFile]] = {"": {}}
        self._locked: set[str] = set()

    def open(self, path: str) -> MemoryFile:
        directory, _, name = path.rpartition("/")
        files = self._directory(directory)
        file = files.get(name)
        if file is None:
            may_use_reserve = directory == self._reserved_for
            file = files[name] = MemoryFile(self.memory, may_use_reserve=may_use_reserve)
        return file

    def read(self, path: str) -> bytes | None:
        file = self._file(path)
        return None if file is None else bytes(file.read_at(0, file.size))

    def replace(self, path: str, data: bytes, *, sync: bool = True) -> None:
        directory, _, name = path.rpartition("/")
        files = self._directory(directory)
        file = MemoryFile(self.memory, may_use_reserve=True)
        try:
            file.append(data)
        except OSError:
            file.delete()
            raise
        self._put(files, name, file)

    @staticmethod
    def _put(files: dict[str, MemoryFile], name: str, file: MemoryFile) -> None:
        old = files.get(name)
        files[name] = file
        if old is not None:
            old.delete()

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
        self._put(self._directory(directory), name, file)

    def move(self, file: File, path: str, target: str) -> None:
        self.rename(path, target)

    def set_modified_ms(self, path: str, modified_ms: int) -> None:
        pass

    def remove(self, path: str) -> None:
        directory, _, name = path.rpartition("/")
        file = self._directories.get(directory, {}).pop(name, None)
        if file is not None:
            file.delete()

    def remove_directory(self, path: str) -> None:
        for file in self._directories.pop(path, {}).values():
            file.delete()

    def begin_sync(self, path: str) -> None:
        pass

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
