"""kafka-python: as a program, and its admin client."""

import signal
import sys
from collections.abc import Sequence
from contextlib import closing

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import ConfigResource

from interop_tests.clients import (
    AUTO_COMMIT_INTERVAL_MS,
    HEARTBEAT_INTERVAL_MS,
    RECONNECT_BACKOFF_MAX_MS,
    SESSION_TIMEOUT_MS,
    Client,
    TopicDescription,
)
from interop_tests.clients.python_programs import program, run
from interop_tests.kafka_python_clients import records_polled

POLL_MS = 500


class KafkaPython(Client):
    name = "kafka-python"

    def require(self) -> None:
        """It is here: all scenarios stand on it."""

    def producer(self, bootstrap: str, topic: str, codec: str = "none") -> Sequence[str]:
        return program(__name__, "produce", bootstrap, topic, codec)

    def consumer(self, bootstrap: str, topic: str, group: str) -> Sequence[str]:
        return program(__name__, "consume", bootstrap, topic, group)

    def create_topic(self, bootstrap: str, topic: str, partitions: int, retention_ms: int) -> None:
        with closing(KafkaAdminClient(bootstrap_servers=bootstrap)) as admin:
            admin.create_topics({topic: {"num_partitions": partitions, "configs": {"retention.ms": str(retention_ms)}}})

    def describe_topic(self, bootstrap: str, topic: str) -> TopicDescription | None:
        with closing(KafkaAdminClient(bootstrap_servers=bootstrap)) as admin:
            if topic not in admin.list_topics():
                return None
            [described] = admin.describe_topics([topic])
            configs = admin.describe_configs([ConfigResource("TOPIC", topic)])["topic"][topic]
            return TopicDescription(len(described["partitions"]), configs["retention.ms"]["value"])

    def delete_topic(self, bootstrap: str, topic: str) -> None:
        with closing(KafkaAdminClient(bootstrap_servers=bootstrap)) as admin:
            admin.delete_topics([topic])


def produce(bootstrap: str, topic: str, codec: str) -> int:
    compression = None if codec == "none" else codec
    with closing(
        KafkaProducer(
            bootstrap_servers=bootstrap,
            compression_type=compression,
            linger_ms=10,
            reconnect_backoff_max_ms=RECONNECT_BACKOFF_MAX_MS,
        )
    ) as producer:
        pending = [producer.send(topic, line.rstrip("\n").encode()) for line in sys.stdin]
        producer.flush(60)
        return 0 if all(future.succeeded() for future in pending) else 1


def consume(bootstrap: str, topic: str, group: str) -> None:
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: stopped.append(number))
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        group_id=group,
        auto_offset_reset="earliest",
        session_timeout_ms=SESSION_TIMEOUT_MS,
        heartbeat_interval_ms=HEARTBEAT_INTERVAL_MS,
        auto_commit_interval_ms=AUTO_COMMIT_INTERVAL_MS,
        reconnect_backoff_max_ms=RECONNECT_BACKOFF_MAX_MS,
    )
    with closing(consumer):
        while not stopped:
            for record in records_polled(consumer, POLL_MS):
                print(record.value.decode())


if __name__ == "__main__":
    sys.exit(run(produce, consume))
