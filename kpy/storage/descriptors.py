"""Which files are open: as few descriptors as it takes, however many files a broker has.

A file is opened when it is used, and stays open until others need its descriptor more: at most `limit` are kept. What
is read or sent of a file holds its `Descriptor`, which closes itself when the last holder lets go, so that closing,
removing or replacing a file never changes the bytes that somebody has begun to read.

A file that is opened again must be what it was. Data that was written through a descriptor that is closed by now is in
the page cache as before, and syncing any descriptor of the file writes it; Linux, since 4.16, also tells the next one
that opens a file of an error in writing it that nobody was told of.
"""

import errno
import os
import sys
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from typing import Final, Protocol, TypeVar

from kpy.protocol.crc import Buffer

T = TypeVar("T")

PROBE_BYTES: Final = 256 * 1024
"""How far apart the places are that are asked whether they are in memory: each costs a system call."""
BRING_BYTES: Final = 64 * 1024
_PAGE_BYTES: Final = 4096
_NO_WAIT: Final = getattr(os, "RWF_NOWAIT", None)
_NO_DESCRIPTORS: Final = (errno.EMFILE, errno.ENFILE)
_UNCUT: Final = 1 << 63


class Descriptor:
    """An open file, as the bytes of a `FileRange` come from it: closed when nobody holds it any more.

    `cut_at` is where the file was cut since it was opened: what lay behind is gone, and reading it is an error.
    """

    __slots__ = ("_number", "brought_until", "cut_at", "has_failed")

    def __init__(self, number: int) -> None:
        self._number = number
        self.brought_until = -1
        self.cut_at = _UNCUT
        self.has_failed = False

    def __del__(self) -> None:
        os.close(self._number)

    def fileno(self) -> int:
        return self._number

    def read_at(self, position: int, size: int) -> bytes:
        self._check(position, size)
        return os.pread(self._number, size, position)

    def read_if_resident(self, position: int, size: int) -> bytearray | None:
        """As `read_at`, if all of it is in memory; None if it is not or if nobody knows."""
        self._check(position, size)
        if _NO_WAIT is None:
            return None
        data = bytearray(size)
        try:
            read = os.preadv(self._number, [data], position, _NO_WAIT)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EOPNOTSUPP):
                raise
            return None
        return data if read == size else None

    def is_cut(self, position: int, size: int) -> bool:
        return position + size > self.cut_at

    def is_resident(self, position: int, size: int) -> bool | None:
        """Whether the bytes seem to be in memory; None if the platform or the file system does not say."""
        if _NO_WAIT is None:
            return None
        byte = bytearray(1)
        number, last = self._number, position + size - 1
        try:
            os.preadv(number, [byte], position, _NO_WAIT)
            for place in range(position + PROBE_BYTES, last, PROBE_BYTES):
                os.preadv(number, [byte], place, _NO_WAIT)
            if last // _PAGE_BYTES != position // _PAGE_BYTES:
                os.preadv(number, [byte], last, _NO_WAIT)
        except OSError as error:
            return False if error.errno == errno.EAGAIN else None
        return True

    def bring(self, position: int, size: int) -> None:
        """Have the bytes in memory, for a thread that may wait; the kernel begins with what follows by itself."""
        end = position + size
        nowhere = _nowhere()
        while position < end and (count := self._pass_by(nowhere, position, end - position)):
            position += count
        self.brought_until = end

    def _pass_by(self, nowhere: "Descriptor | None", position: int, size: int) -> int:
        """Touch bytes: to have the kernel send them nowhere costs a tenth of copying them."""
        if nowhere is not None:
            return os.sendfile(nowhere.fileno(), self._number, position, size)
        return os.preadv(self._number, [bytearray(min(size, BRING_BYTES))], position)

    def write_at(self, position: int, data: Buffer) -> None:
        """Write over what is there."""
        written = 0
        while written < len(data):
            written += os.pwrite(self._number, memoryview(data)[written:], position + written)

    def sync(self) -> None:
        """What was written to the file is on the disk when this returns."""
        os.fdatasync(self._number) if hasattr(os, "fdatasync") else os.fsync(self._number)

    def begin_sync(self) -> None:
        """Have the kernel begin with what `sync` waits for."""
        from kpy.storage.write_back import begin_writing  # noqa: PLC0415 - a start does not need ctypes

        begin_writing(self._number)

    def deleted_bytes(self) -> int:
        """What the file takes of the disk although no name leads to it: it goes with its last holder."""
        status = os.fstat(self._number)
        return 0 if status.st_nlink else status.st_size

    def _check(self, position: int, size: int) -> None:
        if self.is_cut(position, size):
            raise OSError(errno.ESTALE, f"the file was cut at {self.cut_at}, before byte {position + size}")


def _nowhere() -> Descriptor | None:
    """Where bytes may be sent to, on Linux; None on other platforms, whose sendfile knows only sockets."""
    if not sys.platform.startswith("linux") or not hasattr(os, "sendfile"):
        return None
    try:
        return _null_device()
    except OSError:  # there is no descriptor for it now: they are copied
        return None


@cache
def _null_device() -> Descriptor:
    return Descriptor(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC))


class OpenedFile(Protocol):
    """A file that keeps a descriptor as long as it may."""

    path: str
    size: int
    descriptor: Descriptor | None
    recently_used: bool


class Descriptors:
    """The files that are kept open: when there are too many, the one goes that was not used for the longest.

    That is judged as a clock with one hand does: a file that was used since it was last looked at gets another round.
    May be used from any thread. Invariant: a file whose `descriptor` is not None is one of them.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.written_bytes = 0
        """How much was appended to all files together."""
        self._files: OrderedDict[int, weakref.ref[OpenedFile]] = OrderedDict()
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self._files)

    def open(self, file: OpenedFile) -> Descriptor:
        """The file's descriptor, opened if it is not. OSError if the file is gone or has lost bytes."""
        with self._lock:
            if file.descriptor is not None:
                return file.descriptor
            descriptor = self._keep(file, os.O_RDWR)
            size = os.fstat(descriptor.fileno()).st_size
            if size < file.size:
                self.forget(file)
                raise OSError(errno.EIO, f"{file.path} has {size} bytes, and had {file.size}")
            return descriptor

    def create(self, file: OpenedFile) -> Descriptor:
        """The descriptor of a file that is made if it is not there."""
        with self._lock:
            return self._keep(file, os.O_RDWR | os.O_CREAT)

    def _keep(self, file: OpenedFile, flags: int) -> Descriptor:
        while len(self._files) >= self.limit:
            self._close_one()
        number = self.retrying(lambda: os.open(file.path, flags | os.O_CLOEXEC, 0o644))
        descriptor = file.descriptor = Descriptor(number)
        self._files[id(file)] = weakref.ref(file)
        return descriptor

    def forget(self, file: OpenedFile) -> None:
        """Keep the file open no longer."""
        with self._lock:
            self._files.pop(id(file), None)
            file.descriptor = None

    def retrying(self, open_something: Callable[[], T]) -> T:
        """Try again with files closed that nobody uses now, if descriptors have run out."""
        try:
            return open_something()
        except OSError as error:
            if error.errno not in _NO_DESCRIPTORS:
                raise
            with self._lock:
                for _ in range((len(self._files) + 1) // 2):
                    self._close_one()
            return open_something()

    def _close_one(self) -> None:
        for _ in range(2 * len(self._files)):
            if not self._files:
                return
            key, reference = self._files.popitem(last=False)
            file = reference()
            if file is None:
                return
            if not file.recently_used:
                file.descriptor = None
                return
            file.recently_used = False
            self._files[key] = reference
