"""A disk that takes no more, and descriptors that run out: one partition's matter while it lasts, nobody's afterwards.

What fails is made to fail by the process's own limits, changed while it runs (`prlimit`), which takes no privileges:
the limit on the size of a file stands for a full disk (EFBIG in the place of ENOSPC, at the same system calls), the
limit on descriptors is the real thing. Each scenario has a broker of its own.
"""

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from kafka import KafkaProducer, TopicPartition
from kafka.errors import KafkaError, KafkaStorageError

from interop_tests.brokers import KpyBroker
from interop_tests.eventually import eventually
from interop_tests.kafka_python_clients import Clients, partitions_of, poll_until, values_of

pytestmark = pytest.mark.only_on(
    broker="kpy", why="Apache Kafka ends itself when its log directory fails or descriptors run out"
)

RECORD = b"x" * 10_000


@pytest.fixture
def own_broker(request: pytest.FixtureRequest) -> Iterator[KpyBroker]:
    """One on the disk, with the settings that the test is parametrized with."""
    with closing(KpyBroker(settings=getattr(request, "param", {}))) as broker:
        broker.start()
        yield broker
        assert broker.died() is None


@pytest.fixture
def own_clients(own_broker: KpyBroker, unique: Callable[[str], str]) -> Iterator[Clients]:
    with ExitStack() as stack:
        yield Clients(own_broker.bootstrap, stack, unique)


@contextmanager
def limited(broker: KpyBroker, kind: int, value: int) -> Iterator[None]:
    """The broker's soft limit of that kind within the block."""
    assert broker.pid is not None
    before = resource.prlimit(broker.pid, kind)
    resource.prlimit(broker.pid, kind, (value, before[1]))
    try:
        yield
    finally:
        resource.prlimit(broker.pid, kind, before)


def descriptors(broker: KpyBroker) -> list[str]:
    """What the broker has open: the targets of its descriptors."""
    targets = []
    for entry in Path(f"/proc/{broker.pid}/fd").iterdir():
        try:
            targets.append(os.readlink(entry))
        except FileNotFoundError:
            continue
    return targets


def send(producer: KafkaProducer, topic: str, partition: int = 0) -> KafkaError | None:
    """One record; what was answered instead of an acknowledgement."""
    try:
        producer.send(topic, RECORD, partition=partition).get(timeout=20)
    except KafkaError as error:
        return error
    return None


def single(clients: Clients) -> KafkaProducer:
    """A producer that does not try again, so that each error is seen."""
    return clients.producer(retries=0, enable_idempotence=False, linger_ms=0)


def test_a_full_disk(own_broker: KpyBroker, own_clients: Clients) -> None:
    """The partition that cannot grow says KAFKA_STORAGE_ERROR; others go on; all that was acknowledged is there, also
    after a kill, and when the disk has room again nobody has to do anything."""
    topic = own_clients.topic(partitions=2)
    producer = single(own_clients)
    acknowledged = [0, 0]
    for _ in range(100):
        assert send(producer, topic) is None
        acknowledged[0] += 1
    size = (own_broker.data_directory / f"{topic}-0" / f"{0:020}.log").stat().st_size
    with limited(own_broker, resource.RLIMIT_FSIZE, size + 5_000):
        for _ in range(3):
            assert isinstance(send(producer, topic), KafkaStorageError)
            assert send(producer, topic, 1) is None
            acknowledged[1] += 1
        consumer = own_clients.consumer()
        consumer.assign(partitions_of(topic, 2))
        assert len(poll_until(consumer, sum(acknowledged))) == sum(acknowledged)
        own_clients.topic(name="while-it-is-full")
    assert send(producer, topic) is None
    acknowledged[0] += 1
    own_broker.restart(clean=False)
    consumer = own_clients.consumer()
    consumer.assign(partitions_of(topic, 2))
    assert values_of(poll_until(consumer, sum(acknowledged))) == [RECORD] * sum(acknowledged)
    ends = consumer.end_offsets(partitions_of(topic, 2))
    assert [ends[TopicPartition(topic, index)] for index in range(2)] == acknowledged


def test_a_retrying_producer_outlives_a_full_disk(own_broker: KpyBroker, own_clients: Clients) -> None:
    """KAFKA_STORAGE_ERROR is retriable: an idempotent producer ends with each record stored once, in order."""
    topic = own_clients.topic()
    producer = own_clients.producer(retry_backoff_ms=50, linger_ms=0)
    numbers = [b"%06d" % number * 500 for number in range(300)]
    pending = [producer.send(topic, value) for value in numbers[:100]]
    producer.flush(timeout=20)
    size = (own_broker.data_directory / f"{topic}-0" / f"{0:020}.log").stat().st_size
    with limited(own_broker, resource.RLIMIT_FSIZE, size + 200_000):
        pending += [producer.send(topic, value) for value in numbers[100:]]
        eventually(lambda: "File too large" in own_broker.tail(), "the disk is full")
    for future in pending:
        future.get(timeout=20)
    consumer = own_clients.consumer(topic)
    assert values_of(poll_until(consumer, len(numbers))) == numbers


def test_descriptors_run_out(own_broker: KpyBroker, own_clients: Clients) -> None:
    """Files that nobody uses make room; clients that are there are served, with more partitions than descriptors."""
    topic = own_clients.topic(partitions=60)
    producer = single(own_clients)
    for index in range(30):
        assert send(producer, topic, index) is None
    consumer = own_clients.consumer()
    consumer.assign(partitions_of(topic, 60))
    assert len(poll_until(consumer, 30)) == 30
    highest = max(int(entry.name) for entry in Path(f"/proc/{own_broker.pid}/fd").iterdir())
    with limited(own_broker, resource.RLIMIT_NOFILE, highest + 2):
        for index in range(60):
            assert send(producer, topic, index) is None
        assert len(poll_until(consumer, 60)) == 60
    for index in range(60):
        assert send(producer, topic, index) is None
    assert len(poll_until(consumer, 60)) == 60


def test_no_descriptors_at_all(own_broker: KpyBroker, own_clients: Clients) -> None:
    """What needs one is KAFKA_STORAGE_ERROR, or a connection that has to wait, until there are some again."""
    topic = own_clients.topic(partitions=10)
    producer = single(own_clients)
    assert send(producer, topic, 0) is None
    with limited(own_broker, resource.RLIMIT_NOFILE, 3):
        assert isinstance(send(producer, topic, 5), KafkaStorageError)
        assert send(producer, topic, 0) is None
    for index in range(10):
        assert send(producer, topic, index) is None
    assert len(poll_until(own_clients.consumer(topic), 12)) == 12


@pytest.mark.parametrize("own_broker", [{"kpy.open.files.max": "16"}], indirect=True)
def test_many_partitions_need_few_descriptors(own_broker: KpyBroker, own_clients: Clients) -> None:
    """Two hundred partitions that are written and read need sixteen files."""
    topic = own_clients.topic(partitions=200)
    producer = own_clients.producer()
    for number in range(3):
        for index in range(200):
            producer.send(topic, b"%d" % number, partition=index)
        producer.flush(timeout=20)
    consumer = own_clients.consumer()
    consumer.assign(partitions_of(topic, 200))
    assert len(poll_until(consumer, 600)) == 600
    logs = [target for target in descriptors(own_broker) if target.startswith(str(own_broker.data_directory / topic))]
    assert len(logs) <= 16


def test_two_brokers_on_one_directory(own_broker: KpyBroker, own_clients: Clients) -> None:
    """The second one says so and ends; the first one goes on."""
    topic = own_clients.topic()
    second = KpyBroker(scratch=own_broker.scratch)
    second.output = own_broker.scratch / "second.log"
    with pytest.raises(RuntimeError, match="another broker is running on"):
        second.start()
    assert send(single(own_clients), topic) is None
