"""A member made with kafka-python."""

import time
from collections.abc import Collection
from contextlib import closing

from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor

from interop_tests.clients import RECONNECT_BACKOFF_MAX_MS
from interop_tests.clients.members import POLL_S, Orders, report, report_record, told
from interop_tests.kafka_python_clients import collect_assignment, records_polled, see_topics

ASSIGNORS = {"range": RangePartitionAssignor, "cooperative-sticky": CooperativeStickyAssignor}


class Listener(ConsumerRebalanceListener):
    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        report("revoked", revoked)

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        report("assigned", assigned)


def main() -> None:
    membership, orders = told(), Orders()
    consumer = KafkaConsumer(
        bootstrap_servers=membership.bootstrap,
        group_id=membership.group,
        group_instance_id=membership.instance,
        partition_assignment_strategy=[ASSIGNORS[membership.assignor]],
        auto_offset_reset="earliest",
        session_timeout_ms=membership.session_ms,
        heartbeat_interval_ms=membership.heartbeat_ms,
        max_poll_interval_ms=membership.max_poll_ms,
        metadata_max_age_ms=membership.metadata_ms,
        retry_backoff_ms=20,
        reconnect_backoff_max_ms=RECONNECT_BACKOFF_MAX_MS,
    )
    with closing(consumer):
        consumer.subscribe(topics=membership.topics, pattern=membership.pattern, listener=Listener())
        see_topics(consumer)
        while not orders.ended:
            if orders.hangs:
                time.sleep(POLL_S)
                continue
            for record in records_polled(consumer, int(POLL_S * 1000)):
                report_record(record.topic, record.partition, record.offset, record.value)
            collect_assignment(consumer)


if __name__ == "__main__":
    main()
