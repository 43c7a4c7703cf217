"""Walking over the record batches of a file, one after the other, by what their headers say.

A walk ends at the end of the file, and before the first thing that is no batch of the current format. It reads in
windows: small ones for headers, large ones where the bytes are wanted too.
"""

from collections.abc import Callable, Iterator
from typing import Final, Protocol

from kpy.protocol.crc import Buffer, crc32c
from kpy.protocol.records import CRC_START, HEADER, HEADER_BYTES, LENGTH_END, MAGIC, BatchHeader

_HEADERS_WINDOW_BYTES: Final = 8 * 1024
_BATCHES_WINDOW_BYTES: Final = 1024 * 1024


class Readable(Protocol):
    """A file, or a part of one."""

    @property
    def size(self) -> int: ...

    def read_at(self, position: int, size: int) -> Buffer: ...


def scan_headers(
    file: Readable, position: int = 0, end: int | None = None, read_at: Callable[[int, int], Buffer] | None = None
) -> Iterator[tuple[int, BatchHeader]]:
    """Position and header of the batches from that position on, which must be the start of one.

    `read_at` reads the file in the place of its own.
    """
    end = file.size if end is None else end
    read_at = read_at or file.read_at
    window: Buffer = b""
    window_start = position
    while position + HEADER_BYTES <= end:
        at = position - window_start
        if at + HEADER_BYTES > len(window):
            window = read_at(position, _HEADERS_WINDOW_BYTES)
            window_start = position
            at = 0
        header = BatchHeader._make(HEADER.unpack_from(window, at))
        size = header.length + LENGTH_END
        if size < HEADER_BYTES or header.magic != MAGIC:
            return
        yield position, header
        position += size


def scan_batches(
    file: Readable, position: int = 0, end: int | None = None
) -> Iterator[tuple[int, BatchHeader, Buffer]]:
    """As `scan_headers`, with the bytes; it ends before a batch that is not whole before `end`."""
    end = file.size if end is None else end
    window: memoryview = memoryview(b"")
    window_start = position
    for start, header in scan_headers(file, position, end):
        size = header.size_bytes
        if start + size > end:
            return
        if start + size > window_start + len(window):
            window = memoryview(file.read_at(start, max(size, _BATCHES_WINDOW_BYTES)))
            window_start = start
        yield start, header, window[start - window_start : start - window_start + size]


def is_sound(header: BatchHeader, batch: Buffer) -> bool:
    """Whether the checksum is that of the bytes."""
    return crc32c(memoryview(batch)[CRC_START:]) == header.crc
