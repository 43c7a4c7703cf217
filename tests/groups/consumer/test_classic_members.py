"""Members of the classic protocol in a consumer group: JoinGroup, SyncGroup, Heartbeat and LeaveGroup."""

import pytest

from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.join_group import JoinGroupResponse
from tests.groups.consumer.consumer_context import ClassicMember, ConsumerContext, Member
from tests.groups.group_context import Answer


def mixed(groups: ConsumerContext) -> tuple[Member, ClassicMember]:
    """One member of each protocol, with two partitions each, in epoch 3."""
    n, x = groups.member("n"), groups.classic("x")
    n.join()
    x.join()
    n.beat()
    n.own()
    x.beat()
    x.ask_join()
    x.sync()
    assert len(x.has) == len(n.has) == 2
    return n, x


def joined(answer: Answer) -> JoinGroupResponse:
    assert isinstance(answer.message, JoinGroupResponse)
    return answer.message


def test_a_join_is_answered_at_once(groups: ConsumerContext) -> None:
    """The member's epoch is its generation; there is no leader."""
    groups.member("n").join()
    x = groups.classic("x")
    asked = joined(x.ask_join())
    assert asked.error_code == ErrorCode.MEMBER_ID_REQUIRED
    answer = joined(x.ask_join())

    assert (answer.generation_id, answer.protocol_type, answer.protocol_name) == (3, "consumer", "range")
    assert (answer.leader, answer.member_id, answer.members) == ("", asked.member_id, [])
    assert x.sync().code is ErrorCode.NONE
    assert x.has == []


def test_a_version_without_reserved_ids(groups: ConsumerContext) -> None:
    """Before version 4 a member is in with its first join, whose id the coordinator makes."""
    groups.member("n").join()
    x = groups.classic("x", version=3)

    assert joined(x.ask_join()).generation_id == 3


def test_a_member_is_called_to_join_when_there_is_more(groups: ConsumerContext) -> None:
    """Not while what it shall have is still somebody else's."""
    n, x = groups.member("n"), groups.classic("x")
    n.join()
    x.join()
    x.sync()
    assert x.beat() is ErrorCode.NONE
    n.beat()
    assert x.beat() is ErrorCode.NONE
    n.own()
    assert x.beat() is ErrorCode.REBALANCE_IN_PROGRESS
    x.ask_join()
    x.sync()

    assert len(x.has) == 2
    assert x.beat() is ErrorCode.NONE


def test_a_member_is_called_to_give_up(groups: ConsumerContext) -> None:
    """It joins and hears in its sync what it keeps; it joins once more without the rest, and is in the new epoch."""
    groups.member("n", topics=()).join()
    x = groups.classic("x")
    x.join()
    x.sync()
    assert len(x.has) == 4
    groups.member("m").join()
    before = x.generation
    assert x.beat() is ErrorCode.REBALANCE_IN_PROGRESS
    x.ask_join()
    x.sync()
    assert x.generation == before
    assert len(x.has) == 2
    assert x.beat() is ErrorCode.REBALANCE_IN_PROGRESS
    x.ask_join()
    x.sync()

    assert x.generation == before + 1
    assert x.beat() is ErrorCode.NONE


def test_a_sync_that_comes_too_late(groups: ConsumerContext) -> None:
    """A newer target calls the member to join instead."""
    n, x = groups.member("n"), groups.classic("x")
    n.join()
    x.join()
    groups.member("m").join()

    assert x.sync().code is ErrorCode.REBALANCE_IN_PROGRESS


def test_what_a_member_has_to_get_right(groups: ConsumerContext) -> None:
    """Its id, its generation, its protocol; and it has to be of the classic protocol."""
    n, x = mixed(groups)

    assert x.beat(member_id="nobody") is ErrorCode.UNKNOWN_MEMBER_ID
    assert x.beat(generation_id=1) is ErrorCode.ILLEGAL_GENERATION
    assert x.beat(member_id=n.id, generation_id=n.epoch) is ErrorCode.UNKNOWN_MEMBER_ID
    assert x.sync(generation_id=1).code is ErrorCode.ILLEGAL_GENERATION
    assert x.sync(protocol_name="other").code is ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    assert x.sync(protocol_type="other").code is ErrorCode.INCONSISTENT_GROUP_PROTOCOL


def test_who_cannot_join(groups: ConsumerContext) -> None:
    """Another kind of protocol, no strategy in common, or a subscription that cannot be read."""
    mixed(groups)
    refused = [
        groups.client("w", protocol_type="connect"),
        groups.client("w", protocols=["sticky"]),
        groups.client("w", protocols={"range": b"?"}, version=3),
        groups.client("w", protocols={}),
    ]

    assert [joined(client.ask_join()).error_code for client in refused] == [
        ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    ] * len(refused)


def test_who_it_is_counts_before_what_it_subscribes_to(groups: ConsumerContext) -> None:
    """A subscription that cannot be read is only found when the member is known (classicGroupJoinToConsumerGroup)."""
    mixed(groups)
    new = groups.client("w", protocols={"range": b"?"})
    stranger = groups.client("w", protocols={"range": b"?"}, instance="one")
    stranger.id = "stranger"

    assert joined(new.ask_join()).error_code == ErrorCode.MEMBER_ID_REQUIRED
    assert joined(new.ask_join()).error_code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    assert joined(stranger.ask_join()).error_code == ErrorCode.UNKNOWN_MEMBER_ID


def test_a_full_group() -> None:
    """group.consumer.max.size counts for them too."""
    groups = ConsumerContext(consumer={"max_size": 1})
    groups.member("n").join()

    assert joined(groups.classic("x").ask_join()).error_code == ErrorCode.GROUP_MAX_SIZE_REACHED


def test_static_members(groups: ConsumerContext) -> None:
    """A new process takes the instance id over at once, whatever protocol the old one spoke (KIP-345)."""
    n, x = groups.member("n", instance="one"), groups.classic("x", instance="two")
    n.join()
    x.join()
    n.beat()
    n.own()
    again = groups.classic("again", instance="two")
    assert again.join().code is ErrorCode.NONE

    assert x.beat() is ErrorCode.FENCED_INSTANCE_ID
    assert x.ask_join().code is ErrorCode.FENCED_INSTANCE_ID
    assert again.sync().code is ErrorCode.NONE
    assert len(groups.described().members) == 2
    newer = groups.member("newer", instance="two")
    assert newer.join() is ErrorCode.NONE
    assert again.beat() is ErrorCode.FENCED_INSTANCE_ID
    unknown = groups.classic("u", instance="three")
    unknown.id = "some"
    assert unknown.ask_join().code is ErrorCode.UNKNOWN_MEMBER_ID


@pytest.mark.parametrize("what", ["session", "join", "sync"])
def test_what_a_member_has_time_for(what: str) -> None:
    """It is removed when its session ends, or when it was called to join, or has joined, and does not go on."""
    groups = ConsumerContext(settings={"session_timeout_ms": 3_600_000})
    n, x = groups.member("n"), groups.classic("x", session_ms=60_000, rebalance_ms=10_000)
    n.join()
    x.join()
    if what != "sync":
        x.sync()
    n.beat()
    n.own()
    wait_ms = 60_000
    if what == "join":
        assert x.beat() is ErrorCode.REBALANCE_IN_PROGRESS
        groups.advance(5_000)
        x.beat()  # being called again begins nothing anew
        wait_ms = 5_000
    elif what == "sync":
        wait_ms = 10_000
    groups.advance(wait_ms - 1)
    assert len(groups.described().members) == 2
    groups.advance(1)

    assert [member.member_id for member in groups.described().members] == ["n"]


def test_leaving(groups: ConsumerContext) -> None:
    """LeaveGroup removes members of any protocol, administrators by instance id; the last of one makes it classic."""
    n, x = groups.member("n", instance="one"), groups.classic("x", instance="two")
    n.join()
    x.join()
    left = groups.leave("g", ("nobody", None), ("", "three"), ("other", "two"), (x.id, "two"))

    assert [member.error_code for member in left.members] == [
        ErrorCode.UNKNOWN_MEMBER_ID,
        ErrorCode.UNKNOWN_MEMBER_ID,
        ErrorCode.FENCED_INSTANCE_ID,
        ErrorCode.NONE,
    ]
    assert [member.member_id for member in groups.described().members] == ["n"]
    y = groups.classic("y")
    y.join()
    groups.leave("g", ("", "one"))
    assert groups.describe("g").error_code == ErrorCode.NONE


def test_commits(groups: ConsumerContext) -> None:
    """Wrong generations are ILLEGAL_GENERATION to them, at any version."""
    _, x = mixed(groups)
    place = x.has[0]

    assert x.commit((*place, 5), version=8) == [ErrorCode.NONE]
    assert x.commit((*place, 5), generation=99) == [ErrorCode.ILLEGAL_GENERATION]
    assert x.commit((*place, 5), generation=1) == [ErrorCode.ILLEGAL_GENERATION]


def test_an_append_that_fails(groups: ConsumerContext) -> None:
    """The member joins again."""
    groups.member("n").join()
    x = groups.classic("x")
    x.ask_join()
    groups.appends_fail = True
    assert x.ask_join().error is not None
    groups.appends_fail = False
    x.ask_join()

    assert x.sync().code is ErrorCode.NONE
