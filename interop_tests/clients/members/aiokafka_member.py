"""A member made with aiokafka, which has no cooperative assignor."""

import asyncio
from collections.abc import Collection

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor

from interop_tests.clients.members import POLL_S, Membership, Orders, report, report_record, told


class Listener(ConsumerRebalanceListener):
    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        report("revoked", revoked)

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        report("assigned", assigned)


async def main(membership: Membership, orders: Orders) -> None:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=membership.bootstrap,
        group_id=membership.group,
        group_instance_id=membership.instance,
        partition_assignment_strategy=[RangePartitionAssignor],
        auto_offset_reset="earliest",
        session_timeout_ms=membership.session_ms,
        heartbeat_interval_ms=membership.heartbeat_ms,
        max_poll_interval_ms=membership.max_poll_ms,
        metadata_max_age_ms=membership.metadata_ms,
        retry_backoff_ms=20,
    )
    consumer.subscribe(topics=membership.topics, pattern=membership.pattern, listener=Listener())
    await consumer.start()
    try:
        while not orders.ended:
            if orders.hangs:
                await asyncio.sleep(POLL_S)
                continue
            for batch in (await consumer.getmany(timeout_ms=int(POLL_S * 1000))).values():
                for record in batch:
                    report_record(record.topic, record.partition, record.offset, record.value)
    finally:
        await consumer.stop()


if __name__ == "__main__":
    asyncio.run(main(told(), Orders()))
