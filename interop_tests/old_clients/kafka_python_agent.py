"""kafka-python from 1.4 to 2.3 as an agent.

The `kafka` here is not the one that the rest of these tests import. Its old releases carry a copy of `six` that finds
its own modules no more from Python 3.12 on; a newer `six` takes its place there, as with those who still use them.
"""

import importlib
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import Any

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

if sys.version_info >= (3, 12):
    six = importlib.import_module("six")
    sys.modules |= {"kafka.vendor.six": six, "kafka.vendor.six.moves": six.moves}

kafka: Any = importlib.import_module("kafka")
kafka_admin: Any = importlib.import_module("kafka.admin")


class KafkaPythonMember(Member):
    def __init__(self, agent: "KafkaPythonAgent", topic: str, group: str) -> None:
        self._agent = agent
        super().__init__(topic, group)

    def open(self, topic: str, group: str) -> Any:
        return self._agent.consumer(
            topic,
            group_id=group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            session_timeout_ms=SESSION_TIMEOUT_MS,
            heartbeat_interval_ms=HEARTBEAT_INTERVAL_MS,
        )

    def poll(self, consumer: Any) -> Iterable[bytes]:
        return [record.value for batch in consumer.poll(timeout_ms=100).values() for record in batch]

    def commit_and_close(self, consumer: Any) -> None:
        consumer.commit()
        consumer.close()


class KafkaPythonAgent(Agent):
    def consumer(self, *topics: str, **settings: object) -> Any:
        return kafka.KafkaConsumer(
            *topics, bootstrap_servers=self.bootstrap, client_id=self.client_id, **{"group_id": None, **settings}
        )

    def admin(self) -> Any:
        return closing(kafka.KafkaAdminClient(bootstrap_servers=self.bootstrap, client_id=self.client_id))

    def produce(self, topic: str, codec: str, acks: str, idempotent: str, *records: str) -> Sequence[object]:
        # By default these releases try once, which a partition without a leader, as after a restart, makes an error.
        settings: dict[str, object] = {"acks": acks if acks == "all" else int(acks), "retries": 20}
        if codec != "none":
            settings["compression_type"] = codec
        if idempotent == "true":
            settings["enable_idempotence"] = True
        producer = kafka.KafkaProducer(
            bootstrap_servers=self.bootstrap, client_id=self.client_id, linger_ms=10, **settings
        )
        with closing(producer):
            pending = []
            for record in records:
                key, _, value = record.partition(" ")
                headers = [(HEADER, self.client_id.encode())]
                pending.append(producer.send(topic, key=key.encode(), value=value.encode(), headers=headers))
            producer.flush(TIMEOUT_S)
            for future in pending:
                future.get(TIMEOUT_S)
        return []

    def read(self, topic: str, count: str) -> Sequence[object]:
        found: list[str] = []
        with closing(self.consumer()) as consumer:
            everything = [kafka.TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
            consumer.assign(everything)
            consumer.seek_to_beginning()
            deadline = time.monotonic() + TIMEOUT_S
            while len(found) < int(count):
                assert time.monotonic() < deadline, f"{len(found)} records and no more"
                for batch in consumer.poll(timeout_ms=100).values():
                    found += [
                        record_word(
                            record.partition,
                            record.offset,
                            record.timestamp,
                            record.key,
                            record.value,
                            record.headers,
                        )
                        for record in batch
                    ]
        return found

    def offset(self, topic: str, partition: str, timestamp_ms: str) -> Sequence[object]:
        asked = kafka.TopicPartition(topic, int(partition))
        with closing(self.consumer()) as consumer:
            found = consumer.offsets_for_times({asked: int(timestamp_ms)})[asked]
        return [-1 if found is None else found.offset]

    def bounds(self, topic: str, partition: str) -> Sequence[object]:
        asked = kafka.TopicPartition(topic, int(partition))
        with closing(self.consumer()) as consumer:
            return [consumer.beginning_offsets([asked])[asked], consumer.end_offsets([asked])[asked]]

    def member(self, topic: str, group: str) -> Member:
        return KafkaPythonMember(self, topic, group)

    def create(self, topic: str, partitions: str, retention_ms: str) -> Sequence[object]:
        new = kafka_admin.NewTopic(topic, int(partitions), 1, topic_configs={"retention.ms": retention_ms})
        with self.admin() as admin:
            admin.create_topics([new])
        return []

    def grow(self, topic: str, partitions: str) -> Sequence[object]:
        with self.admin() as admin:
            admin.create_partitions({topic: kafka_admin.NewPartitions(int(partitions))})
        return []

    def configure(self, topic: str, retention_ms: str) -> Sequence[object]:
        with self.admin() as admin:
            resource = topic_config(topic, {"retention.ms": retention_ms})
            [(code, message, *_)] = admin.alter_configs([resource]).resources
        assert code == 0, message
        return []

    def delete(self, topic: str) -> Sequence[object]:
        with self.admin() as admin:
            admin.delete_topics([topic])
        return []

    def topics(self) -> Sequence[object]:
        with closing(self.consumer()) as consumer:
            return sorted(consumer.topics())

    def describe(self, topic: str) -> Sequence[object]:
        with closing(self.consumer()) as consumer:
            partitions = consumer.partitions_for_topic(topic)
        with self.admin() as admin:
            answer = admin.describe_configs([topic_config(topic, {})])
        # One response, or since 2.0 a list of them.
        [response] = answer if isinstance(answer, list) else [answer]
        [(code, message, _, _, entries)] = response.resources
        assert code == 0, message
        return [len(partitions), {name: value for name, value, *_ in entries}["retention.ms"]]

    def groups(self) -> Sequence[object]:
        with self.admin() as admin:
            return [name for name, *_ in admin.list_consumer_groups()]

    def members(self, group: str) -> Sequence[object]:
        with self.admin() as admin:
            [(code, _, state, _, _, members, *_)] = admin.describe_consumer_groups([group])
        assert code == 0, code
        return [state, *(client_id for _, client_id, *_ in members)]


def topic_config(topic: str, configs: dict[str, str]) -> Any:
    return kafka_admin.ConfigResource(kafka_admin.ConfigResourceType.TOPIC, topic, configs or None)


if __name__ == "__main__":
    serve(KafkaPythonAgent(*sys.argv[1:]))
