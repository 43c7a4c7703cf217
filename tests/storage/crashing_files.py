"""Files on a disk with a volatile cache, whose power is cut at the operation that a test chooses.

What was synced stays. Of the rest everything is possible: a write may be lost, torn in the middle or at a sector, or
survive although an earlier one did not; a file may be as long as it was to become, with zeros or garbage in the gap; a
name that was added, renamed or removed in a directory that was not synced since may be as before or as after.
"""

from collections.abc import Callable, Iterator
from random import Random
from typing import TypeAlias

from kpy.protocol.crc import Buffer
from kpy.storage.files import AlreadyLocked, File, FileRange

_SECTOR_BYTES = (16, 64, 512)


class PowerCut(BaseException):
    """The process ends here. No handler of errors may see it."""


class Node:
    """A file's content: now, on the disk, and what is on its way there."""

    def __init__(self, content: bytes = b"") -> None:
        self.content = bytearray(content)
        self.durable = content
        self.pending: list[tuple[int, bytes | None]] = []
        """Writes at a position; None cuts the file there."""

    def write(self, position: int, data: bytes) -> None:
        self.pending.append((position, data))
        self.content[position:] = data

    def cut(self, size: int) -> None:
        self.pending.append((size, None))
        del self.content[size:]

    def sync(self) -> None:
        self.durable = bytes(self.content)
        self.pending.clear()

    def survivor(self, random: Random) -> bytes:
        """What the disk may have of it after a power cut."""
        survives = random.choice((0.0, 0.5, 0.9, 1.0))
        content = bytearray(self.durable)
        for position, data in self.pending:
            if random.random() >= survives:
                continue
            if data is None:
                del content[position:]
                continue
            for start, part in _torn(data, random):
                _fill(content, position + start, random)
                content[position + start : position + start + len(part)] = part
        if self.pending and random.random() < 0.2:
            _fill(content, len(self.content), random)
        return bytes(content)


def _torn(data: bytes, random: Random) -> Iterator[tuple[int, bytes]]:
    """The parts of a write that arrive; mostly all of it."""
    kind = random.choice(("whole", "whole", "prefix", "sectors"))
    if kind == "whole":
        yield 0, data
    elif kind == "prefix":
        yield 0, data[: random.randrange(len(data) + 1)]
    else:
        size = random.choice(_SECTOR_BYTES)
        for start in range(0, len(data), size):
            if random.random() < 0.5:
                yield start, data[start : start + size]


def _fill(content: bytearray, size: int, random: Random) -> None:
    """Make it that long: nobody knows with what."""
    missing = size - len(content)
    if missing > 0:
        content += bytes(missing) if random.random() < 0.7 else random.randbytes(missing)


Entry: TypeAlias = "Node | Directory"
Change: TypeAlias = "tuple[str | None, str | None, Node | Directory | None]"
"""The old name, the new name, and what has it."""


class Directory:
    """The names in a directory: now, on the disk, and the changes on their way there."""

    def __init__(self, names: dict[str, Entry] | None = None) -> None:
        self.names = dict(names or {})
        self.durable = dict(self.names)
        self.pending: list[Change] = []

    def change(self, old: str | None, new: str | None, entry: "Entry | None") -> None:
        self.pending.append((old, new, entry))
        _apply(self.names, (old, new, entry))

    def sync(self) -> None:
        self.durable = dict(self.names)
        self.pending.clear()

    def copy(self) -> "Directory":
        """As it is now."""
        return Directory(
            {
                name: entry.copy() if isinstance(entry, Directory) else Node(bytes(entry.content))
                for name, entry in self.names.items()
            }
        )

    def survivor(self, random: Random) -> "Directory":
        survives = random.choice((0.0, 0.5, 0.9, 1.0))
        names = dict(self.durable)
        for change in self.pending:
            if random.random() < survives:
                _apply(names, change)
        return Directory(
            {
                name: entry.survivor(random) if isinstance(entry, Directory) else Node(entry.survivor(random))
                for name, entry in sorted(names.items(), key=lambda item: item[0])
            }
        )


def _apply(names: dict[str, Entry], change: Change) -> None:
    old, new, entry = change
    if old is not None:
        names.pop(old, None)
    if new is not None and entry is not None:
        names[new] = entry


class CrashingFile:
    """One file of such a disk, and its content: what is cut off is gone for whoever reads it."""

    has_failed = False

    def __init__(self, files: "CrashingFiles", node: Node) -> None:
        self._files = files
        self._node = node

    @property
    def size(self) -> int:
        return len(self._node.content)

    def append(self, data: Buffer) -> None:
        copy = bytes(data)
        self._files.do(lambda: self._node.write(self.size, copy))

    def write_at(self, position: int, data: Buffer) -> None:
        raise AssertionError("no sync fails here, so that nothing has to be written again")

    def read_at(self, position: int, size: int) -> bytes:
        return bytes(self._node.content[position : position + size])

    read_resident = read_at

    def pin(self) -> "CrashingFile":
        return self

    def range(self, position: int, size_bytes: int) -> FileRange:
        return FileRange(self, position, size_bytes)

    def is_cut(self, position: int, size: int) -> bool:
        return position + size > self.size

    def is_resident(self, position: int, size: int) -> bool:
        return True

    def bring(self, position: int, size: int) -> None:
        pass

    def truncate(self, size: int) -> None:
        self._files.do(lambda: self._node.cut(size))

    def begin_sync(self) -> None:
        pass

    def sync(self) -> None:
        self._files.wait_for(self._node.sync)

    def check_in_place(self) -> None:
        pass

    def close(self) -> None:
        pass

    def fileno(self) -> None:
        return None

    def deleted_bytes(self) -> int:
        return 0


class _Released:
    def __init__(self, files: "CrashingFiles") -> None:
        self._files = files

    def release(self) -> None:
        self._files.is_locked = False


class CrashingFiles:
    """The files of such a disk. Directories are in the root only.

    `operations` counts what changes the disk or waits for it; that with the number `cut_at` is the last, done or not.
    `chance` decides what becomes of everything that was not synced.
    """

    location = "a disk with a cache"
    is_durable = True

    def __init__(self, chance: Random | None = None, root: Directory | None = None) -> None:
        self._chance = chance or Random(0)
        self._root = root or Directory()
        self.is_locked = False
        self.operations = 0
        self.cut_at: int | None = None

    def after_kill(self) -> "CrashingFiles":
        """What the next process finds if only this one ended."""
        return CrashingFiles(self._chance, self._root)

    def after_power_cut(self) -> "CrashingFiles":
        """What the next process may find if the power was cut."""
        return CrashingFiles(self._chance, self._root.survivor(self._chance))

    def copy(self) -> "CrashingFiles":
        """The same, of which whatever becomes is nothing to these."""
        return CrashingFiles(Random(0), self._root.copy())

    def damage(self, path: str, position: int) -> None:
        """Change a byte that is on the disk."""
        node = self._node(path)
        assert node is not None
        node.content[position] ^= 4

    def do(self, change: Callable[[], None]) -> None:
        """Count an operation and do it, or do it for the last time, or not."""
        is_last = self._count()
        if not is_last or self._chance.random() < 0.5:
            change()
        if is_last:
            raise PowerCut

    def wait_for(self, sync: Callable[[], None]) -> None:
        """As `do`; a sync that is cut short promises nothing."""
        if self._count():
            raise PowerCut
        sync()

    def _count(self) -> bool:
        self.operations += 1
        if self.cut_at is not None and self.operations > self.cut_at:
            raise PowerCut
        return self.operations == self.cut_at

    # --- the seam

    def open(self, path: str) -> CrashingFile:
        directory, name = self._split(path)
        entry = directory.names.get(name)
        if entry is None:
            entry = Node()
            created = entry
            self.do(lambda: directory.change(None, name, created))
        assert isinstance(entry, Node)
        return CrashingFile(self, entry)

    def read(self, path: str) -> bytes | None:
        node = self._node(path)
        return None if node is None else bytes(node.content)

    def replace(self, path: str, data: bytes, *, sync: bool = True) -> None:
        directory, name = self._split(path)
        temporary = self.open(f"{path}.tmp")
        if temporary.size:
            temporary.truncate(0)
        temporary.append(data)
        if sync:
            temporary.sync()
        entry = directory.names[f"{name}.tmp"]
        self.do(lambda: directory.change(f"{name}.tmp", name, entry))
        if sync:
            self.wait_for(directory.sync)

    def exists(self, path: str) -> bool:
        return path in self._root.names or self._node(path) is not None

    def size(self, path: str) -> int:
        node = self._node(path)
        if node is None:
            raise FileNotFoundError(path)
        return len(node.content)

    def list(self, path: str = "") -> list[str]:
        entry = self._root if not path else self._root.names.get(path)
        return list(entry.names) if isinstance(entry, Directory) else []

    def make_directory(self, path: str) -> None:
        if path not in self._root.names:
            self.do(lambda: self._root.change(None, path, Directory()))

    def rename(self, path: str, target: str) -> None:
        directory, name = self._split(path)
        _, target_name = self._split(target)
        entry = directory.names.get(name)
        if entry is None:
            raise FileNotFoundError(path)
        self.do(lambda: directory.change(name, target_name, entry))

    def move(self, file: File, path: str, target: str) -> None:
        self.rename(path, target)

    def modified_ms(self, path: str) -> None:
        return None

    def set_modified_ms(self, path: str, modified_ms: int) -> None:
        pass

    def begin_sync(self, path: str) -> None:
        pass

    def sync(self, path: str) -> None:
        node = self._node(path)
        if node is None:
            raise FileNotFoundError(path)
        self.wait_for(node.sync)

    def remove(self, path: str) -> None:
        if self._node(path) is not None:
            directory, name = self._split(path)
            self.do(lambda: directory.change(name, None, None))

    def remove_directory(self, path: str) -> None:
        entry = self._root.names.get(path)
        if isinstance(entry, Directory):
            for name in list(entry.names):
                self.remove(f"{path}/{name}")
            self.do(lambda: self._root.change(path, None, None))

    def sync_directory(self, path: str = "") -> None:
        entry = self._root if not path else self._root.names.get(path)
        if not isinstance(entry, Directory):
            raise FileNotFoundError(path)
        self.wait_for(entry.sync)

    def lock(self, path: str) -> _Released:
        if self.is_locked:
            raise AlreadyLocked(path)
        self.is_locked = True
        return _Released(self)

    def _split(self, path: str) -> tuple[Directory, str]:
        directory, _, name = path.rpartition("/")
        entry = self._root if not directory else self._root.names.get(directory)
        if not isinstance(entry, Directory):
            raise FileNotFoundError(path)
        return entry, name

    def _node(self, path: str) -> Node | None:
        directory, _, name = path.rpartition("/")
        entry = self._root if not directory else self._root.names.get(directory)
        found = entry.names.get(name) if isinstance(entry, Directory) else None
        return found if isinstance(found, Node) else None
