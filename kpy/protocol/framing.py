"""Frames: on a Kafka connection every request and response is an int32 size and that many bytes.

`FrameReader` only buffers and divides; whoever owns the socket does the reading:

    received = sock.recv_into(reader.get_buffer())
    reader.commit(received)
    for frame in reader:
        ...

A frame is a writable view of the receive buffer, not a copy, and is valid until the next `get_buffer()`. The buffer
grows with the bytes that arrive: a peer that claims 99 MB and sends ten bytes has cost nothing. A reader keeps a small
buffer; the large ones that it needs for a while come from `SpareBuffers` and go back there, because fresh memory costs
the kernel more than everything else that is done with a frame.
"""

import mmap
from bisect import insort
from collections.abc import Iterator
from struct import Struct

from kpy.protocol.errors import DecodeError
from kpy.protocol.primitives import Buffer

INITIAL_BUFFER_BYTES = 64 * 1024
GROWTH = 4
"""How many times the bytes that have arrived the buffer may hold, once they no longer fit."""

SPARE_BYTES_MAX = 8 * 1024 * 1024
"""What `SpareBuffers` keep, together: some requests of the size that producers make by default."""

MAPPED_BYTES_MIN = 2 * 1024 * 1024
"""From here on a buffer is memory of its own, which the system has again as soon as nobody uses it. What the allocator
makes may stay with the process, as holes among what is small.
"""

_SIZE = Struct(">i")


ReceiveBuffer = bytearray | mmap.mmap


class FrameError(DecodeError):
    """The peer does not send frames: what follows cannot be told apart any more, so the connection has to end."""


class FrameTooLarge(FrameError):
    """A frame claims to be larger than the limit."""


class SpareBuffers:
    """Large buffers that no reader uses now, for the next that needs one.

    Invariant: they are no more than `SPARE_BYTES_MAX` together, and in the order of their sizes.
    """

    __slots__ = ("_spares", "size_bytes")

    def __init__(self) -> None:
        self._spares: list[ReceiveBuffer] = []
        self.size_bytes = 0

    def take(self, size: int) -> ReceiveBuffer:
        """A buffer of at least that size, the largest that there is; what is in it is left over from its last use."""
        if not self._spares or len(self._spares[-1]) < size:
            return _fresh(size)
        largest = self._spares.pop()
        self.size_bytes -= len(largest)
        return largest

    def clear(self) -> None:
        """Keep none."""
        self._spares.clear()
        self.size_bytes = 0

    def give(self, buffer: ReceiveBuffer) -> None:
        """`buffer` is not used any more."""
        if self.size_bytes + len(buffer) <= SPARE_BYTES_MAX:
            insort(self._spares, buffer, key=len)
            self.size_bytes += len(buffer)


def _fresh(size: int) -> ReceiveBuffer:
    if size < MAPPED_BYTES_MIN:
        return bytearray(size)
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


class FrameReader:
    """Divides a stream of bytes into frames of at most `max_frame_bytes`.

    Invariant: `buffer[start:end]` is what has arrived and has not been handed out, and begins with a frame's size.
    """

    __slots__ = ("_buffer", "_end", "_max_frame_bytes", "_small_buffer", "_spares", "_start", "_view")

    def __init__(self, max_frame_bytes: int, spares: SpareBuffers | None = None) -> None:
        self._max_frame_bytes = max_frame_bytes
        self._spares = SpareBuffers() if spares is None else spares
        self._start = 0
        self._end = 0
        self._buffer: ReceiveBuffer = bytearray(INITIAL_BUFFER_BYTES)
        self._small_buffer = self._buffer
        self._view = memoryview(self._buffer)

    @property
    def capacity(self) -> int:
        """The bytes that this reader holds in memory."""
        return len(self._buffer)

    @property
    def buffered_bytes(self) -> int:
        """The bytes that have arrived and have not been handed out as frames."""
        return self._end - self._start

    @property
    def wanted_bytes(self) -> int:
        """The capacity that the next `get_buffer` needs: more than now only where all of the buffer is taken."""
        return self._capacity_for(self._size_of_next())

    def get_buffer(self) -> memoryview:
        """Where to put what arrives next; never empty. Ends the life of the frames handed out before."""
        if self._start == self._end:
            self._start = self._end = 0
            if self._buffer is not self._small_buffer:
                self._use(self._small_buffer)
        else:
            self._make_room()
        return self._view[self._end :]

    def commit(self, received: int) -> None:
        """That many bytes were put into the buffer."""
        self._end += received

    def feed(self, data: Buffer) -> None:
        """Take bytes that are in memory already; for tests, and for streams that cannot receive into a buffer."""
        remaining = memoryview(data)
        while remaining:
            buffer = self.get_buffer()
            taken = min(len(buffer), len(remaining))
            buffer[:taken] = remaining[:taken]
            self.commit(taken)
            remaining = remaining[taken:]

    def __iter__(self) -> Iterator[memoryview]:
        """The frames that are whole, in order, each once."""
        while self._start != self._end and self._end - self._start >= (size := self._size_of_next()):
            position = self._start + _SIZE.size
            self._start += size
            yield self._view[position : self._start]

    def _size_of_next(self) -> int:
        """The size of the next frame with its size field, as far as that has arrived."""
        if self._end - self._start < _SIZE.size:
            return _SIZE.size
        size: int = _SIZE.unpack_from(self._buffer, self._start)[0]
        if size < 0:
            raise FrameError(f"a frame of {size} bytes")
        if size > self._max_frame_bytes:
            raise FrameTooLarge(f"a frame of {size} bytes, and {self._max_frame_bytes} is the limit")
        return _SIZE.size + size

    def _make_room(self) -> None:
        """See that the next frame fits, as far as its bytes have come: at the front, or in another buffer."""
        size = self._size_of_next()
        capacity = self._capacity_for(size)
        left = self._view[self._start : self._end]
        if capacity != len(self._buffer):
            self._use(self._spares.take(capacity) if capacity > INITIAL_BUFFER_BYTES else self._small_buffer)
        elif not self._start or self._start + size <= capacity > self._end:
            return
        self._view[: len(left)] = left
        self._start, self._end = 0, len(left)

    def _capacity_for(self, size: int) -> int:
        capacity = len(self._buffer)
        left = self._end - self._start
        if left == capacity:
            return min(size, GROWTH * capacity) if size > left else GROWTH * capacity
        return INITIAL_BUFFER_BYTES if max(size, left + 1) <= INITIAL_BUFFER_BYTES else capacity

    def _use(self, buffer: ReceiveBuffer) -> None:
        if self._buffer is not self._small_buffer:
            self._spares.give(self._buffer)
        self._buffer = buffer
        self._view = memoryview(buffer)
