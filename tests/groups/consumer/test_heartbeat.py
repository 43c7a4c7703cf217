"""ConsumerGroupHeartbeat: what it refuses, the epochs it accepts, what it answers, and the timers behind it."""

from typing import Any
from uuid import UUID

import pytest

from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.consumer_group_heartbeat import TopicPartitions
from tests.groups.consumer.consumer_context import ConsumerContext, Member

SESSION_MS = 45_000
SOME_TOPIC = TopicPartitions(topic_id=UUID(int=1), partitions=[0])

REFUSED: dict[str, tuple[dict[str, Any], ErrorCode]] = {
    "no group id": ({"group_id": ""}, ErrorCode.INVALID_REQUEST),
    "a blank group id": ({"group_id": " "}, ErrorCode.INVALID_REQUEST),
    "a group id of control characters": ({"group_id": "\t\x01"}, ErrorCode.INVALID_REQUEST),
    "no member id": ({"member_id": ""}, ErrorCode.INVALID_REQUEST),
    "an empty instance id": ({"instance_id": ""}, ErrorCode.INVALID_REQUEST),
    "an empty rack": ({"rack_id": ""}, ErrorCode.INVALID_REQUEST),
    "no rebalance timeout": ({"rebalance_timeout_ms": -1}, ErrorCode.INVALID_REQUEST),
    "partitions while it joins": ({"topic_partitions": [SOME_TOPIC]}, ErrorCode.INVALID_REQUEST),
    "nothing said of partitions": ({"topic_partitions": None}, ErrorCode.INVALID_REQUEST),
    "no subscription": ({"subscribed_topic_names": None}, ErrorCode.INVALID_REQUEST),
    "an epoch below all": ({"member_epoch": -3}, ErrorCode.INVALID_REQUEST),
    "away without an instance id": ({"member_epoch": -2}, ErrorCode.INVALID_REQUEST),
    "an assignor of its own": ({"server_assignor": "mine"}, ErrorCode.UNSUPPORTED_ASSIGNOR),
    "a pattern that is none": ({"subscribed_topic_regex": "("}, ErrorCode.INVALID_REGULAR_EXPRESSION),
    "a heartbeat to no group": ({"member_epoch": 1}, ErrorCode.GROUP_ID_NOT_FOUND),
    "leaving no group": ({"member_epoch": -1}, ErrorCode.GROUP_ID_NOT_FOUND),
}


@pytest.mark.parametrize(("changes", "code"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(groups: ConsumerContext, changes: dict[str, Any], code: ErrorCode) -> None:
    """A request that no group would take has Kafka's code and a message, and leaves nothing behind."""
    member = groups.member("a")

    assert member.join(**changes) is code
    assert member.response is not None
    assert member.response.error_message
    assert groups.log == []
    assert groups.machine.list_groups([], []) == []


@pytest.mark.parametrize("name", ["group_id", "member_id", "instance_id", "rack_id"])
def test_what_is_blank_elsewhere(groups: ConsumerContext, name: str) -> None:
    """A space that Java's `trim` leaves alone is text."""
    assert groups.member("a").join(**{name: "\u00a0"}) is ErrorCode.NONE


def test_version_0_has_no_ids_of_its_own(groups: ConsumerContext) -> None:
    """The coordinator makes one up (KIP-1082 changed that)."""
    member = groups.member("", version=0)

    assert member.join() is ErrorCode.NONE
    assert member.response is not None
    assert len(member.response.member_id or "") == 36


def test_the_answer_to_a_first_heartbeat(groups: ConsumerContext) -> None:
    """The member's epoch, when to come again, and what it has."""
    a = groups.member("a")
    a.join()
    response = a.response
    assert response is not None

    assert (response.member_id, response.member_epoch, response.heartbeat_interval_ms) == ("a", 2, 5_000)
    assert a.has == [("t", 0), ("t", 1), ("t", 2), ("t", 3)]


def test_the_assignment_is_only_told_when_it_is_new(groups: ConsumerContext) -> None:
    """Unless the member says everything, as one does that may have missed an answer."""
    a = groups.member("a")
    a.join()
    a.beat()
    assert a.response is not None
    assert a.response.assignment is None
    a.own(**a.everything())

    assert a.response.assignment is not None


@pytest.mark.parametrize(("epoch", "code"), [(1, "FENCED"), (3, "FENCED"), (100, "FENCED"), (2, "NONE"), (0, "NONE")])
def test_epochs_of_a_member(groups: ConsumerContext, epoch: int, code: str) -> None:
    """Its own, or 0 to begin again; any other has to give everything up."""
    a = groups.member("a")
    a.join()
    expected = ErrorCode.FENCED_MEMBER_EPOCH if code == "FENCED" else ErrorCode.NONE
    fields = a.everything() if epoch == 0 else {}

    assert a.ask("heartbeat", member_epoch=epoch, topic_partitions=[], **fields) is expected


def test_an_answer_that_was_lost(groups: ConsumerContext) -> None:
    """The epoch before still counts, as long as the member owns nothing that it does not have."""
    a, b = groups.member("a"), groups.member("b")
    a.join()
    b.join()
    a.beat()
    a.own()
    assert (a.epoch, a.has) == (3, [("t", 0), ("t", 1)])
    a.epoch = 2

    assert a.own() is ErrorCode.NONE
    assert a.epoch == 3
    a.epoch = 2
    a.owned = [TopicPartitions(topic_id=groups.topic_id("t"), partitions=[0, 3])]
    assert a.own() is ErrorCode.FENCED_MEMBER_EPOCH
    assert a.beat(member_epoch=2) is ErrorCode.FENCED_MEMBER_EPOCH


def test_a_stranger(groups: ConsumerContext) -> None:
    """Nobody is a member who has not joined."""
    groups.member("a").join()

    assert groups.member("b").beat(member_epoch=1) is ErrorCode.UNKNOWN_MEMBER_ID
    assert groups.member("b").leave() is ErrorCode.UNKNOWN_MEMBER_ID
    assert groups.member("b", instance="i").beat(member_epoch=1) is ErrorCode.UNKNOWN_MEMBER_ID
    assert groups.member("b", instance="i").leave() is ErrorCode.UNKNOWN_MEMBER_ID


def test_a_full_group() -> None:
    """group.consumer.max.size counts for those who are not in yet."""
    groups = ConsumerContext(consumer={"max_size": 1})
    a = groups.member("a")
    a.join()

    assert groups.member("b").join() is ErrorCode.GROUP_MAX_SIZE_REACHED
    assert a.join() is ErrorCode.NONE


def test_a_silent_member_is_gone(groups: ConsumerContext) -> None:
    """Its session ends; each heartbeat begins it anew."""
    a, b = groups.member("a"), groups.member("b")
    a.join()
    b.join()
    groups.advance(SESSION_MS - 1)
    b.beat()
    groups.advance(1)
    assert list(groups.assignments()) == ["b"]
    assert a.beat() is ErrorCode.UNKNOWN_MEMBER_ID
    b.beat()

    assert b.has == [("t", 0), ("t", 1), ("t", 2), ("t", 3)]


def test_a_member_that_gives_nothing_up_is_gone(groups: ConsumerContext) -> None:
    """It has its rebalance timeout to do so, whatever heartbeats it sends."""
    a, b = groups.member("a", rebalance_ms=20_000), groups.member("b")
    a.join()
    b.join()
    a.beat()
    groups.advance(19_999)
    assert a.beat() is ErrorCode.NONE
    assert b.beat() is ErrorCode.NONE
    groups.advance(1)
    assert a.beat() is ErrorCode.UNKNOWN_MEMBER_ID
    b.beat()

    assert len(b.has) == 4


def test_a_member_that_gave_up_in_time_stays(groups: ConsumerContext) -> None:
    """The rebalance timeout ends with what it was for."""
    a, b = groups.member("a", rebalance_ms=20_000), groups.member("b")
    a.join()
    b.join()
    a.beat()
    a.own()
    groups.advance(20_000)

    assert a.beat() is ErrorCode.NONE


def test_a_static_member_that_does_not_come_back(groups: ConsumerContext) -> None:
    """Its partitions wait for it until its session ends."""
    a, b = groups.member("a", instance="one"), groups.member("b")
    a.join()
    b.join()
    a.beat()
    a.own()
    b.beat()
    a.pause()
    groups.advance(SESSION_MS - 1)
    b.beat()
    assert len(b.has) == 2
    groups.advance(1)
    b.beat()

    assert len(b.has) == 4


def test_a_static_member_comes_back_with_another_subscription(groups: ConsumerContext) -> None:
    """The takeover is followed by what any change is."""
    groups.add_topic("u", 1)
    a, b = groups.member("a", instance="one"), groups.member("b", instance="one", topics=("u",))
    a.join()
    a.pause()
    b.join()

    assert (b.epoch, b.has) == (3, [("u", 0)])
    assert list(groups.assignments()) == ["b"]


def test_who_joins_again_keeps_what_it_has(groups: ConsumerContext) -> None:
    """Epoch 0 of a known member makes no new epoch of the group."""
    a = groups.member("a")
    a.join()
    a.join()

    assert (a.epoch, len(a.has)) == (2, 4)


def test_a_changed_subscription(groups: ConsumerContext) -> None:
    """A topic that is not read any more is given up first; the new one comes with the next epoch."""
    groups.add_topic("u", 1)
    a = groups.member("a")
    a.join()
    a.subscribe("u")
    assert (a.epoch, a.has) == (2, [])
    a.own()

    assert (a.epoch, a.has) == (3, [("u", 0)])


def test_an_unsubscribed_topic_is_taken_away_before_there_is_a_target() -> None:
    """While the interval between assignments lasts, the member has the old target without that topic."""
    groups = ConsumerContext(settings={"assignment_interval_ms": 1_000})
    groups.add_topic("u", 1)
    a = groups.member("a", topics=("t", "u"))
    a.join()
    a.subscribe("u")
    assert (a.epoch, a.has) == (2, [("u", 0)])
    a.own()
    assert a.epoch == 2
    groups.advance(1_000)
    a.own()

    assert (a.epoch, a.has) == (3, [("u", 0)])


def test_assignments_are_made_now_and_then() -> None:
    """Members who join one after the other wait for consumer.assignment.interval.ms, and then share at once."""
    groups = ConsumerContext(settings={"assignment_interval_ms": 1_000})
    members = [groups.member(name) for name in "abc"]
    for member in members:
        member.join()
    described = groups.described()
    assert (described.group_state, described.group_epoch, described.assignment_epoch) == ("Assigning", 4, 2)
    groups.advance(1_000)
    for _ in range(2):
        for member in members:
            member.own()

    assert [len(member.has) for member in members] == [2, 1, 1]
    assert groups.described().assignment_epoch == 4


def test_a_topic_that_grows_goes_and_comes(groups: ConsumerContext) -> None:
    """The next heartbeat notices and makes a new epoch (KIP-1101)."""
    a = groups.member("a", topics=("t", "u"))
    a.join()
    groups.add_topic("u", 1)
    a.own()
    assert (a.epoch, len(a.has)) == (3, 5)
    groups.grow_topic("u", 2)
    a.own()
    assert (a.epoch, len(a.has)) == (4, 6)
    groups.delete_topic("u")
    a.own()
    a.own()

    assert (a.epoch, len(a.has)) == (5, 4)


def test_racks(groups: ConsumerContext) -> None:
    """They are kept and shown; a topic whose replicas stand elsewhere makes a new epoch, and the same assignment."""
    a = groups.member("a", rack="east")
    a.join()
    groups.move_topic("t", "east")
    a.beat()

    assert groups.described().members[0].rack_id == "east"
    assert (a.epoch, len(a.has)) == (3, 4)


def test_the_assignor_that_most_ask_for(groups: ConsumerContext) -> None:
    """Nobody asks for one: uniform. One does: that one. Of two, the one with more votes."""
    groups.add_topic("u", 3)

    def joined(name: str, assignor: str | None) -> Member:
        member = groups.member(name, topics=("t", "u"), assignor=assignor)
        member.join()
        return member

    joined("a", None)
    assert groups.described().assignor_name == "uniform"
    joined("b", "range")
    assert groups.described().assignor_name == "range"
    joined("c", "uniform")
    joined("d", "uniform")
    assert groups.described().assignor_name == "uniform"


def test_an_append_that_fails_changes_nothing(groups: ConsumerContext) -> None:
    """The member comes again and finds the group as it was."""
    a = groups.member("a")
    groups.appends_fail = True
    a.join()
    assert a.code is ErrorCode.NOT_ENOUGH_REPLICAS
    assert groups.machine.list_groups([], []) == []
    groups.appends_fail = False
    a.join()

    assert (a.epoch, len(a.has)) == (2, 4)


def test_a_restart_in_the_middle_of_a_rebalance(groups: ConsumerContext) -> None:
    """Members, targets and what is being given up are there again; so is the time for it."""
    a, b = groups.member("a"), groups.member("b")
    a.join()
    b.join()
    a.beat()
    groups.restart()
    assert b.beat() is ErrorCode.NONE
    assert b.has == []
    a.own()
    b.beat()
    assert len(b.has) == 2
    groups.restart()
    groups.advance(SESSION_MS)

    assert groups.assignments() == {}
