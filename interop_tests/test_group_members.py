"""Groups of kafka-python, aiokafka, confluent-kafka and the Java client, alone and all in one: members that crash, hang
and come back, topics that grow and appear, and rebalances that stop nobody.

What is asked of every client is asked of all at the same time, in a group of its own each.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from functools import partial

import pytest
from confluent_kafka import Consumer
from kafka import TopicPartition
from kafka.errors import KafkaError
from kafka.protocol.consumer import OffsetCommitRequest

from interop_tests.brokers import Broker
from interop_tests.clients.members import KINDS, MemberKind, MemberProcess, Membership
from interop_tests.eventually import eventually
from interop_tests.kafka_python_clients import Clients
from interop_tests.wire import Wire

READS_WHILE_JOINING = {"confluent-kafka", "java"}
"""kafka-python 3.0 returns no records while the answer to its JoinGroup is awaited, on any broker."""

JOINS_WHILE_HANGING = {"confluent-kafka"}

JOINS_TWICE = {"kafka-python"}
"""kafka-python 3.0 forgets the answer to its JoinGroup where that comes between two polls, and joins again."""

COOPERATIVE = [kind for kind in KINDS if "cooperative-sticky" in kind.assignors]

Start = Callable[..., MemberProcess]


@pytest.fixture
def start(clients: Clients) -> Iterator[Start]:
    """Starts a member; at the end all are gone."""
    for kind in KINDS:
        kind.require()
    with ExitStack() as stack:

        def start_member(kind: MemberKind, group: str, **settings: object) -> MemberProcess:
            membership = Membership(bootstrap=clients.bootstrap, group=group, **settings)  # type: ignore[arg-type]
            return stack.enter_context(kind.start(membership))

        yield start_member


def places(topic: str, count: int) -> set[str]:
    return {f"{topic}:{index}" for index in range(count)}


def share(members: Sequence[MemberProcess], everything: set[str], what: str) -> None:
    """Wait until the members have all of it, fairly and each place once."""

    def shared() -> bool:
        owned = [member.partitions for member in members]
        sizes = [len(each) for each in owned]
        return sum(sizes) == len(everything) and set.union(*owned) == everything and max(sizes) - min(sizes) <= 1

    eventually(shared, f"{what}: {[sorted(member.partitions) for member in members]}")


def produce_to_all(clients: Clients, topic: str, partitions: int, prefix: str) -> set[str]:
    """One record to each partition; their values."""
    producer = clients.producer()
    for index in range(partitions):
        producer.send(topic, f"{prefix}-{index}".encode(), partition=index)
    producer.flush(timeout=20)
    return {f"{prefix}-{index}" for index in range(partitions)}


def received(members: Sequence[MemberProcess], values: set[str]) -> None:
    """Wait until these have come, each to one member and once."""
    eventually(lambda: values <= {value for member in members for value in member.values}, f"{len(values)} records")
    everything = [value for member in members for value in member.values if value in values]
    assert len(everything) == len(values)


def test_all_clients_in_one_group(clients: Clients, unique: Callable[[str], str], start: Start) -> None:
    """One member of each library in one group, whoever leads it; when the Java client dies the others take over."""
    topic, group = clients.topic(partitions=8), unique("group")
    members = [start(kind, group, topics=[topic], session_ms=4_000) for kind in KINDS]
    share(members, places(topic, 8), "four clients share eight partitions")
    received(members, produce_to_all(clients, topic, 8, "first"))

    members.pop().kill()
    share(members, places(topic, 8), "three clients go on")
    received(members, produce_to_all(clients, topic, 8, "second"))


def test_members_that_hang(clients: Clients, unique: Callable[[str], str], start: Start) -> None:
    """Who does not poll within max.poll.interval.ms loses its partitions to the other, and is welcome when it polls."""
    topic = clients.topic(partitions=4)
    pairs = {}
    for kind in KINDS:
        group = unique("group")
        settings = {"topics": [topic], "session_ms": 1_500, "max_poll_ms": 3_000}
        pairs[kind.name] = [start(kind, group, **settings) for _ in range(2)]
    for name, pair in pairs.items():
        share(pair, places(topic, 4), f"two of {name}")
    for hanging, _ in pairs.values():
        hanging.send("hang")
    for name, (_, polling) in pairs.items():
        share([polling], places(topic, 4), f"the other of {name} has all")
    for hanging, _ in pairs.values():
        hanging.send("go on")
    for name, pair in pairs.items():
        share(pair, places(topic, 4), f"both of {name} again")


def test_static_members_come_back(clients: Clients, unique: Callable[[str], str], start: Start) -> None:
    """A member that is killed and started again with its instance id has what it had, and the other notices nothing.

    With kafka-python the other may notice, if the broker is slow, and has what it had again.
    """
    topic = clients.topic(partitions=4)
    pairs: dict[str, list[MemberProcess]] = {}
    had: dict[str, list[set[str]]] = {}
    again: dict[str, Callable[[], MemberProcess]] = {}
    for kind in KINDS:
        settings = {"topics": [topic], "session_ms": 30_000}
        group = unique("group")
        pairs[kind.name] = [start(kind, group, instance=name, **settings) for name in ("one", "two")]
        again[kind.name] = partial(start, kind, group, instance="one", **settings)
    for name, pair in pairs.items():
        share(pair, places(topic, 4), f"two of {name}")
        had[name] = [member.partitions for member in pair]
    quiet = {name: len(pair[1].lines) for name, pair in pairs.items()}
    for name, pair in pairs.items():
        pair[0].kill()
        pair[0] = again[name]()
    for name, pair in pairs.items():
        for member, before in zip(pair, had[name], strict=True):
            eventually(partial(has_partitions, member, before), f"{name} is back")
        if name not in JOINS_TWICE:
            assert pair[1].lines[quiet[name] :] == [], name
    values = produce_to_all(clients, topic, 4, "after")
    for pair in pairs.values():
        received(pair, values)


def has_partitions(member: MemberProcess, partitions: set[str]) -> bool:
    return member.partitions == partitions


def test_cooperative_rebalances_stop_nobody(clients: Clients, unique: Callable[[str], str], start: Start) -> None:
    """While a rebalance waits for a member that hangs, the others go on reading; what they keep is never revoked.

    So it is for the Java client and kafka-python; librdkafka joins although its application hangs, and the rebalance
    may be over, in one round or two.
    """
    topic = clients.topic(partitions=6)
    groups = {kind.name: unique("group") for kind in COOPERATIVE}

    def join(kind: MemberKind) -> MemberProcess:
        return start(kind, groups[kind.name], topics=[topic], assignor="cooperative-sticky")

    trios = {kind.name: [join(kind), join(kind)] for kind in COOPERATIVE}
    for name, pair in trios.items():
        share(pair, places(topic, 6), f"two of {name}")
    had = {name: [member.partitions for member in pair] for name, pair in trios.items()}
    lost = {name: [member.revoked for member in pair] for name, pair in trios.items()}
    for _, hanging in trios.values():
        hanging.send("hang")
    for kind in COOPERATIVE:
        trios[kind.name].append(join(kind))
        eventually(partial(has_members, clients, groups[kind.name], 3), f"a third of {kind.name}")

    values = produce_to_all(clients, topic, 6, "meanwhile")
    for name, (polling, *_) in trios.items():
        if name in READS_WHILE_JOINING:
            eventually(partial(reads_what_it_has, polling, "meanwhile"), f"{name} goes on reading")
        if name not in JOINS_WHILE_HANGING:
            assert rebalances(clients, groups[name])
            assert polling.revoked == lost[name][0]

    for _, hanging, _ in trios.values():
        hanging.send("go on")
    for name, trio in trios.items():
        share(trio, places(topic, 6), f"three of {name}")
        eventually(partial(all_came, trio, values), f"{name} missed nothing")
        for member, before, gone in zip(trio[:2], had[name], lost[name], strict=True):
            assert member.partitions <= before
            assert member.revoked - gone == before - member.partitions


def reads_what_it_has(member: MemberProcess, prefix: str) -> bool:
    """Whether the records of all its partitions have come."""
    indexes = {place.rpartition(":")[2] for place in member.partitions}
    return bool(indexes) and {f"{prefix}-{index}" for index in indexes} <= set(member.values)


def all_came(members: Sequence[MemberProcess], values: set[str]) -> bool:
    """A record that was read while its partition moved may come twice."""
    return values <= {value for member in members for value in member.values}


def has_members(clients: Clients, group: str, count: int) -> bool:
    return len(clients.admin.describe_groups([group])[group]["members"]) == count


def rebalances(clients: Clients, group: str) -> bool:
    return clients.admin.describe_groups([group])[group]["group_state"] == "PreparingRebalance"  # type: ignore[no-any-return]


def test_topics_that_grow_and_appear(clients: Clients, unique: Callable[[str], str], start: Start) -> None:
    """A group that reads a pattern gets the partitions that are added to a topic, and a topic that is new."""
    prefix = unique("pattern")
    topic = clients.topic(partitions=2, name=prefix)
    pattern = f"^{prefix}.*"
    members = {kind.name: start(kind, unique("group"), pattern=pattern, metadata_ms=500) for kind in KINDS}
    for name, member in members.items():
        share([member], places(topic, 2), f"{name} reads the topic")
    clients.admin.create_partitions({topic: 4})
    for name, member in members.items():
        share([member], places(topic, 4), f"{name} has the new partitions")
    another = clients.topic(partitions=2, name=prefix)
    for name, member in members.items():
        share([member], places(topic, 4) | places(another, 2), f"{name} has the new topic")
    values = produce_to_all(clients, topic, 4, "old") | produce_to_all(clients, another, 2, "new")
    for member in members.values():
        received([member], values)


class Crowd:
    """Many members made with confluent-kafka in this process, polled in turn."""

    def __init__(self, clients: Clients, topic: str, group: str, count: int) -> None:
        self.owned: dict[Consumer, set[int]] = {}
        self.values: list[bytes] = []
        for _ in range(count):
            settings = {"bootstrap.servers": clients.bootstrap, "group.id": group, "auto.offset.reset": "earliest"}
            consumer = Consumer({**settings, "heartbeat.interval.ms": 200, "partition.assignment.strategy": "range"})
            self.owned[consumer] = set()
            consumer.subscribe([topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked)

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self.owned[consumer] |= {place.partition for place in partitions}

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self.owned[consumer] -= {place.partition for place in partitions}

    def poll(self) -> None:
        for consumer in self.owned:
            while (message := consumer.poll(0)) is not None:
                if message.error() is None:
                    self.values.append(message.value() or b"")

    def shares(self, partitions: int) -> bool:
        """Every partition has one owner, and every member as much as the others."""
        self.poll()
        owned = [partition for each in self.owned.values() for partition in each]
        fair = {len(each) for each in self.owned.values()} == {partitions // len(self.owned)}
        return fair and sorted(owned) == list(range(partitions))

    def has(self, values: set[str]) -> bool:
        self.poll()
        return sorted(value.decode() for value in self.values) == sorted(values)

    def leave(self, count: int) -> None:
        for consumer in list(self.owned)[:count]:
            consumer.close()
            del self.owned[consumer]

    def close(self) -> None:
        self.leave(len(self.owned))


def test_fifty_members(clients: Clients, unique: Callable[[str], str]) -> None:
    """Fifty members share two hundred partitions, each record comes to one of them, and ten that leave are replaced."""
    topic = clients.topic(partitions=200)
    with closing(Crowd(clients, topic, unique("group"), 50)) as crowd:
        eventually(lambda: crowd.shares(200), "fifty members with four partitions each")
        values = produce_to_all(clients, topic, 200, "value")
        eventually(lambda: crowd.has(values), "every record once")
        crowd.leave(10)
        eventually(lambda: crowd.shares(200), "forty members with five partitions each")


def commit_until_it_dies(broker: Broker, group: str, topic: str, acknowledged: list[int]) -> None:
    """Ever larger offsets, one commit after the other; what was answered is noted."""
    Topic = OffsetCommitRequest.OffsetCommitRequestTopic  # noqa: N806
    with Wire(broker) as wire:
        for offset in range(1, 1_000_000):
            part = Topic.OffsetCommitRequestPartition(
                partition_index=0, committed_offset=offset, committed_leader_epoch=-1, committed_metadata=""
            )
            request = OffsetCommitRequest(
                group_id=group,
                generation_id_or_member_epoch=-1,
                member_id="",
                group_instance_id=None,
                topics=[Topic(name=topic, partitions=[part])],
            )
            try:
                [answer] = wire.ask(request, 8).topics
            except (EOFError, OSError):
                return
            if answer.partitions[0].error_code:  # the broker is stopping
                return
            acknowledged.append(offset)


def group_of(clients: Clients, group: str) -> list[tuple[str, object]]:
    """State, and each member with what it is assigned."""
    described = clients.admin.describe_groups([group])[group]
    members = [(member["member_id"], member["member_assignment"]) for member in described["members"]]
    return [("state", described["group_state"]), *sorted(members, key=lambda member: member[0])]


@pytest.mark.parametrize("clean", [True, False], ids=["stopped", "killed"])
def test_restart_with_live_members(
    clients: Clients, restartable_broker: Broker, unique: Callable[[str], str], start: Start, clean: bool
) -> None:
    """After a restart a group has the same members with the same assignments; they go on, and no commit was lost."""
    topic, group, committing = clients.topic(partitions=8), unique("group"), unique("group")
    members = [start(kind, group, topics=[topic], session_ms=40_000) for kind in KINDS]
    share(members, places(topic, 8), "four clients share eight partitions")
    received(members, produce_to_all(clients, topic, 8, "before"))
    before, printed = group_of(clients, group), [len(member.lines) for member in members]
    acknowledged: list[int] = []
    writer = threading.Thread(target=commit_until_it_dies, args=(restartable_broker, committing, topic, acknowledged))
    writer.start()
    eventually(lambda: len(acknowledged) > 100, "a hundred commits")
    restartable_broker.restart(clean=clean)
    writer.join()

    def loaded() -> int:
        """Apache Kafka takes its groups over one by one after its start."""
        offsets = clients.admin.list_group_offsets(committing)[committing]
        return int(offsets[TopicPartition(topic, 0)].offset)

    offset = eventually(loaded, "the commits are there", ignoring=(KafkaError, KeyError))
    assert offset in (acknowledged[-1], acknowledged[-1] + 1)  # the last may be stored and not answered
    eventually(lambda: group_of(clients, group) == before, "the group is as it was", ignoring=(KafkaError,))
    received(members, produce_to_all(clients, topic, 8, "after"))
    for member, lines in zip(members, printed, strict=True):
        assert all(line.startswith("record ") for line in member.lines[lines:])
