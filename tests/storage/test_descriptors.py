"""Few files are open, however many there are; who reads one reads its bytes to the end."""

import errno
import os
from pathlib import Path

import pytest

from kpy.storage.descriptors import PROBE_BYTES
from kpy.storage.disk_files import DiskFile, DiskFiles
from kpy.storage.files import NotResident


def is_open(number: int) -> bool:
    return os.path.exists(f"/dev/fd/{number}")


def write(files: DiskFiles, *names: str) -> list[DiskFile]:
    """Files with their names in them."""
    made = [files.open(name) for name in names]
    for file in made:
        file.append(os.path.basename(file.path).encode())
    return made


def test_no_more_files_are_open_than_may_be(tmp_path: Path) -> None:
    """The ones that were closed for it are read and written as if they were open."""
    files = DiskFiles(tmp_path, open_files_max=3)
    made = write(files, *(f"file{number}" for number in range(10)))
    for number, file in enumerate(made):
        assert file.read_at(0, 100) == f"file{number}".encode()
        file.append(b"!")
    assert len(files.descriptors) == 3
    assert [file.size for file in made] == [6] * 10
    assert (tmp_path / "file0").read_bytes() == b"file0!"


def test_a_file_that_is_used_stays_open(tmp_path: Path) -> None:
    """The one goes that nobody has used for the longest."""
    files = DiskFiles(tmp_path, open_files_max=3)
    busy, *_others = write(files, "busy", "b", "c")
    number = busy.pin().fileno()
    for name in "defghijklm":
        write(files, name)
        assert busy.read_at(0, 4) == b"busy"
        assert busy.pin().fileno() == number


def test_a_file_that_is_there_is_not_opened_before_it_is_used(tmp_path: Path) -> None:
    """To know of ten thousand partitions takes no descriptor."""
    write(DiskFiles(tmp_path), "old")
    files = DiskFiles(tmp_path)
    assert files.open("old").size == 3
    assert len(files.descriptors) == 0


def test_a_dropped_file_is_closed(tmp_path: Path) -> None:
    """What is kept open is no reason for a file to be there."""
    files = DiskFiles(tmp_path)
    (file,) = write(files, "file")
    number = file.pin().fileno()
    del file
    assert not is_open(number)
    assert len(files.descriptors) == 0


def test_a_range_outlives_everything_that_happens_to_the_file(tmp_path: Path) -> None:
    """Closing it for others, removing and replacing it: the bytes are those that were asked for."""
    files = DiskFiles(tmp_path, open_files_max=1)
    (file,) = write(files, "file")
    part = file.range(1, 3)
    write(files, "other")
    files.remove("file")
    files.replace("file", b"another content")
    file.close()
    assert part.read() == b"ile"
    number = part.fileno()
    assert number is not None
    del part
    assert not is_open(number)


def test_a_range_of_what_was_cut_is_an_error(tmp_path: Path) -> None:
    """What was written behind a cut is not what the range was of; a range before it is as it was."""
    files = DiskFiles(tmp_path)
    (file,) = write(files, "abcdef")
    before, over = file.range(0, 2), file.range(1, 5)
    file.truncate(2)
    file.append(b"XYZ!")
    assert before.read() == b"ab"
    with pytest.raises(OSError, match="cut at 2"):
        over.read()
    assert file.range(1, 5).read() == b"bXYZ!"


def test_descriptors_that_run_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that nobody uses now are closed, and it is tried again."""
    files = DiskFiles(tmp_path)
    made = write(files, *"abcdef")
    really_open, left = os.open, [0]

    def scarce(path: str, flags: int, mode: int = 0o777) -> int:
        if len(files.descriptors) > left[0]:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return really_open(path, flags, mode)

    monkeypatch.setattr(os, "open", scarce)
    left[0] = 4
    made += write(files, "g")
    assert len(files.descriptors) == 4
    files.sync_directory()
    files.sync("a")
    left[0] = 0
    with pytest.raises(OSError, match="Too many"):
        made[0].read_at(0, 1)
    left[0] = 100
    assert b"".join(file.read_at(0, 1) for file in made) == b"abcdefg"


def test_a_file_that_vanished_is_not_made_anew(tmp_path: Path) -> None:
    """It fails until it is there again, and has what it had then."""
    files = DiskFiles(tmp_path, open_files_max=1)
    files.make_directory("d")
    file, _other = write(files, "d/file", "other")
    files.rename("d", "elsewhere")
    files.make_directory("d")
    with pytest.raises(FileNotFoundError):
        file.append(b"x")
    assert files.list("d") == []
    files.remove_directory("d")
    files.rename("elsewhere", "d")
    file.append(b"x")
    assert files.read("d/file") == b"filex"


def test_a_file_that_lost_bytes_is_an_error(tmp_path: Path) -> None:
    """Nothing is written behind a hole."""
    files = DiskFiles(tmp_path, open_files_max=1)
    file, _other = write(files, "file", "other")
    (tmp_path / "file").write_bytes(b"fi")
    with pytest.raises(OSError, match="has 2 bytes, and had 4"):
        file.append(b"x")


def test_an_open_file_without_its_name_is_noticed(tmp_path: Path) -> None:
    """Who looks learns it, and nothing more goes where nobody would find it."""
    files = DiskFiles(tmp_path)
    files.make_directory("d")
    (file,) = write(files, "d/file")
    file.check_in_place()
    files.rename("d", "elsewhere")
    with pytest.raises(FileNotFoundError):
        file.check_in_place()
    with pytest.raises(FileNotFoundError):
        file.append(b"lost")
    files.rename("elsewhere", "d")
    file.append(b"!")
    assert files.read("d/file") == b"file!"
    files.replace("d/file", b"restored from elsewhere")
    file.check_in_place()
    assert file.read_at(0, 5) == b"resto"


def test_what_a_deleted_file_takes(tmp_path: Path) -> None:
    """Nothing as long as it has a name; then all of it, until the last holder lets go."""
    files = DiskFiles(tmp_path)
    (file,) = write(files, "file")
    content = file.pin()
    assert content.deleted_bytes() == 0
    files.remove("file")
    assert content.deleted_bytes() == 4


class PageCache:
    """What `os.preadv` reads without waiting: in pages, those that were read by somebody who waited."""

    NO_WAIT = 1 << 20
    PAGE = 4096

    def __init__(self) -> None:
        self.pages: set[int] = set()
        self.really_read = os.preadv

    def preadv(self, number: int, buffers: list[bytearray], position: int, flags: int = 0) -> int:
        size = self.really_read(number, buffers, position)
        pages = range(position // self.PAGE, -(-(position + size) // self.PAGE))
        if not flags & self.NO_WAIT:
            self.pages.update(pages)
            return size
        missing = [page for page in pages if page not in self.pages]
        if missing and missing[0] == pages[0]:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return missing[0] * self.PAGE - position if missing else size


def test_what_is_not_in_memory_is_brought(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading without waiting says so, and works when the bytes were read by somebody who may wait."""
    cache = PageCache()
    monkeypatch.setattr(os, "preadv", cache.preadv)
    monkeypatch.setattr("kpy.storage.descriptors._nowhere", lambda: None)
    monkeypatch.setattr("kpy.storage.descriptors._NO_WAIT", cache.NO_WAIT)
    (tmp_path / "file").write_bytes(bytes(range(256)) * 4096)
    file = DiskFiles(tmp_path).open("file")
    content = file.pin()
    assert content.is_resident(0, file.size) is False
    for _ in range(2):
        with pytest.raises(NotResident) as caught:
            file.read_resident(5000, 4000)
        cache.pages = {1}  # a part of it is not enough
    caught.value.bring()
    assert file.read_resident(5000, 4000) == (bytes(range(256)) * 4096)[5000:9000]
    content.bring(0, PROBE_BYTES)
    assert content.is_resident(0, PROBE_BYTES) is True
    assert content.is_resident(0, PROBE_BYTES + 1) is False
    assert content.is_resident(PROBE_BYTES // 2, PROBE_BYTES) is False
    content.bring(0, file.size)
    assert content.is_resident(0, file.size) is True
    assert len(file.read_resident(file.size - 10, 100)) == 10
    assert file.read_resident(file.size, 100) == b""


@pytest.mark.parametrize("has_sendfile", [True, False])
def test_bringing_ends_with_the_file(tmp_path: Path, has_sendfile: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever way the bytes go; and up to where is remembered, for the next piece."""
    if not has_sendfile:
        monkeypatch.delattr(os, "sendfile")
    (file,) = write(DiskFiles(tmp_path), "file")
    content = file.pin()
    assert content.brought_until == -1
    content.bring(0, 4)
    assert content.brought_until == 4
    content.bring(2, 1000)
    assert content.brought_until == 1002


def test_a_platform_that_does_not_say_what_is_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor a file system: nothing is known, and reading waits."""

    def refuses(number: int, buffers: list[bytearray], position: int, flags: int = 0) -> int:
        assert flags
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    (file,) = write(DiskFiles(tmp_path), "file")
    monkeypatch.setattr("kpy.storage.descriptors._NO_WAIT", None)
    assert file.pin().is_resident(0, 4) is None
    assert file.read_resident(0, 10) == b"file"
    monkeypatch.setattr("kpy.storage.descriptors._NO_WAIT", PageCache.NO_WAIT)
    monkeypatch.setattr(os, "preadv", refuses)
    assert file.pin().is_resident(0, 4) is None
    assert file.read_resident(0, 10) == b"file"
