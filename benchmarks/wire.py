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

    def fetch(self, topic: str, partition: int, offset: int, max_bytes: int) -> int:
        """Fetch from a partition and forget the records; how many bytes they were."""
        self._socket.sendall(fetch(topic, partition, offset, max_bytes))
        head = self._receive(4 + fetched_head_bytes(topic))
        (frame_bytes,) = struct.unpack_from(">i", head)
        error, records_bytes = fetched(head[4:], topic)
        if error:
            raise RuntimeError(f"the broker answered the fetch with error {error}")
        self.receive_exactly(4 + frame_bytes - len(head))
        return records_bytes

    def _receive(self, size_bytes: int) -> bytes:
        received = b""
        while len(received) < size_bytes:
            more = self._socket.recv(size_bytes - len(received))
            if not more:
                raise ConnectionResetError("the broker closed the connection instead of answering")
            received += more
        return received

    def receive_exactly(self, size_bytes: int) -> None:
        """Take that many bytes of replies and forget them."""
        while size_bytes > 0:
            received = self._socket.recv_into(self._buffer, min(size_bytes, len(self._buffer)))
            if received == 0:
                raise ConnectionResetError(f"the broker closed the connection {size_bytes} bytes early")
            size_bytes -= received


def api_versions() -> bytes:
    """ApiVersions v0: nothing but a header."""
    return _frame(API_VERSIONS, 0, b"")


def heartbeat(group_id: str) -> bytes:
    """Heartbeat v0 of a group without members: a few bytes there, an error code back."""
    return _frame(HEARTBEAT, 0, _string(group_id) + struct.pack(">i", 0) + _string("nobody"))


def produce(topic: str, partition: int, batch: bytes) -> bytes:
    """Produce v9 of one batch with acks=all."""
    records = struct.pack(">i", partition) + _unsigned_varint(len(batch) + 1) + batch + b"\0"
    topics = b"\x02" + _unsigned_varint(len(topic) + 1) + topic.encode() + b"\x02" + records + b"\0"
    return _frame(PRODUCE, 9, b"\0" + b"\0" + struct.pack(">hi", -1, 30_000) + topics + b"\0")


def produce_error(reply: bytes, topic: str) -> int:
    """The error code in the reply to `produce`."""
    position = 4 + 1 + 1 + 1 + len(topic) + 1 + 4
    return int(struct.unpack_from(">h", reply, position)[0])


def fetch(topic: str, partition: int, offset: int, max_bytes: int) -> bytes:
    """Fetch v7 of one partition, without a session."""
    limits = struct.pack(">iiiibii", -1, 500, 1, max_bytes, 0, 0, -1)
    asked = struct.pack(">iiqqi", 1, partition, offset, -1, max_bytes)
    return _frame(FETCH, 7, limits + struct.pack(">i", 1) + _string(topic) + asked + struct.pack(">i", 0))


_FETCHED_BEFORE_TOPIC = struct.Struct(">iihii")
_FETCHED_BEHIND_TOPIC = struct.Struct(">iihqqqii")


def fetched_head_bytes(topic: str) -> int:
    """How much of the reply to `fetch` comes before the records, where there are no transactions."""
    return _FETCHED_BEFORE_TOPIC.size + 2 + len(topic) + _FETCHED_BEHIND_TOPIC.size


def fetched(head: bytes, topic: str) -> tuple[int, int]:
    """The error code, and how many bytes of records follow."""
    _, _, error, _, _ = _FETCHED_BEFORE_TOPIC.unpack_from(head)
    position = _FETCHED_BEFORE_TOPIC.size + 2 + len(topic)
    _, _, partition_error, _, _, _, _, records_bytes = _FETCHED_BEHIND_TOPIC.unpack_from(head, position)
    return error or partition_error, records_bytes


def batch(values: Sequence[bytes], timestamp_ms: int) -> bytes:
    """A record batch (format v2) of these values, without keys or headers."""
    records = bytearray()
    for offset_delta, value in enumerate(values):
        body = b"\0\0" + _varint(offset_delta) + _varint(-1) + _varint(len(value)) + value + _varint(0)
        records += _varint(len(body)) + body
    last = len(values) - 1
    checked = struct.pack(">hiqqqhii", 0, last, timestamp_ms, timestamp_ms, -1, -1, -1, len(values)) + records
    return struct.pack(">qiibI", 0, 9 + len(checked), -1, 2, crc32c(checked)) + checked


def _frame(api_key: int, version: int, body: bytes) -> bytes:
    header = struct.pack(">hhih", api_key, version, 1, len(CLIENT_ID)) + CLIENT_ID
    return struct.pack(">i", len(header) + len(body)) + header + body


def _string(text: str) -> bytes:
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
