"""What offsets, listings and administrators find of a consumer group."""

import pytest

from kpy.protocol.consumer_group_records import (
    ConsumerGroupPartitionMetadataKey,
    ConsumerGroupPartitionMetadataValue,
)
from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.offset_fetch import OffsetFetchRequestGroup
from kpy.state_machine import Decision, Record
from tests.groups.consumer.consumer_context import ConsumerContext, Member

DAY_MS = 24 * 60 * 60 * 1000


def sharing(groups: ConsumerContext) -> tuple[Member, Member]:
    """Two members with two partitions each, in epoch 3. The first has had its own since epoch 2."""
    a, b = groups.member("a"), groups.member("b")
    a.join()
    b.join()
    a.beat()
    a.own()
    b.beat()
    return a, b


@pytest.mark.parametrize("version", [9, 10])
def test_commits_of_members(groups: ConsumerContext, version: int) -> None:
    """In the member's epoch, or in one since which it has had the partition (KIP-1251); with no other."""
    a, b = sharing(groups)

    assert a.commit(("t", 0, 5), version=version) == [ErrorCode.NONE]
    assert a.commit(("t", 0, 6), generation=2, version=version) == [ErrorCode.NONE]
    assert a.commit(("t", 0, 7), generation=1, version=version) == [ErrorCode.STALE_MEMBER_EPOCH]
    assert a.commit(("t", 0, 7), generation=4, version=version) == [ErrorCode.STALE_MEMBER_EPOCH]
    assert a.commit(("t", 2, 7), generation=2, version=version) == [ErrorCode.STALE_MEMBER_EPOCH]
    assert b.commit(("t", 2, 8), generation=2, version=version) == [ErrorCode.STALE_MEMBER_EPOCH]
    assert b.commit(("t", 2, 9), version=version) == [ErrorCode.NONE]
    assert groups.committed("g") == {("t", 0): 6, ("t", 2): 9}


def test_one_stale_partition_spoils_a_commit(groups: ConsumerContext) -> None:
    """All or nothing, except for what is no partition at all."""
    a, _ = sharing(groups)
    codes = a.commit(("t", 0, 5), ("t", 2, 5), ("nope", 0, 5), generation=2)

    assert codes == [
        ErrorCode.STALE_MEMBER_EPOCH,
        ErrorCode.STALE_MEMBER_EPOCH,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ]
    assert groups.committed("g") == {}


def test_commits_of_what_is_being_given_up(groups: ConsumerContext) -> None:
    """Until it is given up, its offsets are the member's to commit."""
    a, b = groups.member("a"), groups.member("b")
    a.join()
    b.join()
    a.beat()
    assert a.commit(("t", 3, 5), generation=2) == [ErrorCode.NONE]
    a.own()

    assert a.commit(("t", 3, 6), generation=2) == [ErrorCode.STALE_MEMBER_EPOCH]


def test_commits_of_others(groups: ConsumerContext) -> None:
    """Nobody commits for a group with members who is not one; anybody does for an empty one."""
    a = groups.member("a")
    a.join()
    assert groups.commit("g", ("t", 0, 1)) == [ErrorCode.UNKNOWN_MEMBER_ID]
    assert groups.commit("g", ("t", 0, 1), member="x", generation=2) == [ErrorCode.UNKNOWN_MEMBER_ID]
    assert a.commit(("t", 0, 1), version=8) == [ErrorCode.UNSUPPORTED_VERSION]
    a.leave()

    assert groups.commit("g", ("t", 0, 1)) == [ErrorCode.NONE]


def test_who_fetches(groups: ConsumerContext) -> None:
    """Whoever says who it is has to be right; others need not say."""
    a, _ = sharing(groups)
    a.commit(("t", 0, 5))

    def fetch(member_id: str | None, epoch: int) -> tuple[int, int]:
        request = OffsetFetchRequestGroup(group_id="g", topics=None, member_id=member_id, member_epoch=epoch)
        found = groups.machine.offset_fetch(request, version=9, topics=groups.topics)
        return found.error_code, len(found.topics)

    assert fetch(None, -1) == (ErrorCode.NONE, 1)
    assert fetch("a", 3) == (ErrorCode.NONE, 1)
    assert fetch("a", 2) == (ErrorCode.STALE_MEMBER_EPOCH, 0)
    assert fetch("x", 3) == (ErrorCode.UNKNOWN_MEMBER_ID, 0)
    assert fetch(None, 3) == (ErrorCode.UNKNOWN_MEMBER_ID, 0)


def test_offsets_that_are_deleted(groups: ConsumerContext) -> None:
    """Of topics that members read they are not."""
    groups.add_topic("u")
    a = groups.member("a")
    a.join()
    a.commit(("t", 0, 5), ("u", 0, 5))

    assert groups.delete_offsets("g", ("t", 0), ("u", 0)) == (
        ErrorCode.NONE,
        [ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC, ErrorCode.NONE],
    )


def test_offsets_expire() -> None:
    """Those of topics that nobody reads, some time after the commit; with the last of them an empty group goes."""
    groups = ConsumerContext(
        settings={"session_timeout_ms": 4 * DAY_MS},
        offsets_retention_ms=DAY_MS,
        offsets_retention_check_interval_ms=1_000,
    )
    groups.add_topic("u")
    a = groups.member("a")
    a.join()
    a.commit(("t", 0, 5), ("u", 0, 5))
    groups.advance(DAY_MS + 1_000)
    assert groups.committed("g") == {("t", 0): 5}
    a.leave()
    groups.advance(1_000)

    assert groups.machine.list_groups([], []) == []
    assert groups.committed("g") == {}
    groups.restart()
    assert groups.machine.list_groups([], []) == []


def test_deleting_groups(groups: ConsumerContext) -> None:
    """Only empty ones, with all that is known of them."""
    a = groups.member("a", topics=None, pattern="t")
    a.join()
    groups.advance(0)
    a.beat()
    a.commit(("t", 0, 5))
    assert groups.delete_groups("g") == {"g": ErrorCode.NON_EMPTY_GROUP}
    a.leave()
    assert groups.delete_groups("g", "nope") == {"g": ErrorCode.NONE, "nope": ErrorCode.GROUP_ID_NOT_FOUND}

    assert groups.committed("g") == {}
    groups.restart()
    assert groups.machine.list_groups([], []) == []


def test_states_in_listings(groups: ConsumerContext) -> None:
    """What a group is and how far, and what of it the filters let through."""
    a, b = groups.member("a"), groups.member("b")

    def listed() -> list[tuple[str, str, str, str]]:
        return [
            (found.group_id, found.protocol_type, found.group_state, found.group_type)
            for found in groups.machine.list_groups([], [])
        ]

    a.join()
    assert listed() == [("g", "consumer", "Stable", "consumer")]
    b.join()
    assert listed() == [("g", "consumer", "Reconciling", "consumer")]
    a.beat()
    a.own()
    b.beat()
    assert listed() == [("g", "consumer", "Stable", "consumer")]
    a.leave()
    assert listed() == [("g", "consumer", "Assigning", "consumer")]
    b.leave()
    assert listed() == [("g", "consumer", "Empty", "consumer")]
    assert len(groups.machine.list_groups(["empty"], ["Consumer"])) == 1
    assert groups.machine.list_groups([], ["classic"]) == []
    assert groups.machine.list_groups(["stable"], []) == []


def test_a_description(groups: ConsumerContext) -> None:
    """Of each member what it has, what it is giving up too, and what it shall have."""
    a, b = groups.member("a", rack="r", instance="one"), groups.member("b", version=1)
    a.join()
    b.join()
    a.beat()
    described = groups.described()
    first, second = described.members

    assert (described.group_epoch, described.assignment_epoch, described.assignor_name) == (3, 3, "uniform")
    assert (first.member_id, first.instance_id, first.rack_id, first.member_epoch) == ("a", "one", "r", 2)
    assert (first.client_id, first.client_host, first.member_type) == ("a", "/::1", 1)
    assert (first.subscribed_topic_names, first.subscribed_topic_regex) == (["t"], "")
    assert [t.partitions for t in first.assignment.topic_partitions] == [[0, 1, 2, 3]]
    assert [t.partitions for t in first.target_assignment.topic_partitions] == [[0, 1]]
    assert second.assignment.topic_partitions == []
    assert [(t.topic_name, t.partitions) for t in second.target_assignment.topic_partitions] == [("t", [2, 3])]


def test_what_cannot_be_described(groups: ConsumerContext) -> None:
    """No group, no name, or a group of the other protocol, either way."""
    groups.member("a").join()
    groups.commit("simple", ("t", 0, 1))

    assert groups.described("nope").error_code == ErrorCode.GROUP_ID_NOT_FOUND
    assert groups.described("").error_code == ErrorCode.INVALID_GROUP_ID
    assert groups.described("simple").error_message == "Group simple is not a consumer group."
    assert groups.describe("g").error_message == "Group g is not a classic group."
    assert groups.describe("g", version=5).group_state == "Dead"


def test_a_group_takes_the_place_of_offsets_alone(groups: ConsumerContext) -> None:
    """A simple group has no record of its own; its offsets stay."""
    groups.commit("g", ("t", 0, 7))
    a = groups.member("a")
    a.join()

    assert a.code is ErrorCode.NONE
    assert groups.committed("g") == {("t", 0): 7}
    groups.restart()
    assert groups.described().group_state == "Stable"


def test_the_topics_of_older_brokers_are_forgotten(groups: ConsumerContext) -> None:
    """Before KIP-1101 a group kept them in a record; the next look at the topics takes it back."""
    a = groups.member("a")
    a.join()
    record = Record(ConsumerGroupPartitionMetadataKey(group_id="g"), ConsumerGroupPartitionMetadataValue(topics=[]))
    groups.execute(Decision([record]))
    groups.restart()
    groups.transcript.clear()
    a.beat()

    assert "log: topics forgotten" in groups.transcript
