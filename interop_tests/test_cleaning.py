"""Old data goes: by age, by size and by compaction, with the same left over on every broker."""

import random
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from typing import Any, NamedTuple

import pytest
from kafka import TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import InvalidConfigurationError
from kafka.protocol.consumer import FetchRequest
from kafka.protocol.producer import ProduceRequest
from kafka.record.default_records import DefaultRecordBatch
from kafka.record.memory_records import MemoryRecordsBuilder

from interop_tests.brokers import KpyBroker, OwnBroker
from interop_tests.conftest import running_with, skipping_what_is_missing
from interop_tests.eventually import eventually
from interop_tests.kafka_python_clients import Clients
from interop_tests.log_scenario import StoredTransactions, read
from interop_tests.oracle.node import KafkaNode
from interop_tests.partition_exchange import move_partitions
from interop_tests.wire import Wire, append
from interop_tests.wire import batch as encode_batch

SETTINGS: Mapping[str, str] = {
    "log.cleaner.backoff.ms": "100",
    "log.retention.check.interval.ms": "200",
    "log.initial.task.delay.ms": "100",
}
"""Otherwise a broker looks for old data every few minutes."""

LONG_AGO_MS = 1_700_000_000_000
BATCH_HEADER = struct.Struct(">qiibIhiqqqhii")


@pytest.fixture(scope="module")
def cleaning_broker(request: pytest.FixtureRequest) -> Iterator[OwnBroker]:
    """A broker that cleans all the time."""
    with running_with(request.config, SETTINGS) as broker:
        yield broker


@pytest.fixture
def cleaning(cleaning_broker: OwnBroker, unique: Callable[[str], str]) -> Iterator[Clients]:
    with ExitStack() as stack:
        yield Clients(cleaning_broker.bootstrap, stack, unique)


# --- batches to the byte


class Sent(NamedTuple):
    """One batch that is sent."""

    records: Sequence[tuple[bytes, bytes | None]]
    codec: int = 0
    producer_id: int = -1
    sequence: int = -1


class Batch(NamedTuple):
    """One batch as it is fetched; times are left out, for they are those of the cleaning."""

    base_offset: int
    last_offset: int
    attributes: int
    producer_id: int
    sequence: int
    records: tuple[tuple[int, bytes | None, bytes | None, int], ...]


def send(wire: Wire, topic: str, sent: Sent) -> None:
    builder = MemoryRecordsBuilder(magic=2, compression_type=sent.codec, batch_size=1 << 30)
    if sent.producer_id >= 0:
        builder.set_producer_state(sent.producer_id, 0, sent.sequence, False)
    for number, (key, value) in enumerate(sent.records):
        builder.append(LONG_AGO_MS + number, key, value, [])
    builder.close()
    Topic = ProduceRequest.TopicProduceData  # noqa: N806
    part = Topic.PartitionProduceData(index=0, records=bytes(builder.buffer()))
    request = ProduceRequest(
        transactional_id=None, acks=-1, timeout_ms=1000, topic_data=[Topic(name=topic, partition_data=[part])]
    )
    answer = wire.ask(request, 9).responses[0].partition_responses[0]
    assert answer.error_code == 0, answer


def fetch_all(wire: Wire, topic: str) -> list[Batch]:
    """All batches from the first offset on."""
    Topic = FetchRequest.FetchTopic  # noqa: N806
    found: list[Batch] = []
    offset, end = 0, 1
    while offset < end:
        part = Topic.FetchPartition(partition=0, fetch_offset=offset, partition_max_bytes=1 << 20)
        request = FetchRequest(
            max_wait_ms=0, min_bytes=0, max_bytes=1 << 20, isolation_level=0,
            topics=[Topic(topic=topic, partitions=[part])], forgotten_topics_data=[],
        )  # fmt: skip
        answer = wire.ask(request, 11).responses[0].partitions[0]
        assert answer.error_code == 0, answer
        end = answer.high_watermark
        batches = list(whole_batches(bytes(answer.records or b"")))
        assert batches, f"nothing is fetched at offset {offset} of {end}"
        found += batches
        offset = batches[-1].last_offset + 1
    return found


def whole_batches(data: bytes) -> Iterator[Batch]:
    position = 0
    while len(data) - position >= BATCH_HEADER.size:
        fields = BATCH_HEADER.unpack_from(data, position)
        end = position + 12 + fields[1]
        if end > len(data):
            return
        batch: Any = DefaultRecordBatch(data[position:end]) if fields[12] else ()
        records = tuple((record.offset, record.key, record.value, record.timestamp) for record in batch)
        yield Batch(fields[0], fields[0] + fields[6], fields[5], fields[9], fields[11], records)
        position = end


# --- compaction

HORIZON_BIT = 0x40
CONTROL_BIT = 0x20
HELD_BACK, RELEASED = "1.0", "0.0"


def inputs(seed: int) -> list[list[Sent]]:
    """Rounds of batches: keys come again, are deleted, and come from producers whose sequence has to be kept."""
    choose = random.Random(seed)
    sequences = {4001: 0, 4002: 0}
    once = iter(range(5000, 6000))  # producers whose last batch is soon without records
    rounds = []
    for number in range(3):
        batches = []
        for _ in range(40):
            producer_id = choose.choice([-1, -1, 4001, 4002, next(once)])
            keys = [f"key-{choose.randrange(20 + 10 * number)}".encode() for _ in range(choose.randrange(1, 6))]
            records = [
                (key, choose.choice([None, b"%d " % choose.randrange(1000) * choose.randrange(20)])) for key in keys
            ]
            codec = choose.choice([0, 1])
            if producer_id < 0:
                batches.append(Sent(records, codec))
            else:
                sequence = sequences.get(producer_id, 0)
                batches.append(Sent(records, codec, producer_id, sequence))
                sequences[producer_id] = sequence + len(records)
        rounds.append([*batches, Sent([(b"end", bytes(1100))])])  # the next segment begins with it
    return rounds


def compacted(broker: OwnBroker, clients: Clients, rounds: Sequence[Sequence[Sent]]) -> Iterator[list[Batch]]:
    """What is left after each round, which is compacted once, when all of it has been written."""
    topic = clients.topic(
        cleanup_policy="compact", min_cleanable_dirty_ratio=HELD_BACK, internal_segment_bytes=1200,
        delete_retention_ms=0, segment_ms=1 << 40,
    )  # fmt: skip
    with Wire(broker) as wire:
        for batches in rounds:
            for sent in batches:
                send(wire, topic, sent)
            alter(clients, topic, "min.cleanable.dirty.ratio", RELEASED)
            eventually(lambda: clean_up_to(broker, topic) >= active_segment(broker, topic), "compaction")
            alter(clients, topic, "min.cleanable.dirty.ratio", HELD_BACK)
            yield fetch_all(wire, topic)


def alter(clients: Clients, topic: str, name: str, value: str) -> None:
    clients.admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {name: value})])


def clean_up_to(broker: OwnBroker, topic: str) -> int:
    """What the broker notes of how far a log is compacted."""
    path = broker.data_directory / "cleaner-offset-checkpoint"
    rows = path.read_text().split("\n")[2:] if path.exists() else []
    return next((int(row.split()[2]) for row in rows if row.startswith(f"{topic} 0 ")), 0)


def active_segment(broker: OwnBroker, topic: str) -> int:
    return max(int(path.stem) for path in (broker.data_directory / f"{topic}-0").glob("*.log"))


@pytest.mark.parametrize("seed", range(2))
def test_what_compaction_leaves(cleaning_broker: OwnBroker, cleaning: Clients, seed: int) -> None:
    """Of each key the last record, at its offset and unchanged; tombstones until the second time that they are met."""
    rounds = inputs(seed)
    expected: dict[int, tuple[bytes, bytes | None]] = {}
    end = closed = 0
    for sent, found in zip(rounds, compacted(cleaning_broker, cleaning, rounds), strict=True):
        met_before = closed
        for batch in sent:
            expected |= {end + number: record for number, record in enumerate(batch.records)}
            end += len(batch.records)
        closed = end - 1
        last = {key: offset for offset, (key, _) in expected.items() if offset < closed}
        expected = {
            offset: (key, value)
            for offset, (key, value) in expected.items()
            if offset >= closed or (last[key] == offset and (value is not None or offset >= met_before))
        }

        assert {offset: (key, value) for batch in found for offset, key, value, _ in batch.records} == expected
        offsets = [offset for batch in found for offset, *_ in batch.records]
        assert offsets == sorted(offsets)


@pytest.mark.only_on(broker="kpy", why="Apache Kafka is asked beside it")
def test_apache_kafka_leaves_the_same(
    cleaning_broker: OwnBroker, cleaning: Clients, unique: Callable[[str], str]
) -> None:
    """Batch for batch: offsets, attributes, producers, sequences, empty batches, keys, values and timestamps."""
    with skipping_what_is_missing(), closing(KafkaNode(settings=SETTINGS)) as kafka, ExitStack() as stack:
        kafka.start()
        beside = Clients(kafka.bootstrap, stack, unique)
        for seed in range(2, 5):
            rounds = inputs(seed)
            both = zip(compacted(cleaning_broker, cleaning, rounds), compacted(kafka, beside, rounds), strict=True)
            for number, (ours, theirs) in enumerate(both):
                assert ours == theirs, f"seed {seed}, round {number}"


TRANSACTIONAL: Mapping[str, object] = {
    "cleanup.policy": "delete", "min.cleanable.dirty.ratio": HELD_BACK, "internal.segment.bytes": 1200,
    "delete.retention.ms": 0, "segment.ms": 1 << 40, "retention.ms": -1,
}  # fmt: skip
PRODUCERS = ("one", "other", "and a third")


def store_transactions(transactions: StoredTransactions) -> None:
    """Of three producers, beside one another; half of them are aborted, and the keys are few."""
    choose = random.Random(7)
    begun = set()
    for _ in range(60):
        name = choose.choice(PRODUCERS)
        transactions.send(name, choose.randrange(8))
        begun.add(name)
        if choose.random() < 0.5:
            transactions.end(name, commit=choose.random() < 0.5)
            begun.remove(name)
    for name in sorted(begun):
        transactions.end(name, commit=False)


def create_transactional(broker: OwnBroker, clients: Clients) -> str:
    """A topic with one record, so that its log is there."""
    configs = {name.replace(".", "_"): value for name, value in TRANSACTIONAL.items()}
    topic = clients.topic(1, name="transactional", **configs)
    assert append(broker, topic, encode_batch([b"first"])) == (0, 0)
    return topic


@pytest.mark.only_on(broker="kpy", why="Apache Kafka is asked beside it")
def test_apache_kafka_leaves_the_same_of_transactions() -> None:
    """Of committed ones and aborted ones, their markers, and who is told of them, round for round."""
    with ExitStack() as stack:
        kpy = stack.enter_context(closing(KpyBroker(settings=SETTINGS)))
        with skipping_what_is_missing():
            kafka = stack.enter_context(closing(KafkaNode(settings=SETTINGS)))
        both = (kpy, kafka)
        for broker in both:
            broker.start()
            with ExitStack() as of_clients:
                topic = create_transactional(broker, Clients(broker.bootstrap, of_clients, str))
            broker.stop()
        transactions = StoredTransactions(kpy.data_directory, topic)
        store_transactions(transactions)
        transactions.close()
        move_partitions(kpy.data_directory, kafka.data_directory, topic)
        for broker in both:
            broker.start()
        seen = []
        for number in range(5):
            for broker in both:
                compact_once(broker, topic)
            ours, theirs = (what_is_left(broker, topic) for broker in both)
            assert ours == theirs, f"round {number}"
            seen.append(ours)
        markers = [sum(bool(batch.attributes & CONTROL_BIT) for batch in batches) for batches, _ in seen]
        assert 0 < markers[-1] < markers[0] / 2


def compact_once(broker: OwnBroker, topic: str) -> None:
    """Have all that is there in closed segments, and one round."""
    with Wire(broker) as wire:
        send(wire, topic, Sent([(b"end", bytes(1100))]))
    with ExitStack() as stack:
        clients = Clients(broker.bootstrap, stack, str)
        alter(clients, topic, "cleanup.policy", "compact")
        alter(clients, topic, "min.cleanable.dirty.ratio", RELEASED)
        eventually(lambda: clean_up_to(broker, topic) >= active_segment(broker, topic), "compaction")
        alter(clients, topic, "min.cleanable.dirty.ratio", HELD_BACK)


def what_is_left(broker: OwnBroker, topic: str) -> tuple[list[Batch], list[int]]:
    """All batches, and the offsets that a reader of committed records gets."""
    with Wire(broker) as wire:
        batches = fetch_all(wire, topic)
    return batches, [record.offset for record in read(broker, (topic, 0), committed=True)]


# --- retention


def start_offset(clients: Clients, topic: str) -> int:
    offset: int = clients.consumer().beginning_offsets([TopicPartition(topic, 0)])[TopicPartition(topic, 0)]
    return offset


def fill(broker: OwnBroker, topic: str, count: int = 10) -> None:
    with Wire(broker) as wire:
        for number in range(count):
            send(wire, topic, Sent([(b"k", b"%d" % number)]))


def test_old_records_are_deleted(cleaning_broker: OwnBroker, cleaning: Clients) -> None:
    """Records with an old timestamp go at the next check, all of them: the log starts at its end."""
    topic = cleaning.topic(retention_ms=3600_000)
    fill(cleaning_broker, topic)
    eventually(lambda: start_offset(cleaning, topic) == 10, "an empty log")
    fill(cleaning_broker, topic, 1)
    eventually(lambda: start_offset(cleaning, topic) == 11, "an empty log again")


def test_too_many_records_are_deleted(cleaning_broker: OwnBroker, cleaning: Clients) -> None:
    """Whole segments go as long as retention.bytes are left."""
    topic = cleaning.topic(retention_ms=-1, retention_bytes=200, internal_segment_bytes=100)
    fill(cleaning_broker, topic)
    eventually(lambda: start_offset(cleaning, topic) > 0, "a log start")
    expected = eventually(lambda: start_offset(cleaning, topic) == 7, "three segments of 70 bytes")
    assert expected


def test_altering_retention(cleaning_broker: OwnBroker, cleaning: Clients) -> None:
    """Less retention takes effect while the topic is used; `compact` alone keeps old records."""
    topic = cleaning.topic(retention_ms=-1)
    compacted_topic = cleaning.topic(cleanup_policy="compact", retention_ms=1)
    fill(cleaning_broker, topic)
    fill(cleaning_broker, compacted_topic)
    assert start_offset(cleaning, topic) == 0
    alter(cleaning, topic, "retention.ms", "1000")
    eventually(lambda: start_offset(cleaning, topic) == 10, "an empty log")
    assert start_offset(cleaning, compacted_topic) == 0


def test_compact_and_delete(cleaning_broker: OwnBroker, cleaning: Clients) -> None:
    """With both policies, old segments of a compacted topic go as well."""
    topic = cleaning.topic(cleanup_policy="compact,delete", retention_ms=1000)
    fill(cleaning_broker, topic)
    eventually(lambda: start_offset(cleaning, topic) == 10, "an empty log")


def test_small_segments_are_refused(cleaning: Clients) -> None:
    """segment.bytes is at least 1 MiB; tests have internal.segment.bytes."""
    with pytest.raises(InvalidConfigurationError, match="1048576"):
        cleaning.topic(segment_bytes=1048575)
    cleaning.topic(segment_bytes=1048576)
    cleaning.topic(internal_segment_bytes=100)
