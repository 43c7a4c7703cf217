"""confluent-kafka (librdkafka): as a program, and its admin client."""

import signal
import sys
from collections.abc import Sequence

from interop_tests.clients import (
    AUTO_COMMIT_INTERVAL_MS,
    HEARTBEAT_INTERVAL_MS,
    SESSION_TIMEOUT_MS,
    Client,
    TopicDescription,
)
from interop_tests.clients.python_programs import program, require_package, run


class Confluent(Client):
    name = "confluent-kafka"

    def require(self) -> None:
        require_package(self.name)

    def producer(self, bootstrap: str, topic: str, codec: str = "none") -> Sequence[str]:
        return program(__name__, "produce", bootstrap, topic, codec)

    def consumer(self, bootstrap: str, topic: str, group: str) -> Sequence[str]:
        return program(__name__, "consume", bootstrap, topic, group)

    def create_topic(self, bootstrap: str, topic: str, partitions: int, retention_ms: int) -> None:
        from confluent_kafka.admin import AdminClient
        from confluent_kafka.cimpl import NewTopic

        new = NewTopic(topic, partitions, 1, config={"retention.ms": str(retention_ms)})
        admin = AdminClient({"bootstrap.servers": bootstrap})
        admin.create_topics([new])[topic].result(20)

    def describe_topic(self, bootstrap: str, topic: str) -> TopicDescription | None:
        from confluent_kafka import KafkaError, KafkaException, TopicCollection
        from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

        admin = AdminClient({"bootstrap.servers": bootstrap})
        try:
            described = admin.describe_topics(TopicCollection([topic]))[topic].result(20)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                return None
            raise
        resource = ConfigResource(ResourceType.TOPIC, topic)
        configs = admin.describe_configs([resource])[resource].result(20)
        return TopicDescription(len(described.partitions), configs["retention.ms"].value)

    def delete_topic(self, bootstrap: str, topic: str) -> None:
        from confluent_kafka.admin import AdminClient

        admin = AdminClient({"bootstrap.servers": bootstrap})
        admin.delete_topics([topic])[topic].result(20)


def produce(bootstrap: str, topic: str, codec: str) -> int:
    from confluent_kafka import Producer

    failures: list[object] = []
    settings = {"bootstrap.servers": bootstrap, "enable.idempotence": True, "compression.codec": codec, "linger.ms": 10}
    producer = Producer(settings)
    for line in sys.stdin:
        producer.produce(
            topic, line.rstrip("\n"), on_delivery=lambda error, _: failures.append(error) if error else None
        )
        producer.poll(0)
    left = producer.flush(60)
    print(*failures, file=sys.stderr)
    return 1 if left or failures else 0


def consume(bootstrap: str, topic: str, group: str) -> None:
    from confluent_kafka import Consumer

    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: stopped.append(number))
    settings = {
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "auto.offset.reset": "earliest",
        "session.timeout.ms": SESSION_TIMEOUT_MS,
        "heartbeat.interval.ms": HEARTBEAT_INTERVAL_MS,
        "auto.commit.interval.ms": AUTO_COMMIT_INTERVAL_MS,
    }
    consumer = Consumer(settings)
    consumer.subscribe([topic])
    while not stopped:
        message = consumer.poll(0.1)
        if message is not None and message.error() is None:
            print((message.value() or b"").decode())
    consumer.close()


if __name__ == "__main__":
    sys.exit(run(produce, consume))
