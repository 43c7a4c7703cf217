"""kafka-python's producer: what was sent arrives, once, in order, as it was; what cannot fails with Kafka's error."""

import time
from collections.abc import Callable

import pytest
from kafka import TopicPartition
from kafka.errors import MessageSizeTooLargeError
from kafka.partitioner import DefaultPartitioner, Partitioner
from kafka.partitioner.sticky import StickyPartitioner

from interop_tests.kafka_python_clients import Clients, partitions_of, poll_until, produce, values_of

CODECS = [None, "gzip", "snappy", "lz4", "zstd"]


class LastPartition(Partitioner):
    """A partitioner of the user's own."""

    def partition(self, topic, key, serialized_key, value, serialized_value, cluster):  # type: ignore[no-untyped-def]
        return max(cluster.partitions_for_topic(topic))


def assigned(clients: Clients, topic: str, partitions: int = 1, **settings: object):  # type: ignore[no-untyped-def]
    consumer = clients.consumer(**settings)
    consumer.assign(partitions_of(topic, partitions))
    return consumer


def stored_bytes(clients: Clients, topic: str) -> int:
    """What the broker says the topic takes on disk."""
    [broker] = clients.admin.describe_log_dirs(topic_partitions=[topic])
    return sum(
        part["partition_size"]
        for place in broker["log_dirs"]
        for entry in place["topics"]
        for part in entry["partitions"]
    )


def test_synchronous_send_returns_where_the_record_is(clients: Clients) -> None:
    """Each acknowledged send says at which topic, partition, offset and time a consumer then finds the record."""
    topic = clients.topic()
    producer = clients.producer()
    sent = [producer.send(topic, b"value %d" % number).get(timeout=20) for number in range(5)]
    records = poll_until(assigned(clients, topic), 5)
    assert [(s.topic, s.partition, s.offset, s.timestamp) for s in sent] == [
        (r.topic, r.partition, r.offset, r.timestamp) for r in records
    ]
    assert [record.offset for record in records] == [0, 1, 2, 3, 4]


def test_asynchronous_sends_are_all_acknowledged_in_order(clients: Clients) -> None:
    """A thousand sends without waiting get the offsets 0 to 999 of their partition, in the order of the sends."""
    topic = clients.topic()
    producer = clients.producer(linger_ms=5)
    acknowledged: list[int] = []
    for number in range(1000):
        producer.send(topic, b"%d" % number).add_callback(lambda metadata: acknowledged.append(metadata.offset))
    producer.flush(timeout=20)
    assert acknowledged == list(range(1000))
    assert values_of(poll_until(assigned(clients, topic), 1000)) == [b"%d" % number for number in range(1000)]


@pytest.mark.parametrize(
    ("key", "value", "headers"),
    [
        (None, b"", []),
        (b"", None, []),
        (b"tombstone", None, []),
        (b"key", b"value", [("one", b"1"), ("two", b""), ("one", b"again")]),
        (
            "schl\N{LATIN SMALL LETTER U WITH DIAERESIS}ssel".encode(),
            bytes(range(256)),
            [("schl\N{LATIN SMALL LETTER U WITH DIAERESIS}ssel", b"\0\xff")],
        ),
    ],
)
def test_keys_values_and_headers_arrive_as_they_were(
    clients: Clients, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]
) -> None:
    """Null and empty are different, header names may repeat, and bytes are bytes."""
    topic = clients.topic()
    clients.producer().send(topic, value, key, headers).get(timeout=20)
    [record] = poll_until(assigned(clients, topic), 1)
    assert (record.key, record.value, list(record.headers)) == (key, value, headers)


@pytest.mark.parametrize("codec", CODECS)
def test_every_compression(clients: Clients, codec: str | None) -> None:
    """A compressed batch is stored compressed and read back whole, beside batches of every other codec."""
    topic = clients.topic()
    producer = clients.producer(compression_type=codec, linger_ms=20, batch_size=100_000)
    values = [b"%d " % number + b"compressible " * 100 for number in range(50)]
    for value in values:
        producer.send(topic, value)
    producer.flush(timeout=20)
    stored = stored_bytes(clients, topic)
    size = sum(map(len, values))
    assert stored >= size if codec is None else stored < size / 3
    assert values_of(poll_until(assigned(clients, topic), 50)) == values


def test_batches_of_every_compression_in_one_log(clients: Clients) -> None:
    """One partition may hold batches of all codecs, and a consumer reads over them."""
    topic = clients.topic()
    for codec in CODECS:
        producer = clients.producer(compression_type=codec)
        for number in range(3):
            producer.send(topic, f"{codec} {number} ".encode() * 50).get(timeout=20)
    records = poll_until(assigned(clients, topic), 3 * len(CODECS))
    assert values_of(records) == [f"{codec} {number} ".encode() * 50 for codec in CODECS for number in range(3)]


@pytest.mark.parametrize("acks", [0, 1, "all"])
def test_acks(clients: Clients, acks: int | str) -> None:
    """With acks=0 nothing is answered and the records arrive all the same; else the answer says the offset."""
    topic = clients.topic()
    producer = clients.producer(acks=acks, enable_idempotence=False)
    sent = [producer.send(topic, b"%d" % number).get(timeout=20) for number in range(3)]
    assert values_of(poll_until(assigned(clients, topic), 3)) == [b"0", b"1", b"2"]
    if acks != 0:
        assert [metadata.offset for metadata in sent] == [0, 1, 2]


def test_requests_without_answer_do_not_disturb_those_with_one(clients: Clients) -> None:
    """On one connection, many acks=0 requests and then Metadata: the answers still belong to their requests."""
    topic = clients.topic(partitions=2)
    producer = clients.producer(acks=0, enable_idempotence=False, batch_size=0)
    for number in range(200):
        producer.send(topic, b"%d" % number, partition=number % 2)
    producer.flush(timeout=20)
    other = clients.topic()
    assert producer.partitions_for(other) == {0}
    assert len(poll_until(assigned(clients, topic, partitions=2), 200)) == 200


@pytest.mark.parametrize("idempotent", [True, False])
def test_many_requests_in_flight_keep_order(clients: Clients, idempotent: bool) -> None:
    """Five requests in flight on a connection are stored in the order in which they were sent, each once."""
    topic = clients.topic()
    producer = clients.producer(enable_idempotence=idempotent, batch_size=0, max_in_flight_requests_per_connection=5)
    for number in range(300):
        producer.send(topic, b"%d" % number, partition=0)
    producer.flush(timeout=20)
    assert values_of(poll_until(assigned(clients, topic), 300)) == [b"%d" % number for number in range(300)]


def test_two_idempotent_producers_have_sequences_of_their_own(clients: Clients) -> None:
    """Producers take turns on one partition without disturbing each other's sequence."""
    topic = clients.topic()
    one, two = clients.producer(), clients.producer()
    for number in range(20):
        for name, producer in ((b"one", one), (b"two", two)):
            producer.send(topic, b"%s %d" % (name, number), partition=0).get(timeout=20)
    assert values_of(poll_until(assigned(clients, topic), 40)) == [
        b"%s %d" % (name, number) for number in range(20) for name in (b"one", b"two")
    ]


def test_partitioner_places_keys_where_java_does(clients: Clients) -> None:
    """The default partitioner is murmur2 over the keys: the same key always lands in the same partition."""
    topic = clients.topic(partitions=4)
    producer = clients.producer(partitioner=DefaultPartitioner())
    keys = [b"alpha", b"beta", b"gamma", b"delta", b"epsilon"]
    sent = {key: {producer.send(topic, b"x", key).get(timeout=20).partition for _ in range(3)} for key in keys}
    assert all(len(partitions) == 1 for partitions in sent.values())
    records = poll_until(assigned(clients, topic, partitions=4), 15)
    assert {record.key: {record.partition} for record in records} == sent


def test_sticky_own_and_explicit_partitioning(clients: Clients) -> None:
    """A record goes to the partition that the client chose, whichever way it chose."""
    topic = clients.topic(partitions=4)
    sticky = clients.producer(partitioner=StickyPartitioner(), linger_ms=50)
    together = [sticky.send(topic, b"sticky") for _ in range(5)]
    assert len({future.get(timeout=20).partition for future in together}) == 1
    assert [sticky.send(topic, b"x", partition=index).get(timeout=20).partition for index in range(4)] == [0, 1, 2, 3]
    last = clients.producer(partitioner=LastPartition())
    assert last.send(topic, b"x", b"any").get(timeout=20).partition == 3
    assert len(poll_until(assigned(clients, topic, partitions=4), 10)) == 10


def test_large_message(clients: Clients) -> None:
    """A record of 5 MB passes where producer, topic and consumer allow it."""
    topic = clients.topic(max_message_bytes=6_000_000)
    value = bytes(range(256)) * 20_000
    clients.producer(max_request_size=6_000_000).send(topic, value).get(timeout=20)
    assert values_of(poll_until(assigned(clients, topic), 1)) == [value]


def test_too_large_for_the_topic(clients: Clients) -> None:
    """A batch over the topic's max.message.bytes is refused with MESSAGE_TOO_LARGE, and nothing of it is stored."""
    topic = clients.topic(max_message_bytes=10_000)
    with pytest.raises(MessageSizeTooLargeError):
        clients.producer().send(topic, b"x" * 20_000).get(timeout=20)
    produce(clients, topic, [b"x" * 9_000])
    assert [len(value) for value in values_of(poll_until(assigned(clients, topic), 1))] == [9_000]


def test_too_large_for_the_broker(clients: Clients) -> None:
    """Without a topic config the limit is message.max.bytes, one mebibyte and a batch header."""
    topic = clients.topic()
    with pytest.raises(MessageSizeTooLargeError):
        clients.producer(max_request_size=4_000_000).send(topic, b"x" * 1_048_589).get(timeout=20)
    produce(clients, topic, [b"x" * 1_048_000])
    assert len(poll_until(assigned(clients, topic), 1)) == 1


def test_timestamps_of_the_client_and_of_the_broker(clients: Clients) -> None:
    """CreateTime keeps the producer's timestamp; LogAppendTime replaces it, and both producer and consumer are told."""
    created, appended = clients.topic(), clients.topic(message_timestamp_type="LogAppendTime")
    producer = clients.producer()
    before_ms = int(time.time() * 1000)
    a_day_ago_ms = before_ms - 24 * 3600 * 1000
    kept = producer.send(created, b"x", timestamp_ms=a_day_ago_ms).get(timeout=20)
    replaced = producer.send(appended, b"x", timestamp_ms=a_day_ago_ms).get(timeout=20)
    [kept_record] = poll_until(assigned(clients, created), 1)
    [replaced_record] = poll_until(assigned(clients, appended), 1)
    assert (kept.timestamp, kept_record.timestamp, kept_record.timestamp_type) == (a_day_ago_ms, a_day_ago_ms, 0)
    assert (replaced_record.timestamp, replaced_record.timestamp_type) == (replaced.timestamp, 1)
    assert before_ms <= replaced.timestamp <= int(time.time() * 1000)


def test_send_creates_the_topic(clients: Clients, unique: Callable[[str], str]) -> None:
    """A topic that nobody made appears with num.partitions partitions when a producer asks for it."""
    topic = unique("auto")
    clients.producer().send(topic, b"first", partition=3).get(timeout=20)
    [described] = clients.admin.describe_topics([topic])
    assert len(described["partitions"]) == 4
    consumer = clients.consumer()
    consumer.assign([TopicPartition(topic, 3)])
    assert values_of(poll_until(consumer, 1)) == [b"first"]


def test_several_topics_in_one_request(clients: Clients) -> None:
    """One producer feeds several topics in one request."""
    topics = [clients.topic(partitions=2) for _ in range(3)]
    producer = clients.producer(linger_ms=50)
    for number in range(10):
        for topic in topics:
            producer.send(topic, b"%d" % number, partition=number % 2)
    producer.flush(timeout=20)
    produce(clients, topics[0], [b"more"])
    for topic, count in zip(topics, (11, 10, 10), strict=True):
        assert len(poll_until(assigned(clients, topic, partitions=2), count)) == count
