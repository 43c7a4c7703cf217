"""Consumer groups of kafka-python: who gets what, members that come and go, and what is remembered."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, closing
from queue import SimpleQueue
from typing import TypeVar

import pytest
from kafka import ConsumerRebalanceListener, KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from kafka.errors import CommitFailedError

from interop_tests.eventually import PATIENCE_S, eventually
from interop_tests.kafka_python_clients import (
    Clients,
    collect_assignment,
    partitions_of,
    poll_until,
    produce,
    see_topics,
    values_of,
)

T = TypeVar("T")

ASSIGNORS = {
    "range": RangePartitionAssignor,
    "roundrobin": RoundRobinPartitionAssignor,
    "sticky": StickyPartitionAssignor,
}


class Member:
    """One consumer that polls on a thread of its own, as a program would; `do` runs something between two polls."""

    def __init__(self, consumer: KafkaConsumer, received: Callable[[ConsumerRecord], None]) -> None:
        self.partitions: set[TopicPartition] = set()
        self._consumer = consumer
        self._received = received
        self._orders: SimpleQueue[tuple[Future[object], Callable[[KafkaConsumer], object]] | None] = SimpleQueue()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def do(self, order: Callable[[KafkaConsumer], T]) -> T:
        future: Future[T] = Future()
        self._orders.put((future, order))  # type: ignore[arg-type]
        return future.result(PATIENCE_S)

    def close(self) -> None:
        """Leave the group."""
        self._orders.put(None)
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), "the member does not end"

    def check(self) -> None:
        if self._failure:
            raise self._failure

    def _run(self) -> None:
        try:
            while self._obey():
                for batch in self._consumer.poll(timeout_ms=50).values():
                    for record in batch:
                        self._received(record)
                collect_assignment(self._consumer)
                self.partitions = self._consumer.assignment()
        except BaseException as failure:  # noqa: BLE001  # shown by the test's own thread
            self._failure = failure
        finally:
            self._consumer.close(timeout_ms=5000)

    def _obey(self) -> bool:
        while not self._orders.empty():
            order = self._orders.get()
            if order is None:
                return False
            future, action = order
            try:
                future.set_result(action(self._consumer))
            except Exception as error:  # noqa: BLE001  # it belongs to whoever gave the order
                future.set_exception(error)
        return True


class Group:
    """The members of one group, and what they received together."""

    def __init__(self, clients: Clients, group_id: str, *topics: str, **settings: object) -> None:
        self.group_id = group_id
        self.members: list[Member] = []
        self.records: list[ConsumerRecord] = []
        self._clients = clients
        self._topics = topics
        self._settings = {"heartbeat_interval_ms": 100, "retry_backoff_ms": 10, "enable_auto_commit": False, **settings}

    def join(self, prepare: Callable[[KafkaConsumer], None] = lambda consumer: None, **settings: object) -> Member:
        consumer = self._clients.consumer(*self._topics, group_id=self.group_id, **{**self._settings, **settings})
        prepare(consumer)
        see_topics(consumer)
        member = Member(consumer, self.records.append)
        self.members.append(member)
        return member

    def leave(self, member: Member) -> None:
        self.members.remove(member)
        member.close()

    def shares(self, partitions: set[TopicPartition]) -> list[set[TopicPartition]]:
        """Wait until every partition has exactly one owner and no member is idle; how they are shared."""

        def settled() -> list[set[TopicPartition]] | None:
            for member in self.members:
                member.check()
            shares = [member.partitions for member in self.members]
            owned = [partition for share in shares for partition in share]
            whole = len(owned) == len(partitions) and set(owned) == partitions
            return shares if whole and all(shares) else None

        shared = eventually(settled, f"{len(self.members)} members share {len(partitions)} partitions")
        assert shared is not None
        return shared

    def receive(self, count: int) -> list[ConsumerRecord]:
        """Wait until the members together got `count` records since the last call."""
        eventually(lambda: len(self.records) >= count, f"{count} records for the group")
        received = self.records[:]
        del self.records[: len(received)]
        return received

    def close(self) -> None:
        while self.members:
            self.leave(self.members[-1])


@pytest.fixture
def new_group(clients: Clients, unique: Callable[[str], str]) -> Iterator[Callable[..., Group]]:
    with ExitStack() as stack:
        yield lambda *topics, **settings: stack.enter_context(
            closing(Group(clients, unique("group"), *topics, **settings))
        )


def described(clients: Clients, group: str) -> dict[str, object]:
    return clients.admin.describe_groups([group])[group]  # type: ignore[no-any-return]


@pytest.mark.parametrize("assignor", ASSIGNORS)
@pytest.mark.parametrize("members", [1, 2, 4])
def test_members_share_the_partitions(
    clients: Clients, new_group: Callable[..., Group], members: int, assignor: str
) -> None:
    """Every partition has one owner, the shares are fair, and every record comes to the group once."""
    topics = [clients.topic(partitions=4), clients.topic(partitions=4)]
    group = new_group(*topics, partition_assignment_strategy=[ASSIGNORS[assignor]])
    for _ in range(members):
        group.join()
    everything = {partition for topic in topics for partition in partitions_of(topic, 4)}
    assert [len(share) for share in group.shares(everything)] == [8 // members] * members
    for topic, index in sorted(everything):
        produce(clients, topic, [b"%s-%d" % (topic.encode(), index)], partition=index)
    assert len(set(values_of(group.receive(8)))) == 8
    state = described(clients, group.group_id)
    assert (state["group_state"], state["protocol_data"], len(state["members"])) == ("Stable", assignor, members)  # type: ignore[arg-type]


def test_a_second_member_takes_half_and_gives_it_back(clients: Clients, new_group: Callable[..., Group]) -> None:
    """Join and leave each rebalance: 4, then 2 and 2, then 4 again, with the records read once."""
    topic = clients.topic(partitions=4)
    everything = set(partitions_of(topic, 4))
    group = new_group(topic, enable_auto_commit=True)
    group.join()
    assert list(map(len, group.shares(everything))) == [4]
    second = group.join()
    assert list(map(len, group.shares(everything))) == [2, 2]
    for partition in range(4):
        produce(clients, topic, [b"%d" % partition], partition=partition)
    assert len(group.receive(4)) == 4
    group.leave(second)
    assert list(map(len, group.shares(everything))) == [4]
    for partition in range(4):
        produce(clients, topic, [b"again %d" % partition], partition=partition)
    assert sorted(values_of(group.receive(4))) == [b"again %d" % partition for partition in range(4)]


def test_sticky_keeps_what_a_member_had(clients: Clients, new_group: Callable[..., Group]) -> None:
    """With the sticky assignor a third member takes from both, and neither of the two gets what the other had."""
    topic = clients.topic(partitions=6)
    group = new_group(topic, partition_assignment_strategy=[StickyPartitionAssignor])
    group.join()
    group.join()
    before = group.shares(set(partitions_of(topic, 6)))
    group.join()
    after = group.shares(set(partitions_of(topic, 6)))
    assert list(map(len, after)) == [2, 2, 2]
    assert after[0] < before[0]
    assert after[1] < before[1]


def test_members_agree_on_a_protocol_they_share(clients: Clients, new_group: Callable[..., Group]) -> None:
    """Of different lists of assignors the group takes the one that all support."""
    topic = clients.topic(partitions=4)
    group = new_group(topic)
    group.join(partition_assignment_strategy=[RangePartitionAssignor, RoundRobinPartitionAssignor])
    group.join(partition_assignment_strategy=[RoundRobinPartitionAssignor])
    group.shares(set(partitions_of(topic, 4)))
    assert described(clients, group.group_id)["protocol_data"] == "roundrobin"


def test_rebalance_listener_is_told(clients: Clients, new_group: Callable[..., Group]) -> None:
    """Partitions are revoked before they are assigned anew."""

    class Listener(ConsumerRebalanceListener):
        def __init__(self) -> None:
            self.events: list[tuple[str, int]] = []

        def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
            self.events.append(("revoked", len(revoked)))

        def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
            self.events.append(("assigned", len(assigned)))

    topic = clients.topic(partitions=4)
    group = new_group()
    listener = Listener()
    group.join(lambda consumer: consumer.subscribe([topic], listener=listener))
    group.shares(set(partitions_of(topic, 4)))
    group.join(lambda consumer: consumer.subscribe([topic]))
    group.shares(set(partitions_of(topic, 4)))
    assert listener.events[-3:] == [("assigned", 4), ("revoked", 4), ("assigned", 2)]


def test_commit_and_restart_from_it(clients: Clients, new_group: Callable[..., Group]) -> None:
    """A new consumer of the group goes on where the committed offset is, not where the old one had read to."""
    topic = clients.topic()
    [partition] = partitions_of(topic, 1)
    produce(clients, topic, [b"%d" % number for number in range(10)])
    group = new_group(topic)
    first = group.join()
    assert len(group.receive(10)) == 10
    first.do(lambda consumer: consumer.commit({partition: OffsetAndMetadata(6, "half way", -1)}))
    assert first.do(lambda consumer: consumer.committed(partition)) == 6
    group.leave(first)
    second = group.join()
    assert values_of(group.receive(4)) == [b"6", b"7", b"8", b"9"]
    second.do(lambda consumer: consumer.commit())
    assert second.do(lambda consumer: consumer.committed(partition)) == 10
    group.leave(second)
    third = group.join()
    group.shares({partition})
    produce(clients, topic, [b"new"])
    assert values_of(group.receive(1)) == [b"new"]
    assert third.do(lambda consumer: consumer.position(partition)) == 11


def test_asynchronous_commit(clients: Clients, new_group: Callable[..., Group]) -> None:
    """commit_async calls back when the offset is stored; metadata comes back as it was."""
    topic = clients.topic()
    [partition] = partitions_of(topic, 1)
    produce(clients, topic, [b"%d" % number for number in range(10)])
    group = new_group(topic)
    member = group.join()
    group.receive(10)
    answers: list[object] = []
    offsets = {partition: OffsetAndMetadata(7, "note", -1)}
    member.do(lambda consumer: consumer.commit_async(offsets, callback=lambda _, answer: answers.append(answer)))
    eventually(lambda: answers, "the callback")
    assert not isinstance(answers[0], Exception)
    committed = member.do(lambda consumer: consumer.committed(partition, metadata=True))
    assert (committed.offset, committed.metadata) == (7, "note")


def test_automatic_commit(clients: Clients, new_group: Callable[..., Group]) -> None:
    """With enable_auto_commit what was read is committed in time, and at close."""
    topic = clients.topic()
    [partition] = partitions_of(topic, 1)
    produce(clients, topic, [b"%d" % number for number in range(10)])
    group = new_group(topic, enable_auto_commit=True, auto_commit_interval_ms=100)
    member = group.join()
    group.receive(10)
    eventually(lambda: member.do(lambda consumer: consumer.committed(partition)) == 10, "the automatic commit")
    produce(clients, topic, [b"more"])
    group.receive(1)
    group.leave(member)
    assert clients.consumer(group_id=group.group_id).committed(partition) == 11


def test_consumer_without_group_membership_commits(clients: Clients, unique: Callable[[str], str]) -> None:
    """A consumer that chose its partitions itself may commit under a group id, and come back to it."""
    topic = clients.topic(partitions=2)
    one, two = partitions_of(topic, 2)
    group = unique("group")
    produce(clients, topic, [b"%d" % number for number in range(5)])
    consumer = clients.consumer(group_id=group, enable_auto_commit=False)
    consumer.assign([one, two])
    poll_until(consumer, 5)
    consumer.commit({one: OffsetAndMetadata(3, "", -1)})
    again = clients.consumer(group_id=group)
    again.assign([one, two])
    assert values_of(poll_until(again, 2)) == [b"3", b"4"]
    assert again.committed(two) is None
    state = described(clients, group)
    assert (state["group_state"], state["members"]) == ("Empty", [])


def test_commit_of_a_member_that_was_replaced_fails(clients: Clients, unique: Callable[[str], str]) -> None:
    """A consumer that did not poll within max_poll_interval_ms is out of the group, and its commit is refused."""
    topic = clients.topic()
    [partition] = partitions_of(topic, 1)
    produce(clients, topic, [b"%d" % number for number in range(3)])
    group = unique("group")
    settings = {"group_id": group, "heartbeat_interval_ms": 50, "session_timeout_ms": 1000, "enable_auto_commit": False}
    slow = clients.consumer(topic, max_poll_interval_ms=1000, **settings)
    assert len(poll_until(slow, 3)) == 3
    other = clients.consumer(topic, **settings)
    eventually(lambda: other.poll(timeout_ms=50) is not None and other.assignment(), "the other member takes over")
    with pytest.raises(CommitFailedError):
        slow.commit({partition: OffsetAndMetadata(3, "", -1)})
    assert other.committed(partition) is None


def test_static_member_keeps_its_partitions_over_a_restart(clients: Clients, new_group: Callable[..., Group]) -> None:
    """A member with a group.instance.id that comes back in time gets what it had, and so does the other (KIP-345).

    That the group does not rebalance for it is in the transcripts: this client's leader may join again by itself.
    """
    topic = clients.topic(partitions=4)
    group = new_group(topic, session_timeout_ms=10_000)
    first = group.join(group_instance_id="first")
    group.join(group_instance_id="second")
    before = group.shares(set(partitions_of(topic, 4)))
    group.leave(first)
    back = group.join(group_instance_id="first")
    eventually(lambda: (group.members[0].partitions, back.partitions) == (before[1], before[0]), "the same as before")


def test_groups_do_not_see_each_other(clients: Clients, new_group: Callable[..., Group]) -> None:
    """Two groups each get everything, and their commits are their own."""
    topic = clients.topic(partitions=2)
    one, two = new_group(topic), new_group(topic)
    for group in (one, two):
        group.join()
    for partition in range(2):
        produce(clients, topic, [b"%d" % partition], partition=partition)
    assert len(one.receive(2)) == len(two.receive(2)) == 2
    one.members[0].do(lambda consumer: consumer.commit())
    assert one.members[0].do(lambda consumer: consumer.committed(TopicPartition(topic, 0))) == 1
    assert two.members[0].do(lambda consumer: consumer.committed(TopicPartition(topic, 0))) is None


def test_new_partitions_reach_the_group(clients: Clients, new_group: Callable[..., Group]) -> None:
    """Partitions that are added to a topic are assigned once the members' metadata is new."""
    topic = clients.topic(partitions=2)
    group = new_group(topic, metadata_max_age_ms=200)
    group.join()
    group.shares(set(partitions_of(topic, 2)))
    clients.admin.create_partitions({topic: 4})
    group.shares(set(partitions_of(topic, 4)))
    produce(clients, topic, [b"new"], partition=3)
    assert values_of(group.receive(1)) == [b"new"]


def test_a_group_outlives_its_topic(
    clients: Clients, unique: Callable[[str], str], new_group: Callable[..., Group]
) -> None:
    """Deleting one of two subscribed topics leaves the group working with the other."""
    prefix = unique("pattern")
    doomed, kept = clients.topic(2, name=prefix), clients.topic(2, name=prefix)
    # By pattern: kafka-python 3.0 creates again what it subscribed to by name, allow_auto_create_topics or not.
    group = new_group(metadata_max_age_ms=200)
    group.join(lambda consumer: consumer.subscribe(pattern=f"^{prefix}"))
    group.shares({*partitions_of(doomed, 2), *partitions_of(kept, 2)})
    clients.admin.delete_topics([doomed])
    group.shares(set(partitions_of(kept, 2)))
    produce(clients, kept, [b"still"])
    assert values_of(group.receive(1)) == [b"still"]
