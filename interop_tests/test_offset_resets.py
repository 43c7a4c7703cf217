"""Committed offsets that are set from outside: by kafka-consumer-groups.sh in all its ways, and by admin clients.

And where Java's consumer begins without one, if that is a time ago.
"""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError
from confluent_kafka import TopicPartition as ConfluentPartition
from confluent_kafka.admin import AdminClient
from kafka import OffsetAndMetadata, TopicPartition

from interop_tests.brokers import Broker
from interop_tests.clients.java_console import run, tool
from interop_tests.eventually import eventually
from interop_tests.kafka_python_clients import Clients, poll_until
from interop_tests.oracle.libraries import java_for_sources, libraries
from interop_tests.oracle.node import LOGGING, QUICK_START
from interop_tests.processes import LineProcess

SOURCE = Path(__file__).parent / "clients" / "ConsumerGroups.java"
FIRST_MS = 1_900_000_000_000
"""When the first record of the topic is from, ten seconds before the next; a time that no retention reaches."""

WAYS: dict[str, tuple[Sequence[str], int]] = {
    "to-earliest": (["--to-earliest"], 2),
    "to-latest": (["--to-latest"], 10),
    "to-current": (["--to-current"], 6),
    "to-offset": (["--to-offset", "3"], 3),
    "to-offset, too late": (["--to-offset", "99"], 10),
    "shift-by": (["--shift-by", "-2"], 4),
    "shift-by, too early": (["--shift-by", "-99"], 2),
    "to-datetime": (
        ["--to-datetime", datetime.fromtimestamp((FIRST_MS + 75_000) / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.000")],
        8,
    ),
    "by-duration": (["--by-duration", "PT1H"], 2),
}


def topic_of_ten(clients: Clients) -> str:
    """Records 0 to 9, of which the first two are deleted."""
    topic = clients.topic(message_timestamp_after_max_ms=2**62)
    producer = clients.producer()
    for number in range(10):
        producer.send(topic, b"%d" % number, partition=0, timestamp_ms=FIRST_MS + 10_000 * number)
    producer.flush(timeout=20)
    clients.admin.delete_records({TopicPartition(topic, 0): 2})
    return topic


def group_at_six(clients: Clients, topic: str, group: str) -> None:
    consumer = clients.consumer(group_id=group, enable_auto_commit=False)
    consumer.assign([TopicPartition(topic, 0)])
    consumer.commit({TopicPartition(topic, 0): OffsetAndMetadata(6, "", -1)})


def starts_at(clients: Clients, topic: str, group: str, *, end: int = 10) -> int:
    """Where a new member of the group begins: its first record's offset, or the end if there is none."""
    consumer = clients.consumer(group_id=group, enable_auto_commit=False)
    partition = TopicPartition(topic, 0)
    consumer.assign([partition])
    position = int(consumer.position(partition))
    assert position == end or poll_until(consumer, 1)[0].offset == position
    return position


def test_reset_offsets(clients: Clients, broker: Broker, unique: Callable[[str], str], tmp_path: Path) -> None:
    """Every way of kafka-consumer-groups.sh --reset-offsets sets what it says, within the log, and consumers obey."""
    command = (java_for_sources(), "-Xmx128m", *QUICK_START, LOGGING, "-cp", f"{libraries()}/*", str(SOURCE))
    topic = topic_of_ten(clients)
    groups = {way: unique("group") for way in (*WAYS, "one partition", "all topics", "from-file", "export", "dry-run")}
    for group in groups.values():
        group_at_six(clients, topic, group)
    plan = tmp_path / "plan.csv"
    plan.write_text(f"{topic},0,5\n")
    with LineProcess(command) as commands:
        reset = ("--bootstrap-server", broker.bootstrap, "--reset-offsets", "--timeout", "20000", "--group")
        for way, (options, _) in WAYS.items():
            commands.send("\t".join([*reset, groups[way], "--topic", topic, *options, "--execute"]))
        for way, options in (
            ("one partition", ["--topic", f"{topic}:0", "--to-offset", "4", "--execute"]),
            ("all topics", ["--all-topics", "--to-offset", "7", "--execute"]),
            ("from-file", ["--from-file", str(plan), "--execute"]),
            ("export", ["--all-topics", "--to-latest", "--export", "--dry-run"]),
            ("dry-run", ["--topic", topic, "--to-earliest", "--dry-run"]),
        ):
            commands.send("\t".join([*reset, groups[way], *options]))
        assert commands.finish() == 0, (commands.lines, commands.errors())

    assert f"{topic},0,10" in commands.lines
    expected = {way: offset for way, (_, offset) in WAYS.items()}
    expected |= {"one partition": 4, "all topics": 7, "from-file": 5, "export": 6, "dry-run": 6}
    assert {way: starts_at(clients, topic, group) for way, group in groups.items()} == expected


def test_a_consumer_that_begins_an_hour_ago(clients: Clients, broker: Broker, unique: Callable[[str], str]) -> None:
    """Java's auto.offset.reset=by_duration looks for the first record of that age (KIP-1106)."""
    topic, now_ms = clients.topic(), time.time_ns() // 1_000_000
    producer = clients.producer()
    for number, minutes_ago in enumerate((120, 90, 30, 0)):
        producer.send(topic, b"%d" % number, partition=0, timestamp_ms=now_ms - minutes_ago * 60_000)
    producer.flush(timeout=20)
    options = ("--topic", topic, "--group", unique("group"), "--max-messages", "2")
    since = ("--command-property", "auto.offset.reset=by_duration:PT1H")
    assert (run(tool("consumer.ConsoleConsumer", broker.bootstrap, *options, *since)) or "").split() == ["2", "3"]


def test_offsets_of_a_running_group_are_not_altered(
    clients: Clients, broker: Broker, unique: Callable[[str], str]
) -> None:
    """While there are members, others are refused; once they have left, an admin client sets offsets."""
    topic, group = topic_of_ten(clients), unique("group")
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})

    def alter() -> int:
        wanted = [ConsumerGroupTopicPartitions(group, [ConfluentPartition(topic, 0, 4)])]
        [answered] = admin.alter_consumer_group_offsets(wanted)[group].result(20).topic_partitions
        return int(answered.error.code()) if answered.error is not None else KafkaError.NO_ERROR

    member = clients.consumer(topic, group_id=group, enable_auto_commit=False, heartbeat_interval_ms=100)
    poll_until(member, 8)
    assert alter() == KafkaError.UNKNOWN_MEMBER_ID
    member.close()
    eventually(lambda: alter() == KafkaError.NO_ERROR, "the group is empty")
    assert starts_at(clients, topic, group) == 4
