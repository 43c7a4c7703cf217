"""What no client should send: nothing of it stops the broker, fills its memory or keeps others waiting.

While each scenario runs, a bystander asks for metadata again and again and notes how long it waited, and how much
memory the broker had, where the broker is ours. Everything random comes from a seed.
"""

import random
import socket
import ssl
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain, repeat
from types import TracebackType
from typing import Any, Self

import lz4.frame
import pytest
import snappy
import zstandard
from kafka.protocol.admin import CreateTopicsRequest, DescribeGroupsRequest
from kafka.protocol.consumer import (
    FetchRequest,
    HeartbeatRequest,
    JoinGroupRequest,
    ListOffsetsRequest,
    OffsetCommitRequest,
    OffsetFetchRequest,
)
from kafka.protocol.metadata import ApiVersionsRequest, FindCoordinatorRequest, MetadataRequest
from kafka.protocol.producer import InitProducerIdRequest, ProduceRequest
from kafka.record.util import calc_crc32c

from interop_tests.brokers import Broker, resident_bytes
from interop_tests.eventually import eventually
from interop_tests.kafka_python_clients import Clients, partitions_of, poll_until, produce, values_of
from interop_tests.wire import Wire, batch

WAIT_MAX_S = 2.0
"""No other client may wait longer for an answer, whatever is going on, unless the machine itself was late by more."""

PAUSE_S = 0.01

GROWTH_MAX_BYTES = 100 << 20
"""What a scenario may cost in memory while it lasts: far less than what it claims, or sends compressed."""

CORRUPT_MESSAGE, MESSAGE_TOO_LARGE, UNSUPPORTED_VERSION, INVALID_RECORD = 2, 10, 35, 87


class Bystander:
    """A well-behaved client on a connection of its own, asking all the time."""

    def __init__(self, broker: Broker, growth_max_bytes: int = GROWTH_MAX_BYTES) -> None:
        self.growth_max_bytes = growth_max_bytes
        self.answers = 0
        self.longest_s = 0.0
        self.machine_late_s = 0.0
        self.failure: Exception | None = None
        self._broker = broker
        self._ours = broker.pid if broker.name == "kpy" else None
        self._before = self._resident_bytes()
        self._peak = self._before
        self._end = threading.Event()
        self._threads = [threading.Thread(target=task, daemon=True) for task in (self._ask, self._sleep)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.see(5)
        self._end.set()
        for thread in self._threads:
            thread.join()
        if error is None:
            self.check()

    def see(self, count: int) -> None:
        """Let that many more answers come."""
        until = self.answers + count
        eventually(lambda: self.answers >= until or self.failure, "answers for the bystander")

    def growth_bytes(self) -> int:
        """How much more memory the broker has by now, if it is ours."""
        return self._resident_bytes() - self._before

    def _resident_bytes(self) -> int:
        return resident_bytes(self._ours) if self._ours else 0

    def check(self) -> None:
        assert self.failure is None, f"the bystander failed: {self.failure!r}"
        assert self.longest_s < WAIT_MAX_S + self.machine_late_s, (
            f"the bystander waited {self.longest_s:.1f} s, and the machine was late by {self.machine_late_s:.1f} s"
        )
        assert self._peak - self._before < self.growth_max_bytes, (
            f"the broker grew by {(self._peak - self._before) >> 20} MiB"
        )

    def _ask(self) -> None:
        try:
            with Wire(self._broker, timeout_s=20) as wire:
                while not self._end.wait(PAUSE_S):
                    started = time.monotonic()
                    wire.ask(MetadataRequest(topics=[], allow_auto_topic_creation=False), 12)
                    self.longest_s = max(self.longest_s, time.monotonic() - started)
                    self.answers += 1
                    self._peak = max(self._peak, self._resident_bytes())
        except Exception as failure:  # noqa: BLE001  # shown by the test's own thread
            self.failure = failure

    def _sleep(self) -> None:
        """How late one is woken who asks for nothing: so long the broker may not have been let go on either."""
        started = time.monotonic()
        while not self._end.wait(PAUSE_S):
            now = time.monotonic()
            self.machine_late_s = max(self.machine_late_s, now - started - PAUSE_S)
            started = now


@pytest.fixture
def bystander(broker: Broker) -> Iterator[Bystander]:
    with Bystander(broker) as watching:
        watching.see(1)
        yield watching


def produce_request(topic: str, records: bytes) -> Any:
    Topic = ProduceRequest.TopicProduceData  # noqa: N806
    part = Topic.PartitionProduceData(index=0, records=records)
    return ProduceRequest(
        transactional_id=None, acks=-1, timeout_ms=1000, topic_data=[Topic(name=topic, partition_data=[part])]
    )


def valid_requests(topic: str) -> list[tuple[Any, int]]:
    """One request of each kind that touches a parser of its own, harmless also with one bit changed."""
    Fetch = FetchRequest.FetchTopic  # noqa: N806
    fetched = Fetch(
        topic=topic, partitions=[Fetch.FetchPartition(partition=0, fetch_offset=0, partition_max_bytes=1000)]
    )
    Offsets = ListOffsetsRequest.ListOffsetsTopic  # noqa: N806
    listed = Offsets(name=topic, partitions=[Offsets.ListOffsetsPartition(partition_index=0, timestamp=-1)])
    Commit = OffsetCommitRequest.OffsetCommitRequestTopic  # noqa: N806
    committed = Commit(
        name=topic, partitions=[Commit.OffsetCommitRequestPartition(partition_index=0, committed_offset=1)]
    )
    Create = CreateTopicsRequest.CreatableTopic  # noqa: N806
    created = Create(name=f"{topic}-new", num_partitions=1, replication_factor=1, assignments=[], configs=[])
    asked = MetadataRequest.MetadataRequestTopic(name=topic)
    group = f"{topic}-group"
    return [
        (ApiVersionsRequest(client_software_name="hostile", client_software_version="1"), 4),
        (MetadataRequest(topics=[asked], allow_auto_topic_creation=False), 12),
        (MetadataRequest(topics=[asked], allow_auto_topic_creation=False), 4),
        (produce_request(topic, batch([b"value"] * 3)), 9),
        (produce_request(topic, batch([b"value" * 50] * 3, codec=1)), 7),
        (FetchRequest(max_wait_ms=10, min_bytes=1, max_bytes=1000, topics=[fetched]), 12),
        (ListOffsetsRequest(topics=[listed]), 7),
        (FindCoordinatorRequest(key=group, key_type=0, coordinator_keys=[group]), 4),
        (
            JoinGroupRequest(
                group_id=group,
                session_timeout_ms=1000,
                rebalance_timeout_ms=1000,
                protocol_type="consumer",
                protocols=[],
            ),
            7,
        ),
        (HeartbeatRequest(group_id=group, generation_id=1, member_id="nobody"), 4),
        (OffsetCommitRequest(group_id=group, generation_id_or_member_epoch=-1, member_id="", topics=[committed]), 8),
        (OffsetFetchRequest(group_id=group, topics=[]), 7),
        (DescribeGroupsRequest(groups=[group]), 5),
        (InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=1000), 4),
        (CreateTopicsRequest(topics=[created], timeout_ms=1000, validate_only=True), 7),
    ]


def say(broker: Broker, data: bytes) -> None:
    """Send, end the sending side, and read whatever comes until the broker closes too: it always does."""
    with Wire(broker) as wire:
        try:
            wire.socket.sendall(data)
            wire.socket.shutdown(socket.SHUT_WR)
            while wire.socket.recv(65536):
                pass
        except OSError:
            pass  # it has closed already


def still_works(clients: Clients) -> None:
    """Produce and consume."""
    topic = clients.topic()
    produce(clients, topic, [b"still here"])
    consumer = clients.consumer()
    consumer.assign(partitions_of(topic, 1))
    assert values_of(poll_until(consumer, 1)) == [b"still here"]


def test_what_is_flipped_and_cut_was_valid(broker: Broker, clients: Clients) -> None:
    """Each request that the next tests spoil is answered when it is whole."""
    with Wire(broker) as wire:
        for request, version in valid_requests(clients.topic()):
            wire.ask(request, version)


def test_random_bytes(broker: Broker, clients: Clients, bystander: Bystander) -> None:
    """Noise, bare and in frames of the right length, ends its own connection at most."""
    source = random.Random(1)
    for number in range(200):
        noise = source.randbytes(source.randrange(1, 2000))
        say(broker, noise if number % 2 else struct.pack(">i", len(noise)) + noise)
    still_works(clients)


def test_flipped_bits(broker: Broker, clients: Clients, bystander: Bystander) -> None:
    """Each kind of valid request with a bit changed anywhere: an answer or the end of the connection, nothing else."""
    source = random.Random(2)
    requests = valid_requests(clients.topic())
    with Wire(broker) as wire:
        frames = [wire.frame(request, version) for request, version in requests]
    for frame in frames:
        for _ in range(20):
            flipped = bytearray(frame)
            position = source.randrange(4, len(flipped))
            flipped[position] ^= 1 << source.randrange(8)
            say(broker, bytes(flipped))
    still_works(clients)


def test_truncated_frames(broker: Broker, clients: Clients, bystander: Bystander) -> None:
    """Each kind of valid request cut short, its length telling the truth about what is left."""
    source = random.Random(3)
    requests = valid_requests(clients.topic())
    with Wire(broker) as wire:
        frames = [wire.frame(request, version) for request, version in requests]
    for frame in frames:
        for _ in range(10):
            cut = frame[4 : source.randrange(4, len(frame))]
            say(broker, struct.pack(">i", len(cut)) + cut)
    still_works(clients)


@pytest.mark.parametrize("length", [-(2**31), -1, 0, 1, 7, 104_857_601, 2**31 - 1])
def test_lengths_that_cannot_be(broker: Broker, bystander: Bystander, length: int) -> None:
    """A frame whose length is negative, too short for a header or over socket.request.max.bytes ends the connection."""
    with Wire(broker) as wire:
        wire.socket.sendall(struct.pack(">i", length) + bytes(max(0, min(length, 100))))
        assert wire.closed_by_broker()


def lying_bodies() -> Iterator[tuple[str, bytes]]:
    """Requests whose counts and lengths promise what does not follow."""

    def header(api_key: int, version: int) -> bytes:
        return struct.pack(">hhih", api_key, version, 1, -1)

    for count in (2**31 - 1, 2**31 - 2, 1 << 24, -2, -(2**31)):
        yield f"metadata of {count} topics", header(3, 4) + struct.pack(">i", count)
        yield f"describe {count} groups", header(15, 1) + struct.pack(">i", count)
        yield f"produce to {count} topics", header(0, 3) + struct.pack(">hhii", -1, 1, 1000, count)
        yield (
            f"join with {count} protocols",
            header(11, 2) + b"\0\1g" + struct.pack(">ii", 1000, 1000) + b"\0\0\0\1c" + struct.pack(">i", count),
        )
    yield "a client id of 32767", struct.pack(">hhih", 18, 2, 1, 32767)
    for length in (-2, 32767, -32768):
        yield f"a group id of {length}", header(12, 0) + struct.pack(">h", length)
    for varint in (b"\xff\xff\xff\xff\x0f", b"\xff" * 5, b"\xff" * 10 + b"\x01", b"\x80" * 200_000):
        yield f"flexible metadata of {varint[:12].hex()} topics", header(3, 12) + b"\0" + varint
        yield f"{varint[:12].hex()} tagged fields", header(3, 12) + varint
        yield f"a tag of {varint[:12].hex()} bytes", header(18, 3) + b"\x01\x05" + varint


@pytest.mark.parametrize(("name", "body"), list(lying_bodies()), ids=[name for name, _ in lying_bodies()])
def test_lying_counts(broker: Broker, bystander: Bystander, name: str, body: bytes) -> None:
    """A count that the frame cannot hold ends the connection at once, and nothing is set aside for it."""
    with Wire(broker) as wire:
        wire.socket.sendall(struct.pack(">i", len(body)) + body)
        assert wire.closed_by_broker()


def test_half_frames_then_silence(broker: Broker, clients: Clients, bystander: Bystander) -> None:
    """Two hundred connections that stop in the middle of a frame disturb nobody, and their ends are noticed."""
    with ExitStack() as stack:
        for number in range(200):
            wire = stack.enter_context(Wire(broker))
            frame = wire.frame(MetadataRequest(topics=None, allow_auto_topic_creation=False), 12)
            wire.socket.sendall(frame[: 1 + number % (len(frame) - 1)])
        bystander.see(20)
        still_works(clients)


def test_two_hundred_that_send_a_byte_now_and_then(broker: Broker, clients: Clients, bystander: Bystander) -> None:
    """Requests that arrive a byte at a time on many connections are answered in the end; meanwhile all is well."""
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(broker)) for _ in range(200)]
        frames = [wire.frame(MetadataRequest(topics=[], allow_auto_topic_creation=False), 12) for wire in wires]
        for position in range(len(frames[0]) - 1):
            for wire, frame in zip(wires, frames, strict=True):
                wire.socket.sendall(frame[position : position + 1])
            bystander.see(2)
        still_works(clients)
        for wire, frame in zip(wires, frames, strict=True):
            wire.socket.sendall(frame[-1:])
            assert len(wire.receive_frame()) > 20


def test_a_reader_that_never_reads(broker: Broker, clients: Clients, bystander: Bystander) -> None:
    """Requests for far more than a socket takes, and no byte of the answers read: the broker stops taking them."""
    topic = clients.topic()
    produce(clients, topic, [b"x" * 900_000] * 10)
    Fetch = FetchRequest.FetchTopic  # noqa: N806
    part = Fetch.FetchPartition(
        partition=0, current_leader_epoch=-1, fetch_offset=0, log_start_offset=-1, partition_max_bytes=50_000_000
    )
    request = FetchRequest(
        max_wait_ms=100, min_bytes=1, max_bytes=50_000_000, topics=[Fetch(topic=topic, partitions=[part])]
    )
    with ExitStack() as stack:
        for _ in range(10):
            wire = stack.enter_context(Wire(broker))
            frame = wire.frame(request, 11)
            wire.socket.setblocking(False)
            for _ in range(1000):
                try:
                    wire.socket.send(frame)
                except BlockingIOError:
                    break
        bystander.see(50)
        still_works(clients)


def test_a_flood_of_requests_without_reading(broker: Broker, clients: Clients, bystander: Bystander) -> None:
    """Small requests sent as fast as possible, their answers left lying: at some point they are no longer taken."""
    with Wire(broker) as wire:
        flood = wire.frame(ApiVersionsRequest(client_software_name="flood", client_software_version="1"), 4) * 1000
        wire.socket.setblocking(False)
        refused = 0
        while refused < 20:
            try:
                wire.socket.send(flood)
                refused = 0
            except BlockingIOError:
                refused += 1
                bystander.see(1)
        still_works(clients)


def tls_hello() -> bytes:
    """The first bytes of a TLS client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize(
    "greeting",
    [tls_hello(), b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n"],
    ids=["tls", "http", "ssh"],
)
def test_other_protocols(broker: Broker, bystander: Bystander, greeting: bytes) -> None:
    """A TLS, HTTP or SSH client is told at once that nobody here speaks it: the connection ends."""
    with Wire(broker) as wire:
        wire.socket.sendall(greeting)
        assert wire.closed_by_broker()


def bomb(codec: int, payload: bytes, count: int) -> bytes:
    """A record batch with a right checksum around a compressed payload."""
    now_ms = 1_700_000_000_000
    covered = struct.pack(">hiqqqhii", codec, count - 1, now_ms, now_ms, -1, -1, -1, count) + payload
    rest = struct.pack(">ib", 0, 2) + struct.pack(">I", calc_crc32c(covered)) + covered
    return struct.pack(">qi", 0, len(rest)) + rest


CODECS = {"gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
INFLATED_MIB = {"gzip": 900, "snappy": 16, "lz4": 200, "zstd": 1024}
"""Zeros, as many as the codec brings into less than a megabyte, up to about a gigabyte."""


def compressed(codec: str, first: bytes, last: bytes) -> bytes:
    """`first`, INFLATED_MIB of zeros, `last`."""
    mebibyte = bytes(1 << 20)
    content = chain([first], repeat(mebibyte, INFLATED_MIB[codec]), [last])
    if codec == "snappy":
        block = bytes(snappy.compress(b"".join(content)))
        return b"\x82SNAPPY\0" + struct.pack(">iii", 1, 1, len(block)) + block
    if codec == "lz4":
        packer = lz4.frame.LZ4FrameCompressor(block_linked=False, block_size=lz4.frame.BLOCKSIZE_MAX4MB)
        return b"".join([packer.begin(), *map(packer.compress, content), packer.flush()])
    squeezer = zlib.compressobj(9, wbits=31) if codec == "gzip" else zstandard.ZstdCompressor().compressobj()
    return b"".join([*map(squeezer.compress, content), squeezer.flush()])


def varint(number: int) -> bytes:
    """A zigzag varint, for a number that is not negative."""
    number <<= 1
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    return bytes([*encoded, number])


def error_of_produce(broker: Broker, topic: str, records: bytes) -> int:
    with Wire(broker) as wire:
        [answer] = wire.ask(produce_request(topic, records), 9).responses
        return int(answer.partition_responses[0].error_code)


@pytest.mark.parametrize("codec", CODECS)
def test_decompression_bombs(broker: Broker, clients: Clients, bystander: Bystander, codec: str) -> None:
    """A megabyte that inflates to a gigabyte of no records is refused, and never inflated whole."""
    topic = clients.topic()
    records = bomb(CODECS[codec], compressed(codec, b"", b""), count=1000)
    assert error_of_produce(broker, topic, records) != 0
    assert list(clients.consumer().end_offsets(partitions_of(topic, 1)).values()) == [0]


@pytest.mark.parametrize("codec", CODECS)
def test_one_enormous_record(broker: Broker, clients: Clients, bystander: Bystander, codec: str) -> None:
    """A megabyte that inflates to one sound record of a gigabyte: stored or refused, nobody suffers from it."""
    topic = clients.topic()
    size = INFLATED_MIB[codec] << 20
    fields = b"\0\0\0\1" + varint(size)
    length = varint(len(fields) + size + 1)
    records = bomb(CODECS[codec], compressed(codec, length + fields, b"\0"), count=1)
    assert error_of_produce(broker, topic, records) in (0, CORRUPT_MESSAGE, MESSAGE_TOO_LARGE, INVALID_RECORD)


def test_counts_that_lie_in_a_batch(broker: Broker, clients: Clients) -> None:
    """A batch that claims two thousand million records is refused, and so is one with a record too long for it."""
    topic = clients.topic()
    for records in (bomb(0, b"\x10\0\0\0\1\2x\0", 2**31 - 1), bomb(0, b"\xfe\xff\xff\xff\x0f\0\0\0\1\2x\0", 1)):
        assert error_of_produce(broker, topic, records) != 0


@pytest.mark.cannot_pass(
    broker="kafka", why="it sets aside what a frame claims: everybody else waits for seconds, or its memory is gone"
)
def test_twenty_that_claim_99_megabytes(broker: Broker, clients: Clients, bystander: Bystander) -> None:
    """Frames that announce 99 MB and send 64 kB of it cost 64 kB."""
    with ExitStack() as stack:
        for _ in range(20):
            wire = stack.enter_context(Wire(broker))
            wire.socket.sendall(struct.pack(">ihhih", 99_000_000, 0, 9, 1, -1) + bytes(65536))
        bystander.see(50)
        still_works(clients)


@pytest.mark.cannot_pass(
    broker="kafka", why="it sets aside what a frame claims: everybody else waits for seconds, or its memory is gone"
)
def test_twenty_that_send_99_megabytes(broker: Broker, clients: Clients) -> None:
    """The same, and they send 60 MB of it each, as fast as it is taken: what is held is near a limit, and given up.

    kpy's is queued.max.request.bytes, 128 MiB, and one frame more that goes on so that it ends.
    """
    with Bystander(broker, growth_max_bytes=300 << 20) as bystander:
        with ExitStack() as stack:
            send_60_megabytes_each([stack.enter_context(Wire(broker)) for _ in range(20)])
            bystander.see(5)
            still_works(clients)
        eventually(lambda: bystander.growth_bytes() < 50 << 20, "nothing is held for those who are gone")


def send_60_megabytes_each(wires: list[Wire]) -> None:
    """Of a frame of 99 MB, or as much of it as is taken in four seconds."""
    for wire in wires:
        wire.socket.sendall(struct.pack(">ihhih", 99_000_000, 0, 9, 1, -1))
        wire.socket.setblocking(False)
    chunk = bytes(1 << 20)
    until = time.monotonic() + 4
    left = dict.fromkeys(wires, 60_000_000)
    while left and time.monotonic() < until:
        for wire in list(left):
            try:
                left[wire] -= wire.socket.send(chunk)
            except BlockingIOError:
                continue
            except ConnectionError:
                left[wire] = 0
            if left[wire] <= 0:
                del left[wire]


@pytest.mark.parametrize("api_key", [-1, 100, 999, 32767])
@pytest.mark.parametrize("version", [0, 3, -1, 32767])
def test_unknown_apis(broker: Broker, bystander: Bystander, api_key: int, version: int) -> None:
    """A request of a kind that does not exist ends its connection."""
    body = struct.pack(">hhih", api_key, version, 1, 1) + b"x" + bytes(100)
    with Wire(broker) as wire:
        wire.socket.sendall(struct.pack(">i", len(body)) + body)
        assert wire.closed_by_broker()


@pytest.mark.parametrize(("api_key", "version"), [(0, 14), (0, 0), (1, 3), (3, 14), (11, -1), (19, 100)])
def test_unknown_versions(broker: Broker, bystander: Bystander, api_key: int, version: int) -> None:
    """A version that was not offered ends its connection."""
    body = struct.pack(">hhih", api_key, version, 1, 1) + b"x" + bytes(100)
    with Wire(broker) as wire:
        wire.socket.sendall(struct.pack(">i", len(body)) + body)
        assert wire.closed_by_broker()


def test_unknown_version_of_apiversions(broker: Broker) -> None:
    """Only ApiVersions itself answers: UNSUPPORTED_VERSION in the body of version 0."""
    body = struct.pack(">hhih", 18, 99, 7, 1) + b"x\0"
    with Wire(broker) as wire:
        wire.socket.sendall(struct.pack(">i", len(body)) + body)
        answer = wire.receive_frame()
        correlation, error, count = struct.unpack_from(">ihi", answer, 4)
        assert (correlation, error) == (7, UNSUPPORTED_VERSION)
        offered = [struct.unpack_from(">hhh", answer, 14 + 6 * index) for index in range(count)]
        assert (18, 0, 4) in offered


def test_connections_that_come_and_go(broker: Broker, clients: Clients, bystander: Bystander) -> None:
    """Three hundred connections opened and dropped, some without a word, some with a reset."""
    for number in range(300):
        connection = socket.create_connection((broker.host, broker.port), timeout=20)
        if number % 3:
            connection.sendall(b"\0\0\0\x20")
        if number % 2:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    still_works(clients)
