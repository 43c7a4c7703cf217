"""Clients of earlier years, each from an environment of its own: what works with Apache Kafka 4.3 has to work.

Kafka 4 has dropped what clients before 2.1 speak (KIP-896); what it has dropped is not asked for here. What a client
stores is looked at in the raw batches, because old clients fall back in silence: to no compression, to older formats.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing

import pytest

from interop_tests.brokers import Broker
from interop_tests.clients import CODECS
from interop_tests.eventually import eventually
from interop_tests.kafka_python_clients import Clients, poll_until, produce, shares
from interop_tests.old_clients import OldClient, Record
from interop_tests.old_clients.agents import AgentClient, Refused
from interop_tests.old_clients.kcat import Kcat
from interop_tests.old_clients.kinds import KCAT, OLD_CLIENTS, OLD_KAFKA_PYTHONS, OLD_LIBRARIES, Kind
from interop_tests.oracle.libraries import ToolchainMissing
from interop_tests.wire import stored_batches

START_MS = 1_700_000_000_000


class Running:
    """The old clients that were asked for, each started once."""

    def __init__(self, bootstrap: str, stack: ExitStack) -> None:
        self._bootstrap = bootstrap
        self._stack = stack
        self._started: dict[Kind, OldClient] = {}
        self._missing: dict[Kind, ToolchainMissing] = {}

    def get(self, kind: Kind) -> OldClient:
        if kind in self._missing:  # no registry is asked again for each scenario
            raise self._missing[kind]
        client = self._started.get(kind)
        if client is None or client.broken:
            try:
                client = self._started[kind] = kind.start(self._bootstrap, kind.name)
            except ToolchainMissing as missing:
                self._missing[kind] = missing
                raise
            self._stack.callback(client.close)
        return client


@pytest.fixture(scope="module")
def running(session_broker: Broker) -> Iterator[Running]:
    with ExitStack() as stack:
        yield Running(session_broker.bootstrap, stack)


@pytest.fixture
def client(request: pytest.FixtureRequest, running: Running, broker: Broker) -> OldClient:
    return running.get(request.param)


def with_each(kinds: Sequence[Kind]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("client", kinds, ids=lambda kind: kind.name, indirect=True)


def with_each_and_its(name: str, has: Callable[[Kind], Sequence[str]]) -> pytest.MarkDecorator:
    """Every client with everything that it has of a kind."""
    cases = [pytest.param(kind, value, id=f"{kind.name}-{value}") for kind in OLD_CLIENTS for value in has(kind)]
    return pytest.mark.parametrize(("client", name), cases, indirect=["client"])


def some_records(count: int) -> list[tuple[str, str]]:
    return [(f"key-{number}", f"{number} {'compressible ' * 30}".strip()) for number in range(count)]


@with_each_and_its("codec", lambda kind: kind.codecs)
def test_produce_with_every_codec(broker: Broker, clients: Clients, client: OldClient, codec: str) -> None:
    """What the client sends is stored with the codec asked for; today's kafka-python reads key, value and header."""
    topic, records = clients.topic(), some_records(20)

    client.produce(topic, records, codec=codec)

    batches = stored_batches(broker, topic)
    assert {(batch.magic, batch.compression_type) for batch in batches} == {(2, CODECS.index(codec))}
    read = poll_until(clients.consumer(topic), 20)
    header = ("made-by", client.name.encode())
    assert [(record.key.decode(), record.value.decode()) for record in read] == records
    assert [record.headers for record in read] == [[header]] * 20


@with_each(OLD_CLIENTS)
def test_read_every_codec(clients: Clients, client: OldClient, request: pytest.FixtureRequest) -> None:
    """The client reads batches of all codecs that it knows, of kafka-python's making, from the beginning."""
    topic = clients.topic(retention_ms=-1)
    codecs = request.node.callspec.params["client"].codecs
    expected = []
    for offset, codec in enumerate(codecs):
        value = f"{codec} {'compressible ' * 30}".strip()
        clients.producer(compression_type=None if codec == "none" else codec).send(
            topic,
            key=codec.encode(),
            value=value.encode(),
            headers=[("made-by", b"kafka-python")],
            timestamp_ms=START_MS + offset,
        ).get(timeout=20)
        expected.append(Record(0, offset, START_MS + offset, codec, "kafka-python", value))

    assert client.read(topic, len(codecs)) == expected


@with_each_and_its("acks", lambda kind: kind.acks)
def test_acks(broker: Broker, clients: Clients, client: OldClient, acks: str) -> None:
    """Whatever acknowledgement the client asks for, everything is stored once and in order."""
    topic, records = clients.topic(), some_records(10)

    client.produce(topic, records, acks=acks)

    read = poll_until(clients.consumer(topic), 10)
    assert [(record.key.decode(), record.value.decode()) for record in read] == records


@with_each([kind for kind in OLD_CLIENTS if kind.is_idempotent])
def test_idempotent_producer(broker: Broker, clients: Clients, client: OldClient) -> None:
    """The client's idempotent producer gets an id, and its records are stored under it, numbered without a gap."""
    topic, records = clients.topic(), some_records(10)

    client.produce(topic, records, idempotent=True)

    batches = stored_batches(broker, topic)
    assert min(batch.producer_id for batch in batches) >= 0
    assert [batch.base_sequence for batch in batches] == [batch.base_offset for batch in batches]
    assert client.bounds(topic) == (0, 10)


@with_each(OLD_CLIENTS)
def test_a_topic_that_is_not_there(clients: Clients, client: OldClient) -> None:
    """Producing to a new name makes the topic, with the broker's number of partitions, and nothing is lost."""
    topic, records = clients.unique("topic"), some_records(30)

    client.produce(topic, records)

    [described] = clients.admin.describe_topics([topic])
    assert len(described["partitions"]) == 4
    read = client.read(topic, 30)
    assert sorted((record.key, record.value) for record in read) == sorted(records)
    assert {record.made_by for record in read} == {client.name}


@with_each(OLD_CLIENTS)
def test_offsets_by_time(clients: Clients, client: OldClient) -> None:
    """The client finds the first record at or after a time, and both ends of a partition."""
    topic = clients.topic(retention_ms=-1)
    producer = clients.producer()
    for number in range(10):
        producer.send(topic, b"%d" % number, timestamp_ms=START_MS + number * 1000).get(timeout=20)

    assert client.offset_at(topic, START_MS) == 0
    assert client.offset_at(topic, START_MS + 4001) == 5
    assert client.offset_at(topic, START_MS + 9001) == -1
    assert client.bounds(topic) == (0, 10)


@with_each(OLD_CLIENTS)
def test_commit_and_resume(clients: Clients, client: OldClient) -> None:
    """A consumer in a group reads from the beginning; the next one goes on where it has left."""
    topic, group = clients.topic(), clients.unique("group")
    produce(clients, topic, [b"1", b"2", b"3"])

    first = client.join(topic, group)
    eventually(lambda: first.received() == ["1", "2", "3"], "everything from the beginning")
    first.leave()
    produce(clients, topic, [b"4", b"5"])
    second = client.join(topic, group)
    eventually(lambda: second.received() == ["4", "5"], "what came after")
    second.leave()

    [committed] = clients.admin.list_group_offsets(group)[group].values()
    assert committed.offset == 5


@with_each(OLD_CLIENTS)
def test_two_members(clients: Clients, client: OldClient) -> None:
    """Two members of the client share four partitions; when one leaves, the other has them all."""
    topic, group = clients.topic(partitions=4), clients.unique("group")
    one, two = client.join(topic, group), client.join(topic, group)
    eventually(lambda: shares(clients, group) == [2, 2], "two members with two partitions each")

    first = produce_to_all(clients, topic, "first")
    eventually(lambda: sorted(one.received() + two.received()) == first, "every record at one of the two")
    assert len(one.received()) == len(two.received()) == 2
    two.leave()
    eventually(lambda: shares(clients, group) == [4], "one member with all partitions")
    second = produce_to_all(clients, topic, "second")
    eventually(lambda: set(second) <= set(one.received()), "all that came after at the one that is left")
    one.leave()

    assert clients.admin.describe_groups([group])[group]["group_state"] == "Empty"


@with_each(OLD_KAFKA_PYTHONS)
def test_an_old_and_a_new_member(clients: Clients, client: OldClient) -> None:
    """kafka-python of then and of today share a group; when today's leaves, the old one has all partitions."""
    topic, group = clients.topic(partitions=4), clients.unique("group")
    old = client.join(topic, group)
    eventually(lambda: shares(clients, group) == [4], "the old member alone")
    values: list[str] = []
    with closing(clients.consumer(topic, group_id=group, heartbeat_interval_ms=200)) as new:

        def poll() -> None:
            for batch in new.poll(timeout_ms=100).values():
                values.extend(record.value.decode() for record in batch)

        def shared() -> bool:
            poll()
            return shares(clients, group) == [2, 2] and len(new.assignment()) == 2

        def all_came() -> bool:
            poll()
            return sorted(old.received() + values) == first

        eventually(shared, "two partitions each")
        first = produce_to_all(clients, topic, "first")
        eventually(all_came, "every record at one of the two")
        assert len(values) == 2
    eventually(lambda: shares(clients, group) == [4], "the old member alone again")
    second = produce_to_all(clients, topic, "second")
    eventually(lambda: set(second) <= set(old.received()), "all that came after at the old member")
    old.leave()


def test_a_restart_of_the_broker(clients: Clients, running: Running, restartable_broker: Broker) -> None:
    """Consumers of all old libraries go on by themselves when the broker is there again; kcat ends with its broker."""
    topic = clients.topic()
    produce(clients, topic, [b"before"])
    old_clients = [running.get(kind) for kind in OLD_LIBRARIES]
    members = {client.name: client.join(topic, clients.unique("group")) for client in old_clients}

    def all_have(values: set[str]) -> bool:
        return all(values <= set(member.received()) for member in members.values())

    eventually(lambda: all_have({"before"}), "the record at every member")
    restartable_broker.restart(clean=True)
    for client in old_clients:
        client.produce(topic, [("after", client.name)])
    eventually(lambda: all_have(set(members)), "what came after at every member")
    for member in members.values():
        member.leave()


@with_each(OLD_LIBRARIES)
def test_refusals(clients: Clients, client: AgentClient) -> None:
    """What the broker refuses, the client calls by its name."""
    topic = clients.topic(max_message_bytes=1000)

    with pytest.raises(Refused, match=r"TopicAlreadyExists|TopicExists|TOPIC_ALREADY_EXISTS"):
        client.create_topic(topic, 1, 5_000_000)
    with pytest.raises(Refused, match=r"InvalidTopic|TOPIC_EXCEPTION"):
        client.create_topic("no name", 1, 5_000_000)
    with pytest.raises(Refused, match=r"InvalidPartitions|INVALID_PARTITIONS"):
        client.grow_topic(topic, 1)
    with pytest.raises(Refused, match=r"MessageSizeTooLarge|MSG_SIZE_TOO_LARGE|RecordTooLarge"):
        client.produce(topic, [("key", "x" * 2000)])
    assert client.bounds(topic) == (0, 0)


@with_each(OLD_LIBRARIES)
def test_administer_topics(clients: Clients, client: AgentClient) -> None:
    """The client's admin creates a topic with a config, describes and lists it, changes config and size, deletes it."""
    topic = clients.unique("topic")

    client.create_topic(topic, 3, 5_000_000)
    eventually(lambda: topic in client.topics(), "the topic")
    assert client.describe_topic(topic) == (3, 5_000_000)
    client.configure_topic(topic, 6_000_000)
    client.grow_topic(topic, 5)
    eventually(lambda: client.describe_topic(topic) == (5, 6_000_000), "the changes")
    client.delete_topic(topic)
    eventually(lambda: topic not in client.topics(), "the topic is gone")


@with_each(OLD_LIBRARIES)
def test_administer_groups(clients: Clients, client: AgentClient) -> None:
    """The client's admin lists a group and describes it: its state, and who is in it."""
    topic, group = clients.topic(), clients.unique("group")
    member = client.join(topic, group)

    eventually(lambda: client.describe_group(group) == ("Stable", [client.name]), "the member")
    assert group in client.groups()
    member.leave()
    assert client.describe_group(group) == ("Empty", [])


@with_each([KCAT])
def test_list_topics(clients: Clients, client: Kcat) -> None:
    """`kcat -L` shows all topics with their partitions."""
    one, three = clients.topic(), clients.topic(partitions=3)

    listed = client.topics()

    assert (listed[one], listed[three]) == (1, 3)


def produce_to_all(clients: Clients, topic: str, prefix: str) -> list[str]:
    """A record to each of four partitions; the values, sorted."""
    for partition in range(4):
        produce(clients, topic, [f"{prefix} {partition}".encode()], partition=partition)
    return [f"{prefix} {partition}" for partition in range(4)]
