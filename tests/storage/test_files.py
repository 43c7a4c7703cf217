import errno
import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpy.storage.disk_files import DiskFiles
from kpy.storage.files import AlreadyLocked, Files
from kpy.storage.memory_files import MemoryFile, MemoryFiles


def test_append_and_read(files: Files) -> None:
    """What is appended is read by position; beyond the end there is nothing."""
    files.make_directory("d")
    file = files.open("d/file")
    file.append(b"first")
    file.append(memoryview(bytearray(b"second")))
    assert file.size == 11
    assert bytes(file.read_at(0, 100)) == b"firstsecond"
    assert bytes(file.read_at(4, 3)) == b"tse"
    assert bytes(file.read_at(11, 5)) == b""
    assert bytes(file.read_at(50, 5)) == b""
    assert bytes(files.open("d/file").read_at(0, 5)) == b"first"


def test_truncate(files: Files) -> None:
    """A file that was cut continues at its new end."""
    file = files.open("file")
    file.append(b"abcdef")
    file.truncate(2)
    assert file.size == 2
    file.append(b"X")
    assert files.read("file") == b"abX"
    file.truncate(0)
    assert files.read("file") == b""


@given(sizes=st.lists(st.integers(0, 100), max_size=20), cut=st.integers(0, 1000))
def test_memory_blocks(sizes: list[int], cut: int) -> None:
    """A memory file is the bytes that were appended, read from anywhere to anywhere."""
    file, expected = MemoryFile(), b""
    for number, size in enumerate(sizes):
        file.append(bytes([number]) * size)
        expected += bytes([number]) * size
    cut = min(cut, len(expected))
    file.truncate(cut)
    file.append(b"end")
    expected = expected[:cut] + b"end"
    for start in range(0, len(expected), 7):
        for size in (0, 1, 30, 500):
            assert bytes(file.read_at(start, size)) == expected[start : start + size]


def test_memory_views_stay() -> None:
    """What was read of a memory file does not change when the file goes on."""
    file = MemoryFile()
    file.append(b"abc")
    view = file.read_at(0, 3)
    file.append(b"def")
    file.truncate(1)
    file.append(b"XYZ")
    assert bytes(view) == b"abc"
    assert bytes(file.read_at(0, 10)) == b"aXYZ"


def test_ranges(files: Files) -> None:
    """A range reads its bytes when it is asked, and has a descriptor only on the disk."""
    file = files.open("file")
    file.append(b"0123456789")
    part = file.range(2, 5)
    file.append(b"more")
    assert bytes(part.read()) == b"23456"
    number = part.fileno()
    if isinstance(files, DiskFiles):
        assert number is not None
        assert os.pread(number, 5, 2) == b"23456"
    else:
        assert number is None


def test_a_removed_file_is_still_read(files: Files) -> None:
    """A range of a file that was removed can be sent to its end; then nothing holds the file."""
    files.make_directory("d")
    file = files.open("d/file")
    file.append(b"0123456789")
    part = file.range(0, 10)
    files.remove_directory("d")
    del file
    assert bytes(part.read()) == b"0123456789"


def test_descriptors_are_closed(tmp_path: Path) -> None:
    """The last one who holds a file closes it."""
    file = DiskFiles(tmp_path).open("file")
    number = file.pin().fileno()
    os.fstat(number)
    del file
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)


def test_replace(files: Files) -> None:
    """Replacing leaves the new content and nothing else."""
    files.make_directory("d")
    files.replace("d/file", b"old")
    files.replace("d/file", b"new", sync=False)
    assert files.read("d/file") == b"new"
    assert files.size("d/file") == 3
    assert files.list("d") == ["file"]


def test_names(files: Files) -> None:
    """Files and directories are listed, renamed and removed."""
    files.make_directory("one")
    files.open("one/a").append(b"a")
    files.replace("top", b"t")
    assert sorted(files.list()) == ["one", "top"]
    files.rename("one", "two")
    assert not files.exists("one")
    assert files.list("two") == ["a"]
    files.rename("two/a", "two/b")
    assert files.read("two/b") == b"a"
    assert files.read("two/a") is None
    files.remove("two/b")
    files.remove("two/b")
    assert files.list("two") == []
    files.sync_directory("two")
    files.remove_directory("two")
    assert files.list() == ["top"]
    assert files.list("two") == []
    with pytest.raises(FileNotFoundError):
        files.size("two/b")
    with pytest.raises(FileNotFoundError):
        files.open("two/b")
    with pytest.raises(FileNotFoundError):
        files.rename("nothing", "something")


def test_lock(files: Files) -> None:
    """A lock is held once, and can be taken again when it was released."""
    lock = files.lock(".lock")
    with pytest.raises(AlreadyLocked):
        files.lock(".lock")
    lock.release()
    lock.release()
    files.lock(".lock").release()


def test_memory_keeps_nothing() -> None:
    """Two memories have nothing in common."""
    MemoryFiles().replace("file", b"x")
    assert MemoryFiles().read("file") is None


# --- what is recent


@given(appends=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 40)), max_size=40))
def test_what_is_recent(tmp_path_factory: pytest.TempPathFactory, appends: list[tuple[int, int]]) -> None:
    """Nothing but what is among the last bytes that any file was given, up to one append; and the very last always."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kpy.storage.disk_files.RECENT_BYTES_MAX", 100)
        files = DiskFiles(tmp_path_factory.mktemp("recent"))
        opened = [files.open(f"file{number}") for number in range(3)]
        written: list[tuple[int, int]] = []
        for number, size in appends:
            written += [(number, opened[number].size + index) for index in range(size)]
            opened[number].append(bytes(size))
        for age, (number, position) in enumerate(reversed(written)):
            is_recent = opened[number].range(position, 1).is_resident is True
            assert not is_recent or age < 100 + 40
            assert is_recent or age >= 50 - 40
        again = DiskFiles(files.location).open("file0")
        assert not again.size or not again.range(again.size - 1, 1).is_resident


def test_what_is_recent_and_goes_on_behind_what_was_cold(tmp_path: Path) -> None:
    """The kernel may have forgotten that, too: it has to be asked. What is appended behind it is in memory."""
    file = DiskFiles(tmp_path).open("file")
    file.append(bytes(100))
    content = file.pin()
    content.bring(0, 50)
    assert [file.range(position, 40).is_resident for position in (0, 10, 50, 51)] == [True, True, None, True]
    assert file.range(20, 40).is_resident is None
    content.bring(50, 50)
    file.append(bytes(10))
    assert file.range(100, 10).is_resident is True


# --- how much files take in memory


def test_memory_is_bounded() -> None:
    """What would go beyond is refused, and the file is as it was; what is smaller still fits."""
    files = MemoryFiles(bytes_max=100_000)
    file = files.open("file")
    file.append(bytes(90_000))
    with pytest.raises(OSError, match=r"used up \(kpy.memory.max.bytes=100000\)") as caught:
        file.append(bytes(20_000))
    assert caught.value.errno == errno.ENOSPC
    assert file.size == 90_000
    file.append(bytes(5_000))
    assert file.size == 95_000
    with pytest.raises(OSError, match="used up"):
        files.open("other").append(bytes(10_000))


def test_what_goes_gives_its_memory_back() -> None:
    """Removing, replacing, renaming over, cutting, and removing a directory; not twice."""
    files = MemoryFiles(bytes_max=100_000)
    before = files.memory.used_bytes
    files.make_directory("d")
    for name in ("a", "b", "d/c", "d/e"):
        files.open(name).append(bytes(10_000))
    held = files.open("a").range(0, 10_000)
    files.remove("a")
    files.remove("a")
    files.replace("b", bytes(5_000))
    files.rename("b", "d/c")
    files.open("d/e").truncate(100)
    assert files.memory.used_bytes < 10_000
    files.remove_directory("d")
    files.remove_directory("d")
    assert files.memory.used_bytes == before
    assert held.read() == bytes(10_000)
    assert held.content.deleted_bytes() == 10_000


def test_files_without_content_take_memory_too() -> None:
    """Many small partitions are not free."""
    files = MemoryFiles(bytes_max=100_000)
    with pytest.raises(OSError, match="used up"):
        for number in range(100):
            files.open(f"file{number}")


def test_some_files_may_go_beyond() -> None:
    """So that what frees memory can be written down: but not without end."""
    files = MemoryFiles(bytes_max=100_000, reserved_for="metadata")
    files.make_directory("metadata")
    files.make_directory("data")
    with pytest.raises(OSError, match="used up"):
        files.open("data/log").append(bytes(100_000))
    journal = files.open("metadata/log")
    for _ in range(10):
        journal.append(bytes(90_000))
    files.replace("data/checkpoint", bytes(90_000))
    used = files.memory.used_bytes
    with pytest.raises(OSError, match="used up"):
        files.replace("data/checkpoint", bytes(1_000_000))
    assert files.memory.used_bytes == used
    with pytest.raises(OSError, match="used up"):
        journal.append(bytes(1_000_000))


@given(sizes=st.lists(st.integers(0, 3000), max_size=30))
def test_memory_is_given_back_to_the_byte(sizes: list[int]) -> None:
    """However a file grew, was refused and was cut."""
    files = MemoryFiles(bytes_max=30_000)
    for size in sizes:
        with suppress(OSError):
            files.open("file").append(bytes(size))
        if size % 5 == 0:
            files.open("file").truncate(files.size("file") // 2)
        assert files.memory.used_bytes <= 30_000
    files.remove("file")
    assert files.memory.used_bytes == 0


def test_a_directory_that_cannot_be_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asked for it is told; that it is not there is no error."""
    files = DiskFiles(tmp_path)
    files.make_directory("d")
    files.replace("d/file", b"")

    def refuse(*_args: object, **_named: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "unlink", refuse)
    with pytest.raises(PermissionError):
        files.remove_directory("d")
    files.remove_directory("not there")
