"""An old confluent-kafka, which is librdkafka, as an agent."""

import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType
from confluent_kafka.cimpl import NewPartitions, NewTopic

from interop_tests.old_clients.agent import (
    HEADER,
    HEARTBEAT_INTERVAL_MS,
    SESSION_TIMEOUT_MS,
    TIMEOUT_S,
    Agent,
    Member,
    record_word,
    serve,
)


class ConfluentMember(Member):
    def __init__(self, agent: "ConfluentAgent", topic: str, group: str) -> None:
        self._agent = agent
        super().__init__(topic, group)

    def open(self, topic: str, group: str) -> Any:
        consumer = self._agent.consumer(
            group,
            {
                "auto.offset.reset": "earliest",
                "session.timeout.ms": SESSION_TIMEOUT_MS,
                "heartbeat.interval.ms": HEARTBEAT_INTERVAL_MS,
            },
        )
        consumer.subscribe([topic])
        return consumer

    def poll(self, consumer: Any) -> Iterable[bytes]:
        message = consumer.poll(0.1)
        if message is None:
            return []
        assert message.error() is None, message.error()
        return [message.value()]

    def commit_and_close(self, consumer: Any) -> None:
        try:
            consumer.commit(asynchronous=False)
        except KafkaException as error:
            if error.args[0].code() != KafkaError._NO_OFFSET:  # it has received nothing
                raise
        consumer.close()


class ConfluentAgent(Agent):
    def __init__(self, bootstrap: str, client_id: str) -> None:
        super().__init__(bootstrap, client_id)
        self._admin = AdminClient(self.settings({}))

    def settings(self, more: dict[str, Any]) -> dict[str, Any]:
        return {"bootstrap.servers": self.bootstrap, "client.id": self.client_id, **more}

    def consumer(self, group: str, more: dict[str, Any]) -> Any:
        return Consumer(self.settings({"group.id": group, "enable.auto.commit": False, **more}))

    def produce(self, topic: str, codec: str, acks: str, idempotent: str, *records: str) -> Sequence[object]:
        failures: list[object] = []
        more = {"compression.codec": codec, "acks": acks, "enable.idempotence": idempotent}
        producer = Producer(self.settings({"linger.ms": 10, **more}))
        for record in records:
            key, _, value = record.partition(" ")
            producer.produce(
                topic,
                key=key,
                value=value,
                headers={HEADER: self.client_id},
                on_delivery=lambda error, _: failures.append(error) if error else None,
            )
        left = producer.flush(TIMEOUT_S)
        assert (left, failures) == (0, []), f"{left} records are left, {failures}"
        return []

    def read(self, topic: str, count: str) -> Sequence[object]:
        found: list[str] = []
        consumer = self.consumer("of-none", {})
        partitions = consumer.list_topics(topic, TIMEOUT_S).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
        deadline = time.monotonic() + TIMEOUT_S
        while len(found) < int(count):
            assert time.monotonic() < deadline, f"{len(found)} records and no more"
            for message in consumer.consume(int(count) - len(found), 0.1):
                assert message.error() is None, message.error()
                _, timestamp_ms = message.timestamp()
                place = (message.partition(), message.offset(), timestamp_ms)
                found.append(record_word(*place, message.key(), message.value(), message.headers() or ()))
        consumer.close()
        return found

    def offset(self, topic: str, partition: str, timestamp_ms: str) -> Sequence[object]:
        consumer = self.consumer("of-none", {})
        [found] = consumer.offsets_for_times([TopicPartition(topic, int(partition), int(timestamp_ms))], TIMEOUT_S)
        consumer.close()
        return [found.offset]

    def bounds(self, topic: str, partition: str) -> Sequence[object]:
        consumer = self.consumer("of-none", {})
        found: tuple[int, int] = consumer.get_watermark_offsets(TopicPartition(topic, int(partition)), TIMEOUT_S)
        consumer.close()
        return found

    def member(self, topic: str, group: str) -> Member:
        return ConfluentMember(self, topic, group)

    def create(self, topic: str, partitions: str, retention_ms: str) -> Sequence[object]:
        new = NewTopic(topic, int(partitions), 1, config={"retention.ms": retention_ms})
        self._admin.create_topics([new])[topic].result(TIMEOUT_S)
        return []

    def grow(self, topic: str, partitions: str) -> Sequence[object]:
        self._admin.create_partitions([NewPartitions(topic, int(partitions))])[topic].result(TIMEOUT_S)
        return []

    def configure(self, topic: str, retention_ms: str) -> Sequence[object]:
        [(_, future)] = self._admin.alter_configs([topic_config(topic, {"retention.ms": retention_ms})]).items()
        future.result(TIMEOUT_S)
        return []

    def delete(self, topic: str) -> Sequence[object]:
        self._admin.delete_topics([topic])[topic].result(TIMEOUT_S)
        return []

    def topics(self) -> Sequence[object]:
        return sorted(self._admin.list_topics(timeout=TIMEOUT_S).topics)

    def describe(self, topic: str) -> Sequence[object]:
        # Of all topics: one that this handle was asked about by name it would create again after it is deleted.
        partitions = self._admin.list_topics(timeout=TIMEOUT_S).topics[topic].partitions
        [(_, future)] = self._admin.describe_configs([topic_config(topic, {})]).items()
        return [len(partitions), future.result(TIMEOUT_S)["retention.ms"].value]

    def groups(self) -> Sequence[object]:
        return [group.group_id for group in self._admin.list_consumer_groups().result(TIMEOUT_S).valid]

    def members(self, group: str) -> Sequence[object]:
        described = self._admin.describe_consumer_groups([group])[group].result(TIMEOUT_S)
        state = described.state.name.title().replace("_", "")
        return [state, *(member.client_id for member in described.members)]


def topic_config(topic: str, configs: dict[str, str]) -> Any:
    return ConfigResource(ResourceType.TOPIC, topic, set_config=configs or None)


if __name__ == "__main__":
    serve(ConfluentAgent(*sys.argv[1:]))
