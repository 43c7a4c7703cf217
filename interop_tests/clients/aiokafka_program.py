"""aiokafka: as a program, and its admin client."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from interop_tests.clients import (
    AUTO_COMMIT_INTERVAL_MS,
    HEARTBEAT_INTERVAL_MS,
    SESSION_TIMEOUT_MS,
    Client,
    TopicDescription,
)
from interop_tests.clients.python_programs import program, require_package, run

T = TypeVar("T")


class Aiokafka(Client):
    name = "aiokafka"

    def require(self) -> None:
        require_package(self.name)

    def producer(self, bootstrap: str, topic: str, codec: str = "none") -> Sequence[str]:
        return program(__name__, "produce", bootstrap, topic, codec)

    def consumer(self, bootstrap: str, topic: str, group: str) -> Sequence[str]:
        return program(__name__, "consume", bootstrap, topic, group)

    def create_topic(self, bootstrap: str, topic: str, partitions: int, retention_ms: int) -> None:
        from aiokafka.admin import NewTopic

        new = NewTopic(topic, partitions, 1, topic_configs={"retention.ms": str(retention_ms)})
        response = with_admin(bootstrap, lambda admin: admin.create_topics([new]))
        [(_, code, message)] = response.topic_errors
        assert code == 0, message

    def describe_topic(self, bootstrap: str, topic: str) -> TopicDescription | None:
        from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

        # Not describe_topics: aiokafka's creates the topic that it asks for.
        if topic not in with_admin(bootstrap, lambda admin: admin.list_topics()):
            return None
        [described] = with_admin(bootstrap, lambda admin: admin.describe_topics([topic]))
        resource = ConfigResource(ConfigResourceType.TOPIC, topic)
        [response] = with_admin(bootstrap, lambda admin: admin.describe_configs([resource]))
        [(_, _, _, _, entries)] = response.resources
        return TopicDescription(len(described["partitions"]), {entry[0]: entry[1] for entry in entries}["retention.ms"])

    def delete_topic(self, bootstrap: str, topic: str) -> None:
        response = with_admin(bootstrap, lambda admin: admin.delete_topics([topic]))
        assert response.topic_error_codes == [(topic, 0)]


def with_admin(bootstrap: str, action: Callable[[Any], Awaitable[T]]) -> T:
    from aiokafka.admin import AIOKafkaAdminClient

    async def act() -> T:
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        try:
            return await action(admin)
        finally:
            await admin.close()

    return asyncio.run(act())


def produce(bootstrap: str, topic: str, codec: str) -> int:
    return asyncio.run(_produce(bootstrap, topic, codec))


async def _produce(bootstrap: str, topic: str, codec: str) -> int:
    from aiokafka import AIOKafkaProducer

    compression = None if codec == "none" else codec
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, enable_idempotence=True, compression_type=compression, linger_ms=10
    )
    await producer.start()
    try:
        pending = []
        while line := await asyncio.to_thread(sys.stdin.readline):
            pending.append(await producer.send(topic, line.rstrip("\n").encode()))
        await asyncio.gather(*pending)
    finally:
        await producer.stop()
    return 0


def consume(bootstrap: str, topic: str, group: str) -> None:
    asyncio.run(_consume(bootstrap, topic, group))


async def _consume(bootstrap: str, topic: str, group: str) -> None:
    from aiokafka import AIOKafkaConsumer

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        group_id=group,
        auto_offset_reset="earliest",
        session_timeout_ms=SESSION_TIMEOUT_MS,
        heartbeat_interval_ms=HEARTBEAT_INTERVAL_MS,
        auto_commit_interval_ms=AUTO_COMMIT_INTERVAL_MS,
        metadata_max_age_ms=5000,
    )
    await consumer.start()
    try:
        while not stop.is_set():
            for batch in (await consumer.getmany(timeout_ms=100)).values():
                for record in batch:
                    print(record.value.decode())
    finally:
        await consumer.stop()


if __name__ == "__main__":
    sys.exit(run(produce, consume))
