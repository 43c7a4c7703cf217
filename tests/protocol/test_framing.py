"""Frames out of a stream of bytes, however it is cut."""

import mmap
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpy.protocol.framing import (
    GROWTH,
    INITIAL_BUFFER_BYTES,
    MAPPED_BYTES_MIN,
    SPARE_BYTES_MAX,
    FrameError,
    FrameReader,
    FrameTooLarge,
    SpareBuffers,
)
from tests.sweeps import examples

LIMIT = 100 * 1024 * 1024


def frame(payload: bytes) -> bytes:
    return struct.pack(">i", len(payload)) + payload


def frames(reader: FrameReader) -> list[bytes]:
    return [bytes(view) for view in reader]


@settings(max_examples=examples(100))
@given(st.lists(st.binary(max_size=40), max_size=6), st.lists(st.integers(1, 60), min_size=1, max_size=20))
def test_any_cut(payloads: list[bytes], cuts: list[int]) -> None:
    """The same frames come out, whichever pieces the stream comes in."""
    stream = b"".join(frame(payload) for payload in payloads)
    reader = FrameReader(LIMIT)
    received = []
    position = 0
    while position < len(stream):
        cut = cuts[position % len(cuts)]
        reader.feed(stream[position : position + cut])
        received += frames(reader)
        position += cut
    assert received == payloads
    assert reader.buffered_bytes == 0


@pytest.mark.parametrize(
    "size", [1, 1000, INITIAL_BUFFER_BYTES - 4, INITIAL_BUFFER_BYTES, 3 * INITIAL_BUFFER_BYTES + 1]
)
def test_a_byte_at_a_time(size: int) -> None:
    """A frame that comes byte by byte comes out when its last byte is there, and not before."""
    payload = bytes(index % 251 for index in range(size))
    reader = FrameReader(LIMIT)
    *head, last = frame(payload)
    for byte in head:
        reader.get_buffer()[0] = byte
        reader.commit(1)
        assert frames(reader) == []
    reader.feed(bytes((last,)))
    assert frames(reader) == [payload]


def test_several_frames_share_the_buffer() -> None:
    """Whole frames that arrived together are views of one buffer, and can be written to in place."""
    reader = FrameReader(LIMIT)
    reader.feed(frame(b"one") + frame(b"") + frame(b"three") + frame(b"four")[:6])
    first, empty, third = reader
    assert (bytes(first), bytes(empty), bytes(third)) == (b"one", b"", b"three")
    assert first.obj is third.obj
    first[0] = ord("O")
    assert bytes(first) == b"One"
    assert reader.buffered_bytes == 6


def test_a_claim_costs_nothing() -> None:
    """A frame that is merely claimed takes no memory: the buffer is within a factor of what has arrived."""
    reader = FrameReader(LIMIT)
    reader.feed(struct.pack(">i", LIMIT))
    assert frames(reader) == []
    for sent in range(1, 20):
        reader.feed(bytes(INITIAL_BUFFER_BYTES))
        assert frames(reader) == []
        assert reader.capacity <= GROWTH * max(INITIAL_BUFFER_BYTES, sent * INITIAL_BUFFER_BYTES + 4)


def test_grows_to_the_frame_and_shrinks_back() -> None:
    """The buffer is never larger than the frame that it grew for, and is small again after it."""
    payload = bytes(10 * INITIAL_BUFFER_BYTES)
    reader = FrameReader(LIMIT)
    reader.feed(frame(payload))
    assert reader.capacity == len(payload) + 4
    assert frames(reader) == [payload]
    assert len(reader.get_buffer()) == reader.capacity == INITIAL_BUFFER_BYTES


def test_shrinks_back_with_a_small_frame_begun() -> None:
    """The beginning of a small frame behind a large one is moved into a small buffer."""
    reader = FrameReader(LIMIT)
    reader.feed(frame(bytes(10 * INITIAL_BUFFER_BYTES))[:-1])
    buffer = reader.get_buffer()
    buffer[:1] = b"\0"
    reader.commit(1)
    assert len(frames(reader)) == 1
    reader.feed(frame(b"small")[:6])
    assert frames(reader) == []
    reader.feed(frame(b"small")[6:])
    assert frames(reader) == [b"small"]
    assert reader.capacity == INITIAL_BUFFER_BYTES


def test_room_while_frames_wait() -> None:
    """There is room for more bytes even if nobody has taken the frames that are whole."""
    reader = FrameReader(LIMIT)
    for _ in range(3 * INITIAL_BUFFER_BYTES // 1004):
        reader.feed(frame(bytes(1000)))
    next(iter(reader))
    reader.feed(frame(b"more"))
    waiting = frames(reader)
    assert len(waiting) == 3 * INITIAL_BUFFER_BYTES // 1004
    assert waiting[-1] == b"more"


def test_a_full_buffer_with_a_frame_behind_a_frame() -> None:
    """A frame that begins at the very end of the buffer is moved to the front."""
    reader = FrameReader(LIMIT)
    first, second = bytes(INITIAL_BUFFER_BYTES - 4 - 6), b"0123456789"
    reader.feed(frame(first) + frame(second)[:6])
    assert frames(reader) == [first]
    reader.feed(frame(second)[6:])
    assert frames(reader) == [second]
    assert reader.capacity == INITIAL_BUFFER_BYTES


@pytest.mark.parametrize("size", [-1, -(2**31)])
def test_negative_length(size: int) -> None:
    """A negative size is a FrameError, after the frames before it."""
    reader = FrameReader(LIMIT)
    reader.feed(frame(b"good") + struct.pack(">i", size))
    iterator = iter(reader)
    assert bytes(next(iterator)) == b"good"
    with pytest.raises(FrameError):
        next(iterator)


def test_too_large() -> None:
    """A frame of the limit is read, one of a byte more is FrameTooLarge as soon as its size is there."""
    reader = FrameReader(10)
    reader.feed(frame(bytes(10)))
    assert frames(reader) == [bytes(10)]
    reader.feed(struct.pack(">i", 11))
    with pytest.raises(FrameTooLarge):
        frames(reader)


def test_large_buffers_are_used_again() -> None:
    """A large frame on one connection is received in the buffer that another connection needed before."""
    spares = SpareBuffers()
    payloads = [bytes([number]) * (10 * INITIAL_BUFFER_BYTES) for number in range(3)]
    buffers = []
    for payload in payloads:
        reader = FrameReader(LIMIT, spares)
        reader.feed(frame(payload))
        (view,) = reader
        assert bytes(view) == payload
        buffers.append(view.obj)
        reader.get_buffer()
        assert reader.capacity == INITIAL_BUFFER_BYTES
    assert buffers[0] is buffers[1] is buffers[2]


def test_buffers_in_use_are_not_shared() -> None:
    """Connections that receive large frames at the same time have a buffer each."""
    spares = SpareBuffers()
    spares.give(bytearray(10 * INITIAL_BUFFER_BYTES))
    readers = [FrameReader(LIMIT, spares) for _ in range(3)]
    payloads = [bytes([number]) * (5 * INITIAL_BUFFER_BYTES) for number in range(3)]
    for half in (slice(None, 100_000), slice(100_000, None)):
        for reader, payload in zip(readers, payloads, strict=True):
            reader.feed(frame(payload)[half])
    assert [frames(reader) for reader in readers] == [[payload] for payload in payloads]


def test_large_buffers_are_memory_of_their_own() -> None:
    """From 2 MiB on a frame is received in memory that the system has again at once, not in the allocator's."""
    reader = FrameReader(2 * MAPPED_BYTES_MIN)
    for size, kind in ((MAPPED_BYTES_MIN // 2, bytearray), (2 * MAPPED_BYTES_MIN, mmap.mmap)):
        reader.feed(frame(bytes(size - 4)))
        (view,) = reader
        assert bytes(view) == bytes(size - 4)
        assert type(view.obj) is kind
        reader.get_buffer()


def test_spare_buffers_are_bounded() -> None:
    """What is kept for later is no more than the limit, however much was in use."""
    spares = SpareBuffers()
    for size in (SPARE_BYTES_MAX + 1, SPARE_BYTES_MAX // 2, SPARE_BYTES_MAX // 2, 1):
        spares.give(bytearray(size))
    assert spares.size_bytes == SPARE_BYTES_MAX
    assert len(spares.take(1)) == SPARE_BYTES_MAX // 2
    assert spares.size_bytes == SPARE_BYTES_MAX // 2
    assert len(spares.take(SPARE_BYTES_MAX)) == SPARE_BYTES_MAX
    assert spares.size_bytes == SPARE_BYTES_MAX // 2
