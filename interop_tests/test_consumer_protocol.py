"""Groups of the consumer protocol (KIP-848), with Java's consumer and confluent-kafka's: shares, takeovers, patterns,
static members, restarts, and a group that goes over to the protocol and back while it works."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack

import pytest
from kafka.protocol.admin import IncrementalAlterConfigsRequest

from interop_tests.brokers import Broker
from interop_tests.clients.java_console import JavaConsole, run, tool
from interop_tests.clients.members import CLASSIC, CONSUMER, KINDS, MemberKind, MemberProcess, Membership
from interop_tests.eventually import eventually
from interop_tests.kafka_python_clients import Clients, produce
from interop_tests.wire import Wire

GROUP = 32
QUICK = {
    "consumer.heartbeat.interval.ms": "200",
    "consumer.session.timeout.ms": "6000",
    "consumer.assignment.interval.ms": "0",
}
LONG_ENOUGH_FOR_A_JAVA_PROCESS_MS = "45000"
"""A session that does not end while a member starts again on a busy machine."""

MODERN = {kind.name: kind for kind in KINDS if kind.name in ("confluent-kafka", "java")}
"""The libraries that know the protocol."""


@pytest.fixture(params=MODERN)
def library(request: pytest.FixtureRequest) -> MemberKind:
    found = MODERN[request.param]
    found.require()
    return found


@pytest.fixture
def group(broker: Broker, unique: Callable[[str], str]) -> str:
    """A group id whose group will be quick: configs of groups are set before there is one."""
    name = unique("group")
    configure(broker, name, QUICK)
    return name


def configure(broker: Broker, group: str, settings: Mapping[str, str]) -> None:
    configs = [(key, 0, value) for key, value in settings.items()]
    request = IncrementalAlterConfigsRequest(resources=[(GROUP, group, configs)], validate_only=False)
    with Wire(broker) as wire:
        [response] = wire.ask(request, 1).responses
    assert response.error_code == 0, response


class Members:
    """The members that a test starts, gone at its end."""

    def __init__(self, bootstrap: str, group: str, stack: ExitStack) -> None:
        self._bootstrap = bootstrap
        self._group = group
        self._stack = stack

    def start(self, library: MemberKind, *topics: str, protocol: str = CONSUMER, **more: str) -> MemberProcess:
        membership = Membership(
            bootstrap=self._bootstrap,
            group=self._group,
            protocol=protocol,
            topics=topics,
            instance=more.get("instance"),
            pattern=more.get("pattern"),
            metadata_ms=1_000,
        )
        return self._stack.enter_context(library.start(membership))


@pytest.fixture
def members(broker: Broker, group: str) -> Iterator[Members]:
    with ExitStack() as stack:
        yield Members(broker.bootstrap, group, stack)


def places(topic: str, *partitions: int) -> list[str]:
    return [f"{topic}:{partition}" for partition in partitions]


def settled(members: Sequence[MemberProcess], everything: Sequence[str], sizes: Sequence[int], what: str) -> None:
    """Wait until the members share everything in parts of these sizes."""

    def is_shared() -> bool:
        found = [place for member in members for place in member.partitions]
        return sorted(found) == sorted(everything) and sorted(len(m.partitions) for m in members) == sorted(sizes)

    try:
        eventually(is_shared, what)
    except AssertionError:
        raise AssertionError(f"{what}: {[(m.events, m.errors()) for m in members]}") from None


def listed(clients: Clients, group: str, what: str) -> str:
    """The group's `group_type`, classic or consumer, or its `group_state`."""
    groups = clients.admin.list_groups()
    return next((str(each[what]) for each in groups if each["group_id"] == group), "")


def produce_to_all(clients: Clients, topic: str, prefix: str, partitions: int = 4) -> list[str]:
    for partition in range(partitions):
        produce(clients, topic, [f"{prefix}-{partition}".encode()], partition=partition)
    return [f"{prefix}-{partition}" for partition in range(partitions)]


def test_two_members_and_takeover(clients: Clients, library: MemberKind, members: Members, group: str) -> None:
    """Two members share four partitions; one is killed, and the other goes on with all of them, from the commits."""
    topic = clients.topic(partitions=4)
    one = members.start(library, topic)
    settled([one], places(topic, 0, 1, 2, 3), [4], "one member with everything")
    two = members.start(library, topic)
    settled([one, two], places(topic, 0, 1, 2, 3), [2, 2], "two members with two partitions each")
    first = produce_to_all(clients, topic, "first")
    eventually(lambda: sorted(one.values + two.values) == first, "every record at one of the two")
    one.kill()
    settled([two], places(topic, 0, 1, 2, 3), [4], "the other with everything")
    second = produce_to_all(clients, topic, "second")
    eventually(lambda: set(second) <= set(two.values), "all that came after at the other")
    assert two.finish() == 0
    eventually(lambda: listed(clients, group, "group_state") == "Empty", "an empty group after a clean end")


def test_nobody_stops_for_a_newcomer(clients: Clients, library: MemberKind, members: Members) -> None:
    """The partitions that a member keeps are assigned to it all the time."""
    topic = clients.topic(partitions=6)
    everything = places(topic, *range(6))
    working: list[MemberProcess] = []
    for count in (1, 2, 3):
        working.append(members.start(library, topic))
        settled(working, everything, [6 // count] * count, f"{count} members")

    for member in working:
        assert not member.partitions & member.revoked


def test_a_pattern_finds_new_topics(
    clients: Clients, library: MemberKind, members: Members, unique: Callable[[str], str]
) -> None:
    """The broker looks for the topics that match, and for those that are created later."""
    name = unique("pattern")
    first = clients.topic(partitions=2, name=f"{name}-a")
    clients.topic(partitions=1, name=f"other-{name}")
    member = members.start(library, pattern=f"^{name}-.*")
    settled([member], places(first, 0, 1), [2], "the topic that matches")
    second = clients.topic(partitions=1, name=f"{name}-b")
    settled([member], [*places(first, 0, 1), *places(second, 0)], [3], "both topics that match")
    produce(clients, second, [b"found"])
    eventually(lambda: "found" in member.values, "a record of the new topic")


def test_a_static_member_comes_back(
    clients: Clients, broker: Broker, library: MemberKind, members: Members, group: str
) -> None:
    """It has what it had, and the other member notices nothing."""
    configure(broker, group, {"consumer.session.timeout.ms": LONG_ENOUGH_FOR_A_JAVA_PROCESS_MS})
    topic = clients.topic(partitions=4)
    one = members.start(library, topic, instance="one")
    other = members.start(library, topic, instance="other")
    settled([one, other], places(topic, 0, 1, 2, 3), [2, 2], "two members with two partitions each")
    had, seen = one.partitions, len(other.events)
    assert one.finish() == 0
    again = members.start(library, topic, instance="one")
    eventually(lambda: again.partitions == had, "the same partitions")

    assert len(other.events) == seen


@pytest.mark.parametrize("clean", [True, False], ids=["stopped", "killed"])
def test_a_restart(
    clients: Clients, restartable_broker: Broker, library: MemberKind, members: Members, clean: bool
) -> None:
    """The members go on with what they have: the broker knows them again."""
    topic = clients.topic(partitions=4)
    working = [members.start(library, topic) for _ in range(2)]
    settled(working, places(topic, 0, 1, 2, 3), [2, 2], "two members with two partitions each")
    had = [member.partitions for member in working]
    first = produce_to_all(clients, topic, "first")
    eventually(lambda: sorted(v for m in working for v in m.values) == first, "the first records")
    restartable_broker.restart(clean=clean)
    second = produce_to_all(clients, topic, "second")
    eventually(
        lambda: set(second) <= {value for member in working for value in member.values},
        "what came after",
    )

    settled(working, places(topic, 0, 1, 2, 3), [2, 2], "two members with two partitions each, still")
    assert [member.partitions for member in working] == had


def test_a_rolling_migration_and_back(clients: Clients, library: MemberKind, members: Members, group: str) -> None:
    """One member after the other is replaced by one of the other protocol, while records come in; none is missed."""
    topic = clients.topic(partitions=4)
    everything = places(topic, 0, 1, 2, 3)
    working = [members.start(library, topic, protocol=CLASSIC) for _ in range(2)]
    everybody = [*working]
    settled(working, everything, [2, 2], "two members of the classic protocol")
    assert listed(clients, group, "group_type") == CLASSIC
    sent = produce_to_all(clients, topic, "before")
    for number, protocol in enumerate((CONSUMER, CONSUMER, CLASSIC, CLASSIC)):
        replacement = members.start(library, topic, protocol=protocol)
        everybody.append(replacement)
        settled([*working, replacement], everything, [2, 1, 1], f"replacement {number} has a share")
        sent += produce_to_all(clients, topic, f"during-{number}")
        assert working.pop(0).finish() == 0
        working.append(replacement)
        settled(working, everything, [2, 2], f"replacement {number} is in its place")
        expected = CONSUMER if number < 3 else CLASSIC
        eventually(lambda: listed(clients, group, "group_type") == expected, f"a {expected} group")  # noqa: B023
    sent += produce_to_all(clients, topic, "after")

    eventually(
        lambda: set(sent) <= {value for member in everybody for value in member.values},
        "every record",
    )


def test_java_describes_a_group(clients: Clients, members: Members, group: str) -> None:
    """ConsumerGroupCommand shows the state, the assignor, and of each member its epoch and its partitions."""
    JavaConsole().require()
    library = MODERN["confluent-kafka"]
    library.require()
    topic = clients.topic(partitions=2)
    member = members.start(library, topic)
    settled([member], places(topic, 0, 1), [2], "a member with everything")

    def described(*options: str) -> list[str]:
        command = "consumer.group.ConsumerGroupCommand"
        return (run(tool(command, clients.bootstrap, "--describe", "--group", group, *options)) or "").split()

    assert {"uniform", "Stable"} <= set(described("--state"))
    shown = described("--members", "--verbose")
    assert f"{topic}:0,1" in shown
    assert {"CURRENT-EPOCH", "TARGET-EPOCH"} <= set(shown)
