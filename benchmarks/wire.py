"""A client of a few lines: blocking, one socket, frames encoded by hand.

It knows nothing that could take time, so that what is measured through it is the broker and the kernel.
"""

import socket
import struct
from collections.abc import Sequence
from typing import Self

from crc32c import crc32c

CLIENT_ID = b"benchmark"
TIMEOUT_S = 30.0
PRODUCE, FETCH, HEARTBEAT, API_VERSIONS = 0, 1, 12, 18
REPLY_BYTES_MAX = 1 << 26


class Connection:
    """A connection to the broker on `port` of this machine; TCP_NODELAY, as every client of Kafka has it."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray(1 << 18)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def exchange(self, frame: bytes) -> bytes:
        """Send one request and wait for its reply: correlation id and body."""
        self._socket.sendall(frame)
        reply = self._socket.recv(1 << 16)
        while not reply or len(reply) < 4 + int.from_bytes(reply[:4], "big"):
            more = self._socket.recv(1 << 16)
            if not more:
                raise ConnectionResetError("the broker closed the connection instead of answering")
            reply += more
        return reply[4:]

    def send(self, frames: bytes) -> None:
        self._socket.sendall(frames)

    def receive(self) -> memoryview:
        """One reply, correlation id and body, in a buffer that the next one will be in."""
        if len(self._buffer) < REPLY_BYTES_MAX:
            self._buffer = bytearray(REPLY_BYTES_MAX)
        size_bytes = int.from_bytes(self._fill(4), "big")
        return self._fill(size_bytes)

    def _fill(self, size_bytes: int) -> memoryview:
        wanted = memoryview(self._buffer)[:size_bytes]
        received = 0
        while received < size_bytes:
            count = self._socket.recv_into(wanted[received:])
            if count == 0:
                raise ConnectionResetError(f"the broker closed the connection {size_bytes - received} bytes early")
            received += count
        return wanted

    def receive_exactly(self, size_bytes: int) -> None:
        """Take that many bytes of replies and forget them."""
        while size_bytes > 0:
            received = self._socket.recv_into(self._buffer, min(size_bytes, len(self._buffer)))
            if received == 0:
                raise ConnectionResetError(f"the broker closed the connection {size_bytes} bytes early")
            size_bytes -= received


def api_versions() -> bytes:
    """ApiVersions v0: nothing but a header."""
    return frame(API_VERSIONS, 0, b"")


def heartbeat(group_id: str) -> bytes:
    """Heartbeat v0 of a group without members: a few bytes there, an error code back."""
    return frame(HEARTBEAT, 0, string(group_id) + struct.pack(">i", 0) + string("nobody"))


def produce(topic: str, partition: int, batch: bytes) -> bytes:
    """Produce v9 of one batch with acks=all."""
    records = struct.pack(">i", partition) + _unsigned_varint(len(batch) + 1) + batch + b"\0"
    topics = b"\x02" + _unsigned_varint(len(topic) + 1) + topic.encode() + b"\x02" + records + b"\0"
    return frame(PRODUCE, 9, b"\0" + b"\0" + struct.pack(">hi", -1, 30_000) + topics + b"\0")


def produce_error(reply: bytes, topic: str) -> int:
    """The error code in the reply to `produce`."""
    position = 4 + 1 + 1 + 1 + len(topic) + 1 + 4
    return int(struct.unpack_from(">h", reply, position)[0])


def fetch(topic: str, partition: int, offset: int, max_bytes: int) -> bytes:
    """Fetch v4 of one partition, which waits for nothing."""
    body = struct.pack(">iiiibi", -1, 0, 0, max_bytes, 0, 1) + string(topic)
    return frame(FETCH, 4, body + struct.pack(">iiqi", 1, partition, offset, max_bytes))


def fetched(reply: memoryview, topic: str) -> tuple[int, memoryview]:
    """The error code and the record batches in the reply to `fetch`."""
    error, aborted = struct.unpack_from(">h16xi", reply, 4 + 4 + 4 + 2 + len(topic) + 4 + 4)
    position = 4 + 4 + 4 + 2 + len(topic) + 4 + 4 + 2 + 16 + 4 + 16 * max(aborted, 0)
    (size_bytes,) = struct.unpack_from(">i", reply, position)
    return error, reply[position + 4 : position + 4 + max(size_bytes, 0)]


def next_offset(records: memoryview) -> int:
    """The offset after the last whole batch."""
    position, offset = 0, -1
    while position + 61 <= len(records):
        base_offset, length, last_offset_delta = struct.unpack_from(">qi11xi", records, position)
        if position + 12 + length > len(records):
            break
        offset = base_offset + last_offset_delta + 1
        position += 12 + length
    return offset


def batch(values: Sequence[bytes], timestamp_ms: int) -> bytes:
    """A record batch (format v2) of these values, without keys or headers."""
    records = bytearray()
    for offset_delta, value in enumerate(values):
        body = b"\0\0" + _varint(offset_delta) + _varint(-1) + _varint(len(value)) + value + _varint(0)
        records += _varint(len(body)) + body
    last = len(values) - 1
    checked = struct.pack(">hiqqqhii", 0, last, timestamp_ms, timestamp_ms, -1, -1, -1, len(values)) + records
    return struct.pack(">qiibI", 0, 9 + len(checked), -1, 2, crc32c(checked)) + checked


def frame(api_key: int, version: int, body: bytes) -> bytes:
    header = struct.pack(">hhih", api_key, version, 1, len(CLIENT_ID)) + CLIENT_ID
    return struct.pack(">i", len(header) + len(body)) + header + body


def string(text: str) -> bytes:
    data = text.encode()
    return struct.pack(">h", len(data)) + data


def _varint(value: int) -> bytes:
    return _unsigned_varint((value << 1) ^ (value >> 63))


def _unsigned_varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
