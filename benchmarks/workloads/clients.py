"""confluent-kafka, the client of the workloads that a program would do with a client."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # not in its __all__
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
)

from benchmarks.brokers import RunningBroker

TIMEOUT_S = 60.0
PARTITIONS_AT_ONCE = 5_000
"""Apache Kafka's controller takes no request that makes more than 10 000 records (QuorumController)."""
SECONDS_A_PARTITION = 0.05
"""What a broker may take to make very many of them, beside the timeout."""


def create_topic(
    broker: RunningBroker, topic: str, *, partitions: int, config: Mapping[str, str] | None = None
) -> None:
    """Return when the topic is there and every partition has a leader."""
    admin = AdminClient(_configuration(broker, {}))
    count = min(partitions, PARTITIONS_AT_ONCE)
    timeout_s = TIMEOUT_S + partitions * SECONDS_A_PARTITION
    new = NewTopic(topic, num_partitions=count, replication_factor=1, config=dict(config or {}))
    for created in admin.create_topics([new], request_timeout=timeout_s).values():
        created.result(timeout_s)
    _await_leaders(admin, topic, count, timeout_s)
    while count < partitions:
        count = min(partitions, count + PARTITIONS_AT_ONCE)
        for grown in admin.create_partitions([NewPartitions(topic, count)], request_timeout=timeout_s).values():
            grown.result(timeout_s)
        _await_leaders(admin, topic, count, timeout_s)


def _await_leaders(admin: AdminClient, topic: str, count: int, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        seen = admin.list_topics(topic, timeout=timeout_s).topics[topic].partitions.values()
        if len(seen) == count and all(partition.leader >= 0 for partition in seen):
            return
        time.sleep(0.05)
    raise TimeoutError(f"{topic} has no leaders after {timeout_s:g} s")


def alter_topic(broker: RunningBroker, topic: str, config: Mapping[str, str]) -> None:
    """Set these configs of the topic, and leave the others."""
    _alter(AdminClient(_configuration(broker, {})), ConfigResource.Type.TOPIC, topic, config)


def alter_broker(broker: RunningBroker, config: Mapping[str, str]) -> None:
    """Set these configs of the broker, which is the only one, while it runs."""
    admin = AdminClient(_configuration(broker, {}))
    [broker_id] = admin.list_topics(timeout=TIMEOUT_S).brokers
    _alter(admin, ConfigResource.Type.BROKER, str(broker_id), config)


def _alter(admin: AdminClient, kind: ConfigResource.Type, name: str, config: Mapping[str, str]) -> None:
    entries = [ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET) for key, value in config.items()]
    for altered in admin.incremental_alter_configs([ConfigResource(kind, name, incremental_configs=entries)]).values():
        altered.result(TIMEOUT_S)


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
