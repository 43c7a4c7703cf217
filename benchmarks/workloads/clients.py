"""confluent-kafka, the client of the workloads that a program would do with a client."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # not in its __all__

from benchmarks.brokers import RunningBroker

TIMEOUT_S = 60.0


def create_topic(
    broker: RunningBroker, topic: str, *, partitions: int, config: Mapping[str, str] | None = None
) -> None:
    """Return when the topic is there and every partition has a leader."""
    admin = AdminClient(_configuration(broker, {}))
    new = NewTopic(topic, num_partitions=partitions, replication_factor=1, config=dict(config or {}))
    for created in admin.create_topics([new]).values():
        created.result(TIMEOUT_S)
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        seen = admin.list_topics(topic, timeout=TIMEOUT_S).topics[topic].partitions.values()
        if len(seen) == partitions and all(partition.leader >= 0 for partition in seen):
            return
        time.sleep(0.05)
    raise TimeoutError(f"{topic} has no leaders after {TIMEOUT_S:g} s")


def producer(broker: RunningBroker, **settings: str | int) -> Producer:
    return Producer(_configuration(broker, {"acks": "all", **settings}))


@contextmanager
def consumer(broker: RunningBroker, group_id: str, **settings: str | int) -> Iterator[Consumer]:
    """A consumer that starts at the beginning and commits nothing."""
    own = {"group_id": group_id, "auto_offset_reset": "earliest", "enable_auto_commit": "false"}
    opened = Consumer(_configuration(broker, {**own, **settings}))
    try:
        yield opened
    finally:
        opened.close()


def _configuration(broker: RunningBroker, settings: Mapping[str, str | int]) -> dict[str, str | int | float | bool]:
    """librdkafka's names; no telemetry (KIP-714), which only some brokers would be asked for."""
    named = {name.replace("_", "."): value for name, value in settings.items()}
    return {"bootstrap.servers": broker.bootstrap, "enable.metrics.push": False, **named}


def check(error: object) -> None:
    """A record or an event that is an error ends the benchmark."""
    if error is not None:
        raise KafkaException(error)
