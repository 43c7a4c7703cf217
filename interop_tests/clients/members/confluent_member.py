"""A member made with confluent-kafka (librdkafka)."""

import time

from confluent_kafka import Consumer, TopicPartition

from interop_tests.clients.members import CLASSIC, POLL_S, Membership, Orders, report, report_record, told


def settings(membership: Membership) -> dict[str, str | int | float | bool]:
    """librdkafka's names."""
    chosen: dict[str, str | int | float | bool] = {
        "bootstrap.servers": membership.bootstrap,
        "group.id": membership.group,
        "group.protocol": membership.protocol,
        "auto.offset.reset": "earliest",
        "max.poll.interval.ms": membership.max_poll_ms,
        "topic.metadata.refresh.interval.ms": membership.metadata_ms,
        "reconnect.backoff.ms": 20,
        "reconnect.backoff.max.ms": 200,
    }
    if membership.protocol == CLASSIC:
        chosen |= {
            "partition.assignment.strategy": membership.assignor,
            "session.timeout.ms": membership.session_ms,
            "heartbeat.interval.ms": membership.heartbeat_ms,
        }
    return chosen if membership.instance is None else {**chosen, "group.instance.id": membership.instance}


def revoked(consumer: Consumer, partitions: list[TopicPartition]) -> None:
    report("revoked", partitions)


def main() -> None:
    membership, orders = told(), Orders()
    consumer = Consumer(settings(membership))
    names = list(membership.topics) if membership.pattern is None else [membership.pattern]
    consumer.subscribe(
        names,
        on_assign=lambda _, partitions: report("assigned", partitions),
        on_revoke=revoked,
        on_lost=revoked,
    )
    while not orders.ended:
        if orders.hangs:
            time.sleep(POLL_S)
            continue
        message = consumer.poll(POLL_S)
        if message is not None and message.error() is None:
            report_record(
                message.topic() or "", message.partition() or 0, message.offset() or 0, message.value() or b""
            )
    consumer.close()


if __name__ == "__main__":
    main()
