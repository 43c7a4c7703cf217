"""Logs of every kind on a broker, and an account of what was written: for tests that look at a broker's files.

Segments and index intervals are small, so that a little data has many of both.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple, Protocol, cast

from confluent_kafka import Consumer, KafkaError, Message, Producer
from confluent_kafka import TopicPartition as Position
from kafka import OffsetAndMetadata, TopicPartition

from interop_tests.brokers import Broker
from interop_tests.eventually import PATIENCE_S, eventually
from interop_tests.kafka_python_clients import Clients
from interop_tests.wire import append
from interop_tests.wire import batch as encode_batch
from kpy.protocol.records import (
    TRANSACTIONAL,
    ControlType,
    EndTransactionMarker,
    Record,
    build_batch,
    build_control_batch,
)
from kpy.storage.disk_files import DiskFiles
from kpy.storage.log_config import LogConfig
from kpy.storage.log_directory import LogDirectory
from kpy.storage.producer_states import AppendOrigin

CODECS: Final = ("none", "gzip", "snappy", "lz4", "zstd")
SEGMENT_BYTES: Final = 2000
INTERVAL_BYTES: Final = 300
SMALL: Final = {"internal_segment_bytes": SEGMENT_BYTES, "index_interval_bytes": INTERVAL_BYTES, "retention_ms": -1}
BATCHES: Final = 12
PRODUCER_ID: Final = 4000
LAST_SEQUENCE: Final = 6
DELETED_BEFORE: Final = 7

Headers = tuple[tuple[str, bytes | None], ...]
Partition = tuple[str, int]


class Written(NamedTuple):
    """One record, as it was acknowledged or as a consumer got it."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass
class Scenario:
    """What was written, in order, to which partition."""

    logs: dict[Partition, list[Written]] = field(default_factory=dict)
    aborted: set[int] = field(default_factory=set)
    """Offsets in the log of `transactional` whose transaction was aborted."""
    first_undecided: int = 0
    """Where the transaction begins there that was never ended."""
    codecs: str = ""
    appended: str = ""
    transactional: str = ""
    sequenced: str = ""
    """Written batch by batch by PRODUCER_ID, with the sequence numbers 0 to LAST_SEQUENCE."""
    compacted: str = ""
    """If there is one, `logs` has what compaction has left of it."""
    starts: dict[Partition, int] = field(default_factory=dict)
    """Where a log starts of which records were deleted."""
    group: str = ""
    committed: dict[Partition, int] = field(default_factory=dict)

    def committed_records(self, partition: Partition) -> list[Written]:
        """What somebody sees who reads committed records."""
        readable = self.readable_records(partition)
        if partition[0] != self.transactional:
            return readable
        return [w for w in readable if w.offset < self.first_undecided and w.offset not in self.aborted]

    def readable_records(self, partition: Partition) -> list[Written]:
        """What somebody sees who reads everything that was not deleted."""
        start = self.starts.get(partition, 0)
        return [record for record in self.logs[partition] if record.offset >= start]

    @property
    def transactional_logs(self) -> tuple[str, ...]:
        return tuple(topic for topic in (self.transactional, self.compacted) if topic)

    @property
    def topics(self) -> dict[str, int]:
        """Each topic, and how many partitions it has."""
        one = (self.appended, self.transactional, self.sequenced, self.compacted)
        return {self.codecs: len(CODECS), **{topic: 1 for topic in one if topic}}


def some_records(batch: int) -> list[tuple[bytes | None, bytes | None, Headers]]:
    """Keys and values of all shapes, null and empty ones among them, with and without headers."""
    return [
        (b"key-%d" % batch, b"value-%d" % batch, ()),
        (None, b"only a value", (("trace", b"%d" % batch),)),
        (b"only a key", None, (("null", None), ("empty", b""))),
        (b"", b"", ()),
        (None, None, ()),
        ("schl\u00fcssel".encode(), "w\u00e4rme \u2713".encode() * 20, (("trace", b"a"), ("trace", b"b"))),
    ]


def fill(broker: Broker, unique: Callable[[str], str]) -> Scenario:
    """Topics of all kinds with records, those of `transactional` without transactions; a group's committed offsets."""
    scenario = Scenario()
    with ExitStack() as stack:
        clients = Clients(broker.bootstrap, stack, unique)
        scenario.codecs = clients.topic(len(CODECS), name="codecs", **SMALL)
        scenario.appended = clients.topic(1, name="appended", message_timestamp_type="LogAppendTime", **SMALL)
        scenario.transactional = clients.topic(1, name="transactional", **SMALL)
        targets = [(codec, (scenario.codecs, partition)) for partition, codec in enumerate(CODECS)]
        targets += [(codec, (scenario.appended, 0)) for codec in ("none", "gzip")]
        producers = [new_producer(broker, codec) for codec, _ in targets]  # each takes half a second for its id
        for producer, (_, partition) in zip(producers, targets, strict=True):
            _write(scenario, producer, partition)
        write_one(scenario, broker, (scenario.transactional, 0))
        _append_sequences(scenario, broker, clients)
        _commit(scenario, clients)
        scenario.starts[scenario.codecs, 1] = DELETED_BEFORE
        clients.admin.delete_records({TopicPartition(scenario.codecs, 1): DELETED_BEFORE})
    return scenario


def _append_sequences(scenario: Scenario, broker: Broker, clients: Clients) -> None:
    scenario.sequenced = clients.topic(1, name="sequenced", **SMALL)
    written = scenario.logs.setdefault((scenario.sequenced, 0), [])
    now_ms = int(time.time() * 1000)
    for sequence in range(LAST_SEQUENCE + 1):
        error, offset = append(broker, scenario.sequenced, sequenced_batch(sequence, now_ms + sequence))
        assert (error, offset) == (0, sequence)
        written.append(Written(offset, now_ms + sequence, None, b"%d" % sequence, ()))


def sequenced_batch(sequence: int, timestamp_ms: int) -> bytes:
    """One record of PRODUCER_ID with that sequence number."""
    value = b"%d" % sequence
    return encode_batch(
        [value], producer_id=PRODUCER_ID, producer_epoch=0, sequence=sequence, timestamp_ms=timestamp_ms
    )


def new_producer(broker: Broker, codec: str = "none", transactional_id: str | None = None) -> Producer:
    """An idempotent producer that sends when it is flushed."""
    settings: dict[str, str | int | bool] = {
        "bootstrap.servers": broker.bootstrap,
        "enable.idempotence": True,
        "linger.ms": 5000,
        "compression.codec": codec,
        "log_level": 0,
    }
    if transactional_id is not None:
        settings["transactional.id"] = transactional_id
    return Producer(settings)


def _write(scenario: Scenario, producer: Producer, partition: Partition) -> None:
    """Batches, one after the other, with timestamps that go up and down."""
    now_ms = int(time.time() * 1000)
    written = scenario.logs.setdefault(partition, [])
    for batch in range(BATCHES):
        written += send(producer, partition, batch, now_ms + batch * 100)


def write_one(scenario: Scenario, broker: Broker, partition: Partition) -> None:
    """One more batch, of a new producer."""
    written = scenario.logs.setdefault(partition, [])
    written += send(new_producer(broker), partition, BATCHES, int(time.time() * 1000))


def send(producer: Producer, partition: Partition, batch: int, now_ms: int) -> list[Written]:
    """`some_records` as one batch, acknowledged."""
    delivered: list[tuple[KafkaError | None, Message]] = []
    records = some_records(batch)
    for number, (key, value, headers) in enumerate(records):
        producer.produce(
            partition[0],
            value,
            key=key,
            headers=list(headers),
            partition=partition[1],
            timestamp=now_ms - number * 30,
            on_delivery=lambda error, message: delivered.append((error, message)),
        )
    assert producer.flush(PATIENCE_S) == 0
    assert [error for error, _ in delivered if error is not None] == []
    return [
        Written(message.offset() or 0, message.timestamp()[1], key, value, headers)
        for (_, message), (key, value, headers) in zip(delivered, records, strict=True)
    ]


def _commit(scenario: Scenario, clients: Clients) -> None:
    scenario.group = clients.unique("group")
    consumer = clients.consumer(group_id=scenario.group, enable_auto_commit=False)
    scenario.committed = {(scenario.codecs, partition): partition + 7 for partition in range(len(CODECS))}
    consumer.assign([TopicPartition(*partition) for partition in scenario.committed])
    consumer.commit({TopicPartition(*p): OffsetAndMetadata(offset, "", -1) for p, offset in scenario.committed.items()})


class Transactions(Protocol):
    """Producers by name, each with a transaction of its own."""

    def send(self, name: str, batch: int) -> list[Written]:
        """A batch of the producer's transaction, which begins with it if none is open."""

    def end(self, name: str, *, commit: bool) -> None: ...


def write_transactions(scenario: Scenario, transactions: Transactions) -> None:
    """Transactions that lie beside one another and over segments, and one that is left open."""
    written = scenario.logs.setdefault((scenario.transactional, 0), [])
    for batch in range(BATCHES):
        written += transactions.send("committing", batch)
        aborted = transactions.send("aborting", batch)
        if batch % 3 == 2:
            aborted += transactions.send("aborting", batch)
        written += aborted
        scenario.aborted |= {record.offset for record in aborted}
        if batch % 2:
            transactions.end("committing", commit=True)
        transactions.end("aborting", commit=False)
    undecided = transactions.send("open", BATCHES)
    scenario.first_undecided = undecided[0].offset
    written += undecided
    written += transactions.send("committing", BATCHES)
    transactions.end("committing", commit=True)


class ClientTransactions:
    """By clients, on a broker that serves them. What is open stays open as long as this object lives."""

    def __init__(self, broker: Broker, topic: str, unique: Callable[[str], str]) -> None:
        self._broker = broker
        self._topic = topic
        self._unique = unique
        self._producers: dict[str, Producer] = {}
        self._open: set[str] = set()

    def send(self, name: str, batch: int) -> list[Written]:
        if name not in self._producers:
            self._producers[name] = new_producer(self._broker, transactional_id=self._unique(name))
            self._producers[name].init_transactions(PATIENCE_S)
        if name not in self._open:
            self._producers[name].begin_transaction()
            self._open.add(name)
        return send(self._producers[name], (self._topic, 0), batch, int(time.time() * 1000))

    def end(self, name: str, *, commit: bool) -> None:
        producer = self._producers[name]
        (producer.commit_transaction if commit else producer.abort_transaction)(PATIENCE_S)
        self._open.remove(name)


class StoredTransactions:
    """Written into a log of kpy while no broker runs on it, as a transaction coordinator and its clients would."""

    def __init__(self, data_directory: Path, topic: str) -> None:
        self._directory = LogDirectory.open(DiskFiles(data_directory))
        log = self._directory.get(topic, 0)
        assert log is not None, "the broker has not made this log"
        self._log = log
        self._log.config = LogConfig(segment_bytes=SEGMENT_BYTES, index_interval_bytes=INTERVAL_BYTES)
        self._sequences: dict[str, int] = {}

    def close(self) -> None:
        self._directory.close()

    def send(self, name: str, batch: int) -> list[Written]:
        now_ms = int(time.time() * 1000)
        sequence = self._sequences.setdefault(name, 0)
        records = [
            Record(key, value, headers, now_ms - number * 30)
            for number, (key, value, headers) in enumerate(some_records(batch))
        ]
        data = build_batch(records, **self._producer(name), base_sequence=sequence, attributes=TRANSACTIONAL)
        result = self._log.append(data, leader_epoch=0, now_ms=now_ms, transaction_verified=True)
        self._sequences[name] += len(records)
        return [
            Written(result.base_offset + number, record.timestamp or 0, record.key, record.value, record.headers)
            for number, record in enumerate(records)
        ]

    def end(self, name: str, *, commit: bool) -> None:
        now_ms = int(time.time() * 1000)
        marker = EndTransactionMarker(ControlType.COMMIT if commit else ControlType.ABORT, coordinator_epoch=0)
        batch = build_control_batch(marker.record(), timestamp=now_ms, transactional=True, **self._producer(name))
        self._log.append(batch, leader_epoch=0, now_ms=now_ms, origin=AppendOrigin.COORDINATOR)

    @staticmethod
    def _producer(name: str) -> dict[str, int]:
        return {"producer_id": 1000 + len(name), "producer_epoch": 0}


def read(broker: Broker, partition: Partition, *, committed: bool = False, offset: int = 0) -> list[Written]:
    """Every record from that offset on, as librdkafka's consumer gives them."""
    settings: dict[str, str | int | bool] = {
        "bootstrap.servers": broker.bootstrap,
        "group.id": "none",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "fetch.wait.max.ms": 20,
        "isolation.level": "read_committed" if committed else "read_uncommitted",
        "auto.offset.reset": "error",
        "check.crcs": True,
        "log_level": 0,
    }
    consumer = Consumer(settings)
    try:
        consumer.assign([Position(*partition, offset)])
        found: list[Written] = []

        def at_the_end() -> bool:
            for message in consumer.consume(1000, 0.1):
                error = message.error()
                if error is not None:
                    assert error.code() == KafkaError._PARTITION_EOF, error
                    return True
                found.append(_as_written(message))
            return False

        eventually(at_the_end, f"the end of {partition}")
    finally:
        consumer.close()
    return found


def _as_written(message: Message) -> Written:
    headers = cast("Headers", tuple(message.headers() or ()))  # librdkafka has no other header values
    return Written(message.offset() or 0, message.timestamp()[1], message.key(), message.value(), headers)
