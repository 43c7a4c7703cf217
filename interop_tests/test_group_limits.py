"""What the other scenarios do without: a limit to the size of a group, and a new group that waits for its members."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from typing import Any

import pytest
from kafka.errors import GroupMaxSizeReachedError
from kafka.protocol.consumer import JoinGroupRequest, LeaveGroupRequest

from interop_tests.brokers import Broker
from interop_tests.conftest import running_with
from interop_tests.eventually import eventually
from interop_tests.kafka_python_clients import Clients, poll_until
from interop_tests.transcripts.conversation import subscription
from interop_tests.wire import Dialogue, Wire
from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
)

SIZE_MAX = 3
DELAY_S = 1.0
SETTINGS: Mapping[str, str] = {
    "group.max.size": f"{SIZE_MAX}",
    "group.consumer.max.size": f"{SIZE_MAX}",
    "group.initial.rebalance.delay.ms": f"{DELAY_S * 1000:.0f}",
}
LONG_MS = 60_000


@pytest.fixture(scope="module")
def limiting_broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """A broker with these limits."""
    with running_with(request.config, SETTINGS) as broker:
        yield broker


@pytest.fixture
def broker(limiting_broker: Broker) -> Broker:
    """All that the scenarios here are given is of that one."""
    return limiting_broker


class Joiner:
    """A member of a classic group, to the byte."""

    def __init__(self, wire: Wire, group: str, topic: str) -> None:
        self._wire = wire
        self.member_id = ""
        self._group = group
        self._metadata = subscription(topic)

    def say(self) -> None:
        """Send a JoinGroup, without waiting for the answer."""
        protocol = JoinGroupRequest.JoinGroupRequestProtocol(name="range", metadata=self._metadata)
        request = JoinGroupRequest(
            group_id=self._group,
            session_timeout_ms=LONG_MS,
            rebalance_timeout_ms=LONG_MS,
            member_id=self.member_id,
            group_instance_id=None,
            protocol_type="consumer",
            protocols=[protocol],
            reason=None,
        )
        self._wire.socket.sendall(self._wire.frame(request, 9))

    def hear(self) -> Any:
        return self._wire.receive()

    def introduce(self) -> ErrorCode:
        """The first of two JoinGroups, by which a member gets its id (KIP-394)."""
        self.say()
        answer = self.hear()
        self.member_id = answer.member_id
        return ErrorCode(answer.error_code)

    def leave(self) -> None:
        identity = LeaveGroupRequest.MemberIdentity(member_id=self.member_id, group_instance_id=None, reason=None)
        answer = self._wire.ask(LeaveGroupRequest(group_id=self._group, member_id="", members=[identity]), 5)
        assert answer.error_code == 0


@pytest.fixture
def joiners(broker: Broker, clients: Clients, group: str) -> Iterator[Sequence[Joiner]]:
    """As many as the group may have, who all join in one go."""
    topic = clients.topic()
    with ExitStack() as stack:
        made = [Joiner(stack.enter_context(Wire(broker)), group, topic) for _ in range(SIZE_MAX)]
        assert {joiner.introduce() for joiner in made} == {ErrorCode.MEMBER_ID_REQUIRED}
        yield made


def test_members_that_come_within_the_delay(joiners: Sequence[Joiner]) -> None:
    """They are one generation, which begins when the first has waited group.initial.rebalance.delay.ms."""
    started = time.monotonic()
    for joiner in joiners:
        joiner.say()
    answers = [joiner.hear() for joiner in joiners]

    assert time.monotonic() - started >= DELAY_S
    assert [(answer.error_code, answer.generation_id) for answer in answers] == [(0, 1)] * SIZE_MAX
    [leader] = [answer for answer in answers if answer.members]
    assert {member.member_id for member in leader.members} == {joiner.member_id for joiner in joiners}
    assert {answer.leader for answer in answers} == {leader.member_id}


def test_one_more_than_a_group_may_have(
    broker: Broker, clients: Clients, group: str, joiners: Sequence[Joiner]
) -> None:
    """It hears GROUP_MAX_SIZE_REACHED, while the others still join and when they have, until one of them leaves."""
    topic = clients.topic()
    for joiner in joiners:
        joiner.say()
    eventually(
        lambda: len(clients.admin.describe_groups([group])[group]["members"]) == SIZE_MAX, "all of them are members"
    )
    with Wire(broker) as wire:
        one_more = Joiner(wire, group, topic)
        assert one_more.introduce() is ErrorCode.GROUP_MAX_SIZE_REACHED
        assert {joiner.hear().error_code for joiner in joiners} == {0}
        assert one_more.introduce() is ErrorCode.GROUP_MAX_SIZE_REACHED
        with pytest.raises(GroupMaxSizeReachedError):
            poll_until(clients.consumer(topic, group_id=group), 1)
        joiners[0].leave()
        assert one_more.introduce() is ErrorCode.MEMBER_ID_REQUIRED


def test_one_more_than_a_group_of_the_consumer_protocol_may_have(broker: Broker, clients: Clients, group: str) -> None:
    """It hears GROUP_MAX_SIZE_REACHED until one of the others leaves."""
    topic = clients.topic()
    with closing(Dialogue(broker)) as dialogue:

        def beat(member: str, epoch: int) -> ErrorCode:
            request = ConsumerGroupHeartbeatRequest(
                group_id=group,
                member_id=member,
                member_epoch=epoch,
                rebalance_timeout_ms=LONG_MS,
                subscribed_topic_names=[topic],
                topic_partitions=[],
            )
            return ErrorCode(dialogue.ask(request, ConsumerGroupHeartbeatResponse, 1).error_code)

        assert [beat(f"member {number}", 0) for number in range(SIZE_MAX)] == [ErrorCode.NONE] * SIZE_MAX
        assert beat("one more", 0) is ErrorCode.GROUP_MAX_SIZE_REACHED
        assert beat("member 1", 0) is ErrorCode.NONE
        assert beat("member 1", -1) is ErrorCode.NONE
        assert beat("one more", 0) is ErrorCode.NONE
