"""Clients as programs that can be killed: kafka-python, aiokafka, confluent-kafka and the Java console tools.

All run the same scenarios, so that nothing is built for one client's habits.
"""

import os
import signal
from collections.abc import Callable

import pytest

from interop_tests.brokers import Broker
from interop_tests.clients import CODECS, Client
from interop_tests.clients.aiokafka_program import Aiokafka
from interop_tests.clients.confluent_program import Confluent
from interop_tests.clients.java_console import JavaConsole
from interop_tests.clients.kafka_python_program import KafkaPython
from interop_tests.eventually import eventually
from interop_tests.kafka_python_clients import Clients, partitions_of, poll_until, produce, shares, values_of
from interop_tests.processes import LineProcess


@pytest.fixture(params=[KafkaPython, Aiokafka, Confluent, JavaConsole], ids=lambda kind: kind.name)
def client(request: pytest.FixtureRequest) -> Client:
    found: Client = request.param()
    found.require()
    return found


def stored_values(clients: Clients, topic: str, partitions: int, count: int) -> list[bytes]:
    """All records of the topic, by partition and offset; there must be no more than `count`."""
    consumer = clients.consumer()
    everything = partitions_of(topic, partitions)
    assert sum(consumer.end_offsets(everything).values()) == count
    consumer.assign(everything)
    return values_of(sorted(poll_until(consumer, count), key=lambda record: (record.partition, record.offset)))


def stored_bytes(clients: Clients, topic: str) -> int:
    [node] = clients.admin.describe_log_dirs(topic_partitions=[topic])
    return sum(
        part["partition_size"]
        for place in node["log_dirs"]
        for entry in place["topics"]
        for part in entry["partitions"]
    )


@pytest.mark.parametrize("codec", CODECS)
def test_idempotent_produce_with_every_codec(clients: Clients, client: Client, codec: str) -> None:
    """What the client's producer compressed is stored compressed, once, in order, and kafka-python reads it."""
    topic = clients.topic()
    lines = [f"{number} {'compressible ' * 100}" for number in range(50)]
    with LineProcess(client.producer(clients.bootstrap, topic, codec)) as producer:
        for line in lines:
            producer.send(line)
        assert producer.finish() == 0, producer.errors()
    assert stored_values(clients, topic, 1, 50) == [line.encode() for line in lines]
    size = sum(map(len, lines))
    assert stored_bytes(clients, topic) >= size if codec == "none" else stored_bytes(clients, topic) < size / 2


def test_reads_every_codec(clients: Clients, client: Client, unique: Callable[[str], str]) -> None:
    """The client's consumer reads batches of all codecs, of kafka-python's making."""
    topic = clients.topic()
    lines = [f"{codec} {'compressible ' * 50}" for codec in CODECS]
    for codec, line in zip(CODECS, lines, strict=True):
        clients.producer(compression_type=None if codec == "none" else codec).send(topic, line.encode()).get(timeout=20)
    with LineProcess(client.consumer(clients.bootstrap, topic, unique("group"))) as consumer:
        consumer.wait_for(len(lines))
        assert consumer.lines == lines


def test_two_members_and_takeover(clients: Clients, client: Client, unique: Callable[[str], str]) -> None:
    """Two members share four partitions; one is killed, and after its session the other goes on with all of them."""
    topic, group = clients.topic(partitions=4), unique("group")

    def produce_to_all(prefix: str) -> list[str]:
        for partition in range(4):
            produce(clients, topic, [f"{prefix} {partition}".encode()], partition=partition)
        return [f"{prefix} {partition}" for partition in range(4)]

    command = client.consumer(clients.bootstrap, topic, group)
    with LineProcess(command) as one, LineProcess(command) as two:
        eventually(
            lambda: shares(clients, group) == [2, 2],
            "two members with two partitions each",
        )
        first = produce_to_all("first")
        eventually(lambda: sorted(one.lines + two.lines) == first, "every record at one of the two")
        assert len(one.lines) == len(two.lines) == 2
        one.kill()
        eventually(lambda: shares(clients, group) == [4], "one member with all partitions")
        second = produce_to_all("second")
        eventually(lambda: set(second) <= set(two.lines), "all that came after at the other")
        two.terminate()
        eventually(
            lambda: clients.admin.describe_groups([group])[group]["group_state"] == "Empty",
            "an empty group after a clean end",
        )


def test_a_silent_member_is_replaced(clients: Clients, unique: Callable[[str], str]) -> None:
    """A member that hangs with its connection open loses its partitions with its session, and may join anew."""
    client = Confluent()
    client.require()
    topic, group = clients.topic(partitions=4), unique("group")
    command = client.consumer(clients.bootstrap, topic, group)
    with LineProcess(command) as one, LineProcess(command):
        eventually(
            lambda: shares(clients, group) == [2, 2],
            "two members with two partitions each",
        )
        os.kill(one.pid, signal.SIGSTOP)
        eventually(lambda: shares(clients, group) == [4], "one member with all partitions")
        os.kill(one.pid, signal.SIGCONT)
        eventually(lambda: shares(clients, group) == [2, 2], "both again")


@pytest.mark.parametrize("clean", [True, False], ids=["stopped", "killed"])
def test_restart_in_the_middle(
    clients: Clients, restartable_broker: Broker, client: Client, unique: Callable[[str], str], clean: bool
) -> None:
    """What a producer was sending when the broker went is stored once and in order, and a consumer goes on."""
    topic, group = clients.topic(), unique("group")
    lines = [f"{number}" for number in range(300)]
    with (
        LineProcess(client.consumer(clients.bootstrap, topic, group)) as consumer,
        LineProcess(client.producer(clients.bootstrap, topic)) as producer,
    ):
        for line in lines[:100]:
            producer.send(line)
        consumer.wait_for(100)
        for line in lines[100:200]:
            producer.send(line)
        restartable_broker.restart(clean=clean)
        for line in lines[200:]:
            producer.send(line)
        assert producer.finish() == 0, producer.errors()
        consumer.wait_until(lambda: set(lines) <= set(consumer.lines), "everything at the consumer")
    assert stored_values(clients, topic, 1, 300) == [line.encode() for line in lines]


def test_admin(broker: Broker, client: Client, unique: Callable[[str], str]) -> None:
    """The client's admin creates a topic with a config, describes it, and deletes it."""
    topic = unique("topic")
    client.create_topic(broker.bootstrap, topic, 3, 5_000_000)
    described = eventually(lambda: client.describe_topic(broker.bootstrap, topic), "the topic")
    assert described is not None
    assert (described.partitions, described.retention_ms) == (3, "5000000")
    client.delete_topic(broker.bootstrap, topic)
    eventually(lambda: client.describe_topic(broker.bootstrap, topic) is None, "the topic is gone")


def test_java_describes_a_group(clients: Clients, unique: Callable[[str], str]) -> None:
    """ConsumerGroupCommand shows a member with its partitions, committed offsets and lag."""
    client = JavaConsole()
    client.require()
    topic, group = clients.topic(), unique("group")
    produce(clients, topic, [b"%d" % number for number in range(10)])
    member = clients.consumer(topic, group_id=group, client_id="the-member")
    poll_until(member, 10)
    member.commit()
    produce(clients, topic, [b"later"])
    shown = client.describe_group(clients.bootstrap, group).split()
    assert shown[shown.index(group) :][:6] == [group, topic, "0", "10", "11", "1"]
    assert "the-member" in shown
