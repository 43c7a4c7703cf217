"""Partition directories that change brokers, and what is seen of them before and after.

kpy and a node of Apache Kafka are each filled, looked at, and stopped in order. Kafka gets kpy's directories in the
place of topics of that name and is started, looked at, and killed. Then one kpy gets what Kafka left in order, and
another what the kill left.

A topic keeps the topic id that it has where its directory goes; every other byte is as the first broker left it.
"""

import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from itertools import count, product
from pathlib import Path
from typing import Final

from kafka import TopicPartition
from kafka.errors import KafkaError
from kafka.protocol.consumer import FetchRequest

from interop_tests.brokers import Broker, KpyBroker, OwnBroker
from interop_tests.clients.java_console import run, tool
from interop_tests.eventually import PATIENCE_S, eventually
from interop_tests.kafka_python_clients import Clients, partitions_of, poll_until
from interop_tests.log_scenario import (
    INTERVAL_BYTES,
    LAST_SEQUENCE,
    SEGMENT_BYTES,
    SMALL,
    ClientTransactions,
    Partition,
    Scenario,
    StoredTransactions,
    Written,
    fill,
    new_producer,
    read,
    sequenced_batch,
    write_one,
    write_transactions,
)
from interop_tests.oracle.node import STORAGE_LOGGING, KafkaNode
from interop_tests.wire import Wire, append
from kpy.protocol.records import Record, build_batch

PARTITION_METADATA: Final = "partition.metadata"
CHECKPOINTS: Final = (
    "recovery-point-offset-checkpoint",
    "log-start-offset-checkpoint",
    "replication-offset-checkpoint",
    "cleaner-offset-checkpoint",
)
CLEAN_SHUTDOWN: Final = ".kafka_cleanshutdown"
READ_COMMITTED: Final = 1
FETCH_BYTES: Final = (700, 1500, 5000)
"""Where a fetch ends with the batch before the first index entry, Kafka may tell of a transaction behind it, too."""
SAME: Final = "same"
COMPACTED_ROUNDS: Final = 24
COMPACTED_KEYS: Final = 6
QUICK_CLEANER: Final = {"log.cleaner.backoff.ms": "100"}
COMPACTION: Final = {"cleanup_policy": "compact", "min_cleanable_dirty_ratio": 0.01, **SMALL}


@dataclass
class Seen:
    """What a broker serves of a scenario's topics."""

    records: dict[Partition, list[Written]]
    committed: dict[Partition, list[Written]]
    bounds: dict[Partition, tuple[int, int]]
    aborted: dict[tuple[Partition, int, int], tuple[int, list[tuple[int, int]]]]
    """Partition, offset and max bytes of a fetch -> last stable offset, producer ids and first offsets."""
    by_time: dict[tuple[Partition, int], tuple[int, int] | None]
    """Partition and timestamp -> offset and timestamp of the first record from then on."""


@dataclass
class Exchange:
    """Who wrote what, who served what, and what they left and said."""

    scratch: Path
    by_kpy: Scenario = field(default_factory=Scenario)
    by_kafka: Scenario = field(default_factory=Scenario)
    seen: dict[str, Seen] = field(default_factory=dict)
    sequences: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    """What the idempotent producer was told when it went on."""
    more: list[Written] = field(default_factory=list)
    """What Kafka appended to the first partition of its codecs before it was killed."""
    others: dict[str, list[tuple[int, bytes | None]]] = field(default_factory=dict)
    """Consumer -> offset and value of the committed records that kpy gave it of Kafka's transactional log."""
    said: dict[str, str] = field(default_factory=dict)
    """The output of the brokers that got the other's directories."""

    def data(self, broker: str) -> Path:
        return self.scratch / broker / "data"


def look(broker: Broker, scenario: Scenario) -> Seen:
    with ExitStack() as stack:
        consumer = Clients(broker.bootstrap, stack, str).consumer()
        partitions = [part for topic, count in scenario.topics.items() for part in partitions_of(topic, count)]
        starts = eventually(
            lambda: consumer.beginning_offsets(partitions), "where the logs start", ignoring=(KafkaError,)
        )
        ends = consumer.end_offsets(partitions)
        bounds = {(part.topic, part.partition): (starts[part], ends[part]) for part in partitions}
        by_time = {}
        for (topic, index), written in scenario.logs.items():
            stamps = sorted({record.timestamp for record in written})
            for stamp in (stamps[0] - 1, *stamps[::7], stamps[-1], stamps[-1] + 1):
                found = consumer.offsets_for_times({TopicPartition(topic, index): stamp})[TopicPartition(topic, index)]
                by_time[(topic, index), stamp] = found and (found.offset, found.timestamp)
    return Seen(
        records={part: read(broker, part, offset=start) for part, (start, _) in bounds.items()},
        committed={part: read(broker, part, offset=start, committed=True) for part, (start, _) in bounds.items()},
        aborted=_ask_for_aborted(
            broker, {part: bounds[part] for part in bounds if part[0] in scenario.transactional_logs}
        ),
        bounds=bounds,
        by_time=by_time,
    )


def _ask_for_aborted(
    broker: Broker, bounds: dict[Partition, tuple[int, int]]
) -> dict[tuple[Partition, int, int], tuple[int, list[tuple[int, int]]]]:
    Fetch = FetchRequest.FetchTopic  # noqa: N806
    answers = {}
    with Wire(broker) as wire:
        for (topic, index), (start, end) in bounds.items():
            for offset, max_bytes in product(range(start, end, 5), FETCH_BYTES):
                part = Fetch.FetchPartition(
                    partition=index,
                    current_leader_epoch=-1,
                    fetch_offset=offset,
                    log_start_offset=-1,
                    partition_max_bytes=max_bytes,
                )
                asked = Fetch(topic=topic, partitions=[part])
                request = FetchRequest(max_bytes=1_000_000, topics=[asked], isolation_level=READ_COMMITTED)
                [answer] = wire.ask(request, 11).responses
                [fetched] = answer.partitions
                aborted = [(one.producer_id, one.first_offset) for one in fetched.aborted_transactions]
                answers[(topic, index), offset, max_bytes] = fetched.last_stable_offset, aborted
    return answers


def go_on(broker: Broker, scenario: Scenario) -> list[tuple[int, int]]:
    """What the idempotent producer is told when it sends its last batch again, one too far, and the next one."""
    now_ms = int(time.time() * 1000)
    return [
        append(broker, scenario.sequenced, sequenced_batch(sequence, now_ms))
        for sequence in (LAST_SEQUENCE, LAST_SEQUENCE + 3, LAST_SEQUENCE + 1)
    ]


def create(broker: Broker, scenario: Scenario) -> None:
    """Have the topics there, each partition with its directory."""
    with ExitStack() as stack:
        clients = Clients(broker.bootstrap, stack, str)
        for topic, partitions in scenario.topics.items():
            configs = {"retention.ms": "-1", "cleanup.policy": "compact" if topic == scenario.compacted else "delete"}
            new = {topic: {"num_partitions": partitions, "replication_factor": 1, "configs": configs}}
            clients.admin.create_topics(new, wait_for_metadata=True)
            eventually(lambda: clients.consumer().end_offsets(partitions_of(topic, partitions)), "its logs are there")  # noqa: B023


def same_batches() -> list[bytes]:
    """Batches of several producers and codecs, and plain ones, with timestamps that go up and down."""
    now_ms = int(time.time() * 1000)
    sequences = {1: 0, 2: 0, 3: 0}
    batches = []
    for number in range(60):
        records = [Record(b"%d" % number, b"%d" % index * 20, (), now_ms + number * 7 % 31) for index in range(9)]
        producer_id = number % 4 or -1
        fields = {}
        if producer_id > 0:
            fields = {"producer_id": producer_id, "producer_epoch": 0, "base_sequence": sequences[producer_id]}
            sequences[producer_id] += len(records)
        batches.append(bytes(build_batch(records, codec=number % 5, **fields)))
    return batches


def append_same(broker: Broker, batches: Sequence[bytes]) -> None:
    with ExitStack() as stack:
        admin = Clients(broker.bootstrap, stack, str).admin
        configs = {"internal.segment.bytes": str(SEGMENT_BYTES), "index.interval.bytes": str(INTERVAL_BYTES)}
        new = {SAME: {"num_partitions": 1, "replication_factor": 1, "configs": configs}}
        admin.create_topics(new, wait_for_metadata=True)
    offset = 0
    for batch in batches:
        assert append(broker, SAME, batch) == (0, offset)
        offset += 9


def write_compacted(
    broker: OwnBroker, scenario: Scenario, unique: Callable[[str], str], transactional_id: str | None
) -> None:
    """Few keys again and again until the cleaner is done; of transactions, if there are any, every third is aborted."""
    with ExitStack() as stack:
        scenario.compacted = Clients(broker.bootstrap, stack, unique).topic(1, name="compacted", **COMPACTION)
    partition = scenario.compacted, 0
    producer = new_producer(broker, transactional_id=transactional_id)
    if transactional_id is not None:
        producer.init_transactions(PATIENCE_S)
    for number in range(COMPACTED_ROUNDS):
        if transactional_id is not None:
            producer.begin_transaction()
        for key in range(COMPACTED_KEYS):
            value = None if (number + key) % 5 == 0 else b"%d" % number * 20
            producer.produce(scenario.compacted, value, key=b"key %d" % key, partition=0)
        # In a segment of which nothing is left, Kafka finds no offset for a timestamp, and none behind it.
        producer.produce(scenario.compacted, b"stays", key=b"once %d" % number, partition=0)
        producer.flush(PATIENCE_S)
        if transactional_id is not None:
            (producer.commit_transaction if number % 3 else producer.abort_transaction)(PATIENCE_S)
    seen: list[list[Written]] = [[]]

    def cleaned() -> bool:
        """All is cleaned but the active segment, and twice the same records are left."""
        seen.append(read(broker, partition))
        directory = broker.scratch / "data"
        active = max(directory.glob(f"{scenario.compacted}-0/*.log")).stem
        row = _rows(directory / "cleaner-offset-checkpoint").get(f"{scenario.compacted}-0", "0")
        return int(row.split()[-1]) == int(active) and seen[-1] == seen[-2]

    eventually(cleaned, "the cleaner is done", every_s=0.5)
    scenario.logs[partition] = seen[-1]
    assert len(seen[-1]) < COMPACTED_ROUNDS * COMPACTED_KEYS / 2


def make_exchange(scratch: Path) -> Exchange:
    """All of it; see the module."""
    exchange = Exchange(scratch)
    batches = same_batches()
    with ExitStack() as stack:
        first = stack.enter_context(closing(KpyBroker(scratch=_new(scratch / "kpy"), settings=QUICK_CLEANER)))
        kafka = stack.enter_context(closing(_new_kafka(_new(scratch / "kafka"))))
        _fill_kpy(exchange, first, batches)
        _fill_kafka(exchange, kafka, batches)
        _give_to_kafka(exchange, kafka)
        for name, left in (("kpy-after-stop", "kafka-stopped"), ("kpy-after-kill", "kafka")):
            second = stack.enter_context(closing(KpyBroker(scratch=_new(scratch / name))))
            _give_to_kpy(exchange, second, name, left)
    return exchange


def _new(directory: Path) -> Path:
    directory.mkdir()
    return directory


def _new_kafka(scratch: Path) -> KafkaNode:
    settings = {
        **QUICK_CLEANER,
        # A node that falls silent for a session is fenced, and its partitions get a new leader epoch in their files.
        "broker.session.timeout.ms": "9000",
        "offsets.topic.num.partitions": "2",
        "transaction.state.log.num.partitions": "2",
    }
    return KafkaNode(scratch=scratch, settings=settings, logging=STORAGE_LOGGING)


def _fill_kpy(exchange: Exchange, broker: KpyBroker, batches: Sequence[bytes]) -> None:
    """kpy does not serve transactions: they are put into its log as its coordinator would."""
    numbers = count()
    broker.start()
    scenario = exchange.by_kpy = fill(broker, lambda prefix: f"kpy-{prefix}-{next(numbers)}")
    append_same(broker, batches)
    write_compacted(broker, scenario, lambda prefix: f"kpy-{prefix}", None)
    broker.stop()
    transactions = StoredTransactions(broker.data_directory, scenario.transactional)
    write_transactions(scenario, transactions)
    transactions.close()
    broker.start()
    write_one(scenario, broker, (scenario.transactional, 0))
    exchange.seen["kpy"] = look(broker, scenario)
    broker.stop()


def _fill_kafka(exchange: Exchange, broker: KafkaNode, batches: Sequence[bytes]) -> None:
    numbers = count()

    def unique(prefix: str) -> str:
        return f"kafka-{prefix}-{next(numbers)}"

    broker.start()
    scenario = exchange.by_kafka = fill(broker, unique)
    append_same(broker, batches)
    write_compacted(broker, scenario, unique, unique("compacting"))
    transactions = ClientTransactions(broker, scenario.transactional, unique)
    write_transactions(scenario, transactions)
    write_one(scenario, broker, (scenario.transactional, 0))
    exchange.seen["kafka"] = look(broker, scenario)
    create(broker, exchange.by_kpy)
    broker.stop()
    shutil.copytree(exchange.data("kafka"), exchange.data("kafka-stopped"))


def _give_to_kafka(exchange: Exchange, broker: KafkaNode) -> None:
    source, target = exchange.data("kpy"), exchange.data("kafka")
    move_partitions(source, target, *exchange.by_kpy.topics)
    shutil.copy(source / CLEAN_SHUTDOWN, target / CLEAN_SHUTDOWN)
    broker.output.unlink()
    broker.start()
    exchange.seen["kafka with kpy's"] = look(broker, exchange.by_kpy)
    exchange.said["kafka"] = broker.output.read_text()
    exchange.sequences["kafka with kpy's"] = go_on(broker, exchange.by_kpy)
    partition = exchange.by_kafka.codecs, 0
    more = Scenario()
    write_one(more, broker, partition)
    exchange.more = more.logs[partition]
    broker.kill()


def _give_to_kpy(exchange: Exchange, broker: KpyBroker, name: str, left: str) -> None:
    scenario, target = exchange.by_kafka, broker.data_directory
    broker.start()
    create(broker, scenario)
    broker.stop()
    move_partitions(exchange.data(left), target, *scenario.topics)
    if not (exchange.data(left) / CLEAN_SHUTDOWN).exists():
        (target / CLEAN_SHUTDOWN).unlink()
    broker.output.unlink()
    broker.start()
    exchange.seen[name] = look(broker, scenario)
    exchange.sequences[name] = go_on(broker, scenario)
    for consumer, read_it in OTHER_CONSUMERS.items():
        count_of = len(scenario.committed_records((scenario.transactional, 0)))
        exchange.others[f"{consumer} of {name}"] = read_it(broker, scenario.transactional, count_of)
    broker.stop()
    exchange.said[name] = broker.output.read_text()


def _read_with_kafka_python(broker: Broker, topic: str, expected: int) -> list[tuple[int, bytes | None]]:
    with ExitStack() as stack:
        consumer = Clients(broker.bootstrap, stack, str).consumer(isolation_level="read_committed")
        consumer.assign([TopicPartition(topic, 0)])
        return [(record.offset, record.value) for record in poll_until(consumer, expected)]


def _read_with_java(broker: Broker, topic: str, expected: int) -> list[tuple[int, bytes | None]]:
    """The console prints `null` for a value that is null."""
    options = ("--topic", topic, "--partition", "0", "--offset", "0", "--max-messages", str(expected))
    formatting = ("--formatter-property", "print.offset=true", "--isolation-level", "read_committed")
    printed = run(tool("consumer.ConsoleConsumer", broker.bootstrap, *options, *formatting))
    found: list[tuple[int, bytes | None]] = []
    for line in (printed or "").splitlines():
        offset, value = line.removeprefix("Offset:").split("\t")
        found.append((int(offset), None if value == "null" else value.encode()))
    return found


OTHER_CONSUMERS: Final = {"kafka-python": _read_with_kafka_python, "java": _read_with_java}


def topic_id(directory: Path) -> str:
    """What `partition.metadata` says."""
    lines = (directory / PARTITION_METADATA).read_text().splitlines()
    return dict(line.split(": ", 1) for line in lines)["topic_id"]


def move_partitions(source: Path, target: Path, *topics: str) -> None:
    """Put the partitions of these topics in the place of those that the target has."""
    names = sorted(path.name for path in source.iterdir() if path.name.rpartition("-")[0] in topics)
    assert {name.rpartition("-")[0] for name in names} == set(topics)
    for name in names:
        known_as = topic_id(target / name)
        shutil.rmtree(target / name)
        shutil.copytree(source / name, target / name)
        metadata = target / name / PARTITION_METADATA
        metadata.write_text(metadata.read_text().replace(topic_id(source / name), known_as))
    for checkpoint in CHECKPOINTS:
        rows = {**_rows(target / checkpoint), **dict.fromkeys(names, "")}
        rows |= {name: row for name, row in _rows(source / checkpoint).items() if name in names}
        lines = [row for row in rows.values() if row]
        (target / checkpoint).write_text("\n".join(["0", str(len(lines)), *lines, ""]))


def _rows(checkpoint: Path) -> dict[str, str]:
    """The line of each partition that has one."""
    lines = checkpoint.read_text().splitlines()[2:] if checkpoint.exists() else []
    return {"{}-{}".format(*line.split()): line for line in lines}
