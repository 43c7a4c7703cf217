"""kafka-python as the scenarios use it: clients that close themselves, and the few steps that every scenario takes."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import KafkaConnectionError

from interop_tests.eventually import eventually


class Clients:
    """kafka-python's clients of one broker, closed at the end of the test."""

    def __init__(self, bootstrap: str, stack: ExitStack, unique: Callable[[str], str]) -> None:
        self.bootstrap = bootstrap
        self._stack = stack
        self.unique = unique
        self._admin: KafkaAdminClient | None = None

    def producer(self, **settings: object) -> KafkaProducer:
        return self._stack.enter_context(closing(KafkaProducer(bootstrap_servers=self.bootstrap, **settings)))

    def consumer(self, *topics: str, **settings: object) -> KafkaConsumer:
        settings = {"auto_offset_reset": "earliest", "group_id": None, **settings}
        consumer = KafkaConsumer(*topics, bootstrap_servers=self.bootstrap, **settings)
        # A LeaveGroup behind a JoinGroup that waits for a member which nobody polls any more would wait for ever.
        self._stack.callback(consumer.close, timeout_ms=1000)
        return consumer

    @property
    def admin(self) -> KafkaAdminClient:
        if self._admin is None:
            self._admin = self._stack.enter_context(closing(KafkaAdminClient(bootstrap_servers=self.bootstrap)))
        return self._admin

    def topic(self, partitions: int = 1, *, name: str = "topic", **configs: object) -> str:
        """A new topic; `max_message_bytes=1` is the config `max.message.bytes`."""
        topic = self.unique(name)
        settings = {key.replace("_", "."): str(value) for key, value in configs.items()}
        new = {topic: {"num_partitions": partitions, "replication_factor": 1, "configs": settings}}
        self.admin.create_topics(new, wait_for_metadata=True)
        return topic


def poll_until(consumer: KafkaConsumer, count: int) -> list[ConsumerRecord]:
    """Poll until `count` records have come, and return them all; more than that is for the caller to notice."""
    records: list[ConsumerRecord] = []

    def enough() -> bool:
        for batch in consumer.poll(timeout_ms=100).values():
            records.extend(batch)
        collect_assignment(consumer)
        return len(records) >= count

    eventually(enough, f"{count} records")
    return records


def collect_assignment(consumer: KafkaConsumer) -> None:
    """To be called between polls, because of a bug of kafka-python 3.0 that shows on any broker.

    Where a change of metadata caused the rejoin, and a poll's time runs out within it, the next poll does not see that
    there is an assignment to collect, and the consumer has none for good. This makes it look.
    """
    coordinator = consumer._coordinator
    if coordinator._join_task is not None:
        coordinator.request_rejoin()


def see_topics(consumer: KafkaConsumer) -> None:
    """To be called between subscribing and the first poll, where it matters how often the consumer joins.

    kafka-python 3.0 may lead its group before it is told of its topics. It joins again when it is, which is late if the
    broker is slow, and a static leader has assigned nothing until then.
    """
    consumer.topics()


def records_polled(consumer: KafkaConsumer, timeout_ms: int) -> Iterator[ConsumerRecord]:
    """What one poll brings; nothing if the broker is away.

    kafka-python 3.0 lets a failure to connect out of `poll`, where it comes while the group's coordinator is sought and
    metadata is asked for. A program has to go on.
    """
    try:
        polled = consumer.poll(timeout_ms=timeout_ms)
    except KafkaConnectionError:
        return
    for batch in polled.values():
        yield from batch


def partitions_of(topic: str, count: int) -> list[TopicPartition]:
    return [TopicPartition(topic, index) for index in range(count)]


def produce(clients: Clients, topic: str, values: Iterable[bytes], *, partition: int | None = 0) -> None:
    """Send and wait for every acknowledgement."""
    producer = clients.producer()
    pending = [producer.send(topic, value, partition=partition) for value in values]
    producer.flush(timeout=20)
    for future in pending:
        future.get(timeout=20)


def values_of(records: Sequence[ConsumerRecord]) -> list[bytes]:
    return [record.value for record in records]


def shares(clients: Clients, group: str) -> list[int]:
    """How many partitions each member has, in the eyes of the coordinator."""
    described = clients.admin.describe_groups([group])[group]
    if described["group_state"] != "Stable":
        return []
    return sorted(
        sum(len(topic["partitions"]) for topic in member["member_assignment"]["assigned_partitions"])
        for member in described["members"]
    )
