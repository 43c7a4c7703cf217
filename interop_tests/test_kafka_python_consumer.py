"""kafka-python's consumer: where it starts, what it gets, and how it moves about."""

import time
from collections.abc import Callable

import pytest
from kafka import TopicPartition
from kafka.errors import NoOffsetForPartitionError, OffsetOutOfRangeError

from interop_tests.eventually import eventually
from interop_tests.kafka_python_clients import Clients, partitions_of, poll_until, produce, values_of


def numbers(first: int, last: int) -> list[bytes]:
    return [b"%d" % number for number in range(first, last + 1)]


def test_assignment(clients: Clients) -> None:
    """A consumer that chose its partitions gets their records, in order, and nobody else's."""
    topic = clients.topic(partitions=3)
    for partition in range(3):
        produce(clients, topic, [b"%d-%d" % (partition, number) for number in range(5)], partition=partition)
    consumer = clients.consumer()
    consumer.assign([TopicPartition(topic, 0), TopicPartition(topic, 2)])
    records = poll_until(consumer, 10)
    for partition in (0, 2):
        assert values_of([r for r in records if r.partition == partition]) == [
            b"%d-%d" % (partition, n) for n in range(5)
        ]
    assert {record.partition for record in records} == {0, 2}


def test_subscription(clients: Clients, unique: Callable[[str], str]) -> None:
    """A subscriber of two topics gets all partitions of both."""
    topics = [clients.topic(partitions=2), clients.topic(partitions=2)]
    for topic in topics:
        for partition in range(2):
            produce(clients, topic, [b"%d" % partition], partition=partition)
    consumer = clients.consumer(*topics, group_id=unique("group"))
    records = poll_until(consumer, 4)
    assert sorted((r.topic, r.partition) for r in records) == sorted((t, p) for t in topics for p in range(2))
    assert consumer.subscription() == set(topics)


def test_pattern_subscription_follows_new_topics(clients: Clients, unique: Callable[[str], str]) -> None:
    """A pattern takes the topics that match now, and one that appears later."""
    prefix = unique("pattern")
    first = clients.topic(name=prefix)
    other = clients.topic(name="other")
    for topic in (first, other):
        produce(clients, topic, [b"now"])
    consumer = clients.consumer(group_id=unique("group"), metadata_max_age_ms=200)
    consumer.subscribe(pattern=f"^{prefix}.*")
    assert [record.topic for record in poll_until(consumer, 1)] == [first]
    second = clients.topic(name=prefix)
    produce(clients, second, [b"later"])
    assert [record.topic for record in poll_until(consumer, 1)] == [second]


def test_seek(clients: Clients) -> None:
    """A consumer reads on from wherever it was told to, and knows where it is."""
    topic = clients.topic()
    produce(clients, topic, numbers(0, 99))
    [partition] = partitions_of(topic, 1)
    consumer = clients.consumer()
    consumer.assign([partition])
    consumer.seek(partition, 90)
    assert values_of(poll_until(consumer, 10)) == numbers(90, 99)
    assert consumer.position(partition) == 100
    consumer.seek_to_beginning(partition)
    assert consumer.position(partition) == 0
    assert values_of(poll_until(consumer, 100)) == numbers(0, 99)
    consumer.seek_to_end(partition)
    assert consumer.position(partition) == 100
    produce(clients, topic, [b"new"])
    assert values_of(poll_until(consumer, 1)) == [b"new"]


def test_beginning_and_end_offsets(clients: Clients) -> None:
    """The log's start moves with deleted records, its end with appended ones."""
    topic = clients.topic(partitions=2)
    produce(clients, topic, numbers(0, 9), partition=1)
    one, two = partitions_of(topic, 2)
    consumer = clients.consumer()
    assert consumer.beginning_offsets([one, two]) == {one: 0, two: 0}
    assert consumer.end_offsets([one, two]) == {one: 0, two: 10}
    clients.admin.delete_records({two: 4})
    assert consumer.beginning_offsets([one, two]) == {one: 0, two: 4}
    consumer.assign([two])
    assert values_of(poll_until(consumer, 6)) == numbers(4, 9)


def test_offsets_for_times(clients: Clients) -> None:
    """A time finds the first record at or after it, and nothing after the last."""
    topic = clients.topic()
    [partition] = partitions_of(topic, 1)
    producer = clients.producer()
    start_ms = int(time.time() * 1000) - 100_000
    for number in range(10):
        producer.send(topic, b"%d" % number, timestamp_ms=start_ms + number * 1000).get(timeout=20)
    consumer = clients.consumer()

    def offset_at(timestamp_ms: int) -> tuple[int, int] | None:
        found = consumer.offsets_for_times({partition: timestamp_ms})[partition]
        return None if found is None else (found.offset, found.timestamp - start_ms)

    assert offset_at(0) == (0, 0)
    assert offset_at(start_ms + 3000) == (3, 3000)
    assert offset_at(start_ms + 3001) == (4, 4000)
    assert offset_at(start_ms + 9000) == (9, 9000)
    assert offset_at(start_ms + 9001) is None


def test_offsets_for_times_inside_a_compressed_batch(clients: Clients) -> None:
    """A time finds its record also where many records share one compressed batch."""
    topic = clients.topic()
    [partition] = partitions_of(topic, 1)
    producer = clients.producer(compression_type="gzip", linger_ms=100)
    start_ms = int(time.time() * 1000) - 100_000
    for number in range(10):
        producer.send(topic, b"%d" % number, timestamp_ms=start_ms + number * 1000)
    producer.flush(timeout=20)
    found = clients.consumer().offsets_for_times({partition: start_ms + 6500})[partition]
    assert (found.offset, found.timestamp) == (7, start_ms + 7000)


def test_pause_and_resume(clients: Clients) -> None:
    """Nothing comes from a paused partition, everything after it is resumed, nothing is lost or doubled."""
    topic = clients.topic(partitions=2)
    one, two = partitions_of(topic, 2)
    consumer = clients.consumer()
    consumer.assign([one, two])
    consumer.pause(one)
    assert consumer.paused() == {one}
    produce(clients, topic, numbers(0, 4), partition=0)
    produce(clients, topic, numbers(5, 9), partition=1)
    assert values_of(poll_until(consumer, 5)) == numbers(5, 9)
    consumer.resume(one)
    assert values_of(poll_until(consumer, 5)) == numbers(0, 4)


@pytest.mark.parametrize(("reset", "expected"), [("earliest", numbers(0, 9)), ("latest", [b"new"])])
def test_where_a_consumer_without_commit_starts(
    clients: Clients, unique: Callable[[str], str], reset: str, expected: list[bytes]
) -> None:
    """auto_offset_reset decides between the log's start and its end."""
    topic = clients.topic()
    produce(clients, topic, numbers(0, 9))
    consumer = clients.consumer(auto_offset_reset=reset, group_id=unique("group"))
    consumer.assign(partitions_of(topic, 1))
    consumer.position(TopicPartition(topic, 0))
    produce(clients, topic, [b"new"])
    assert values_of(poll_until(consumer, len(expected)))[: len(expected)] == expected


def test_no_reset_policy_is_an_error(clients: Clients, unique: Callable[[str], str]) -> None:
    """With auto_offset_reset=none, neither a missing commit nor an offset out of range is papered over."""
    topic = clients.topic()
    produce(clients, topic, numbers(0, 9))
    [partition] = partitions_of(topic, 1)
    consumer = clients.consumer(auto_offset_reset="none", group_id=unique("group"))
    consumer.assign([partition])
    with pytest.raises(NoOffsetForPartitionError):
        eventually(lambda: consumer.poll(timeout_ms=100) and None, "the error")
    consumer.seek(partition, 11)
    with pytest.raises(OffsetOutOfRangeError):
        eventually(lambda: consumer.poll(timeout_ms=100) and None, "the error")


def test_offset_out_of_range_resets(clients: Clients) -> None:
    """A position before the log's start goes on at the start when the policy is earliest."""
    topic = clients.topic()
    produce(clients, topic, numbers(0, 9))
    [partition] = partitions_of(topic, 1)
    clients.admin.delete_records({partition: 5})
    consumer = clients.consumer()
    consumer.assign([partition])
    consumer.seek(partition, 2)
    assert values_of(poll_until(consumer, 5)) == numbers(5, 9)


def test_limits_smaller_than_a_batch_still_make_progress(clients: Clients) -> None:
    """fetch_max_bytes=1 still brings one whole batch at a time, so that no record is ever too large to read."""
    topic = clients.topic()
    values = [b"x" * 10_000 + b"%d" % number for number in range(5)]
    for value in values:
        produce(clients, topic, [value])
    consumer = clients.consumer(fetch_max_bytes=1, max_partition_fetch_bytes=1)
    consumer.assign(partitions_of(topic, 1))
    assert values_of(poll_until(consumer, 5)) == values


def test_max_poll_records(clients: Clients) -> None:
    """A poll returns at most max_poll_records, and the next one goes on."""
    topic = clients.topic()
    produce(clients, topic, numbers(0, 24))
    consumer = clients.consumer(max_poll_records=10)
    consumer.assign(partitions_of(topic, 1))
    sizes: list[int] = []

    def everything() -> bool:
        sizes.append(sum(map(len, consumer.poll(timeout_ms=100).values())))
        return sum(sizes) == 25

    eventually(everything, "25 records")
    assert max(sizes) == 10


def test_long_poll_is_woken_by_an_append(clients: Clients) -> None:
    """A fetch that may wait longer than this scenario does answers as soon as there is a record."""
    topic = clients.topic()
    consumer = clients.consumer(fetch_max_wait_ms=300_000, request_timeout_ms=310_000)
    consumer.assign(partitions_of(topic, 1))
    consumer.poll(timeout_ms=200)
    produce(clients, topic, [b"wake"])
    assert values_of(poll_until(consumer, 1)) == [b"wake"]


def test_min_bytes_wait_for_enough(clients: Clients) -> None:
    """With fetch_min_bytes a little data waits for more, until fetch_max_wait_ms has passed."""
    topic = clients.topic()
    produce(clients, topic, [b"small"])
    consumer = clients.consumer(fetch_min_bytes=100_000, fetch_max_wait_ms=400)
    consumer.assign(partitions_of(topic, 1))
    consumer.position(TopicPartition(topic, 0))
    started = time.monotonic()
    assert values_of(poll_until(consumer, 1)) == [b"small"]
    assert time.monotonic() - started >= 0.35


def test_iteration_ends_after_its_timeout(clients: Clients) -> None:
    """`for record in consumer` ends when nothing has come for consumer_timeout_ms, and begun again it goes on."""
    topic = clients.topic()
    produce(clients, topic, numbers(0, 9))
    consumer = clients.consumer(consumer_timeout_ms=500)
    consumer.assign(partitions_of(topic, 1))
    values: list[bytes] = []

    def iterate() -> bool:
        values.extend(record.value for record in consumer)
        return len(values) >= 10

    eventually(iterate, "ten records")
    assert values == numbers(0, 9)


@pytest.mark.parametrize(
    "settings",
    [{"isolation_level": "read_committed"}, {"enable_incremental_fetch_sessions": False}, {"check_crcs": False}],
)
def test_other_ways_of_fetching(clients: Clients, settings: dict[str, object]) -> None:
    """Read-committed, without fetch sessions, without CRC check: the same records."""
    topic = clients.topic(partitions=2)
    for partition in range(2):
        produce(clients, topic, numbers(0, 9), partition=partition)
    consumer = clients.consumer(**settings)
    consumer.assign(partitions_of(topic, 2))
    assert len(poll_until(consumer, 20)) == 20
    produce(clients, topic, [b"more"], partition=1)
    assert values_of(poll_until(consumer, 1)) == [b"more"]


def test_consumer_sees_the_cluster(clients: Clients) -> None:
    """topics() and partitions_for_topic() show what exists."""
    topic = clients.topic(partitions=3)
    consumer = clients.consumer()
    assert topic in consumer.topics()
    assert consumer.partitions_for_topic(topic) == {0, 1, 2}


def test_many_partitions_at_once(clients: Clients) -> None:
    """One consumer of fifty partitions gets every record once."""
    topic = clients.topic(partitions=50)
    producer = clients.producer()
    for number in range(500):
        producer.send(topic, b"%d" % number, partition=number % 50)
    producer.flush(timeout=20)
    consumer = clients.consumer()
    consumer.assign(partitions_of(topic, 50))
    assert sorted(map(int, values_of(poll_until(consumer, 500)))) == list(range(500))


def test_a_lot_of_data(clients: Clients) -> None:
    """Twenty thousand records of a kilobyte, through fetches of many batches, arrive whole and in order."""
    topic = clients.topic()
    producer = clients.producer(linger_ms=5, batch_size=100_000)
    filler = b"y" * 1000
    for number in range(20_000):
        producer.send(topic, b"%d:%s" % (number, filler))
    producer.flush(timeout=60)
    consumer = clients.consumer()
    consumer.assign(partitions_of(topic, 1))
    assert [int(value.split(b":")[0]) for value in values_of(poll_until(consumer, 20_000))] == list(range(20_000))
