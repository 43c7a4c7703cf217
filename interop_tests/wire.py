"""A connection that says exactly what it is told, with kafka-python's codec: for what no well-behaved client sends."""

import socket
import struct
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from kafka.errors import UnknownMemberIdError
from kafka.protocol.consumer import FetchRequest, HeartbeatRequest
from kafka.protocol.metadata import FindCoordinatorRequest
from kafka.protocol.parser import KafkaProtocol
from kafka.protocol.producer import ProduceRequest
from kafka.record.default_records import DefaultRecordBatch
from kafka.record.memory_records import MemoryRecords, MemoryRecordsBuilder

from interop_tests.brokers import Broker
from interop_tests.eventually import PATIENCE_S, eventually
from kpy.protocol.schema import Request, Response

R = TypeVar("R", bound=Response)

NO_LEADER_YET = (3, 5, 6)
"""UNKNOWN_TOPIC_OR_PARTITION, LEADER_NOT_AVAILABLE, NOT_LEADER_OR_FOLLOWER: what Kafka says of what is new to it."""


class Wire:
    """One socket to the broker."""

    def __init__(self, broker: Broker, timeout_s: float = PATIENCE_S, *, client_id: str = "wire") -> None:
        self.socket = socket.create_connection((broker.host, broker.port), timeout=timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._protocol = KafkaProtocol(client_id=client_id)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def ask(self, request: Any, version: int) -> Any:
        """The response, decoded."""
        self.socket.sendall(self.frame(request, version))
        return self.receive()

    def receive(self) -> Any:
        """The next response, decoded."""
        while True:
            if responses := self._protocol.receive_bytes(self.receive_frame()):
                return responses[0][1]

    def frame(self, request: Any, version: int) -> bytes:
        """The request as bytes, its length in front."""
        request.API_VERSION = version
        self._protocol.send_request(request)
        return bytes(self._protocol.send_bytes())

    def receive_frame(self) -> bytes:
        """One frame with its length; EOFError if the broker has closed the connection."""
        length = receive_exactly(self.socket, 4)
        return length + receive_exactly(self.socket, struct.unpack(">i", length)[0])

    def closed_by_broker(self) -> bool:
        """Is there an end instead of an answer?"""
        try:
            self.receive_frame()
        except (EOFError, ConnectionError):
            return True
        return False


class Dialogue:
    """One socket that speaks kpy's own codec, for what kafka-python's does not know.

    `tests/protocol` holds it against Kafka's.
    """

    def __init__(self, broker: Broker) -> None:
        self._socket = socket.create_connection((broker.host, broker.port), timeout=PATIENCE_S)

    def close(self) -> None:
        self._socket.close()

    def ask(self, request: Request, response: type[R], version: int) -> R:
        self.send(request, version)
        return self.receive(response, version)

    def send(self, request: Request, version: int) -> None:
        is_flexible = version >= request.flexible_since
        header = struct.pack(">hhih", request.api, version, 1, 4) + b"talk" + (b"\0" if is_flexible else b"")
        frame = header + request.encode(version)
        self._socket.sendall(struct.pack(">i", len(frame)) + frame)

    def receive(self, response: type[R], version: int) -> R:
        (length,) = struct.unpack(">i", receive_exactly(self._socket, 4))
        body = receive_exactly(self._socket, length)
        return response.decode(body[5 if version >= response.flexible_since else 4 :], version)


def receive_exactly(source: socket.socket, size: int) -> bytes:
    """That many bytes; EOFError if the broker ends before."""
    received = bytearray()
    while len(received) < size:
        chunk = source.recv(size - len(received))
        if not chunk:
            raise EOFError("closed by the broker")
        received += chunk
    return bytes(received)


def batch(
    values: Sequence[bytes],
    *,
    producer_id: int = -1,
    producer_epoch: int = -1,
    sequence: int = -1,
    codec: int = 0,
    timestamp_ms: int = 1_700_000_000_000,
) -> bytes:
    """One record batch of version 2."""
    builder = MemoryRecordsBuilder(magic=2, compression_type=codec, batch_size=1 << 30)
    if producer_id >= 0:
        builder.set_producer_state(producer_id, producer_epoch, sequence, False)
    for value in values:
        builder.append(timestamp_ms, None, value, [])
    builder.close()
    return bytes(builder.buffer())


def await_coordinator(broker: Broker, group: str) -> None:
    """Return when the group, which nobody knows yet, has a coordinator that answers.

    Asking for one makes a fresh broker create its topic.
    """
    find = FindCoordinatorRequest(key_type=0, coordinator_keys=[group])
    beat = HeartbeatRequest(group_id=group, generation_id=0, member_id="nobody", group_instance_id=None)
    with Wire(broker) as wire:

        def answers() -> bool:
            wire.ask(find, 4)
            return bool(wire.ask(beat, 4).error_code == UnknownMemberIdError.errno)

        eventually(answers, f"a coordinator of {group}")


def append(broker: Broker, topic: str, records: bytes, *, partition: int = 0) -> tuple[int, int]:
    """Produce that one batch with acks=all; error code and base offset of the answer, once there is a leader."""
    Topic = ProduceRequest.TopicProduceData  # noqa: N806
    part = Topic.PartitionProduceData(index=partition, records=records)
    request = ProduceRequest(
        transactional_id=None, acks=-1, timeout_ms=5000, topic_data=[Topic(name=topic, partition_data=[part])]
    )
    with Wire(broker) as wire:

        def ask() -> Any:
            [answer] = wire.ask(request, 9).responses
            [result] = answer.partition_responses
            return None if result.error_code in NO_LEADER_YET else result

        result = eventually(ask, f"a leader of {topic}-{partition}")
    return result.error_code, result.base_offset


def stored_batches(broker: Broker, topic: str, partition: int = 0) -> list[DefaultRecordBatch]:
    """The partition's record batches as they are stored, from its beginning; up to a megabyte of them."""
    Fetch = FetchRequest.FetchTopic  # noqa: N806
    part = Fetch.FetchPartition(
        partition=partition, current_leader_epoch=-1, fetch_offset=0, log_start_offset=-1, partition_max_bytes=1_000_000
    )
    request = FetchRequest(max_bytes=1_000_000, topics=[Fetch(topic=topic, partitions=[part])])
    with Wire(broker) as wire:
        [answer] = wire.ask(request, 11).responses
    [fetched] = answer.partitions
    assert fetched.error_code == 0
    records = MemoryRecords(fetched.records)
    batches = []
    while records.has_next():
        batches.append(records.next_batch())
    return batches
