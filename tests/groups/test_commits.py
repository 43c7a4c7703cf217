"""OffsetCommit, OffsetFetch and OffsetDelete: by members and by others, and what is refused."""

import pytest

from kpy.groups.coordinator import EXPIRY_TIMER
from kpy.groups.records import offset_record
from kpy.protocol.errors import ErrorCode
from kpy.protocol.group_records import OffsetCommitValue
from kpy.protocol.messages.offset_fetch import OffsetFetchRequestGroup, OffsetFetchRequestTopics
from tests.groups.group_context import START_MS, GroupContext, subscription

NONE = ErrorCode.NONE


def test_a_commit_without_members_makes_a_group(groups: GroupContext) -> None:
    """Such a group has no protocol, is empty, and is listed."""
    assert groups.commit("g", ("t", 0, 5), ("t", 1, 7)) == [NONE, NONE]

    assert groups.committed("g") == {("t", 0): 5, ("t", 1): 7}
    assert groups.state("g") == "Empty"
    assert groups.describe("g").protocol_type == ""


def test_a_commit_is_a_record_of_each_partition(groups: GroupContext) -> None:
    """With the topic's id and the time, metadata never null, and no expiry of its own."""
    groups.commit("g", ("t", 2, 5), metadata=None, epoch=3)
    value = OffsetCommitValue(
        offset=5, leader_epoch=3, metadata="", commit_timestamp=START_MS, topic_id=groups.topic_id("t")
    )
    assert groups.records == [offset_record("g", "t", 2, value)]


def test_a_retention_of_its_own_is_an_expiry(groups: GroupContext) -> None:
    """Until version 4 a commit could bring one; its record is of version 1, without epoch and topic id."""
    groups.commit("g", ("t", 0, 5), version=2, retention_ms=60_000, epoch=3)
    value = OffsetCommitValue(offset=5, metadata="", commit_timestamp=START_MS, expire_timestamp=START_MS + 60_000)
    assert groups.records == [offset_record("g", "t", 0, value)]
    assert groups.log[-1][1][:2] == b"\x00\x01"


def test_the_last_commit_of_a_partition_counts(groups: GroupContext) -> None:
    """In one request as over several, forwards and backwards."""
    groups.commit("g", ("t", 0, 9), ("t", 0, 4))
    assert groups.committed("g") == {("t", 0): 4}
    groups.commit("g", ("t", 0, 1))
    assert groups.committed("g") == {("t", 0): 1}


def test_a_commit_of_nothing_makes_no_group(groups: GroupContext) -> None:
    """Nor does one of which nothing is accepted."""
    assert groups.commit("g") == []
    assert groups.commit("g", ("nope", 0, 1), ("t", 4, 1), ("t", -1, 1)) == [ErrorCode.UNKNOWN_TOPIC_OR_PARTITION] * 3
    assert groups.commit("g", ("t", 0, 1), metadata="m" * 4097) == [ErrorCode.OFFSET_METADATA_TOO_LARGE]
    assert groups.machine.list_groups([], []) == []


def test_topic_ids(groups: GroupContext) -> None:
    """From version 10 on topics go by id, and an unknown one, or the zero id, is UNKNOWN_TOPIC_ID."""
    assert groups.commit("g", ("t", 0, 5), ("nope", 0, 1), ("t", 9, 1), version=10) == [
        NONE,
        ErrorCode.UNKNOWN_TOPIC_ID,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ]
    assert groups.fetch("g", "t", 0, 1, version=10) == [(5, -1, "", 0), (-1, -1, "", 0)]
    assert groups.fetch("g", "nope", 0, version=10) == [(-1, -1, "", ErrorCode.UNKNOWN_TOPIC_ID)]


@pytest.mark.parametrize(
    ("metadata", "code"),
    [
        ("m" * 4096, NONE),
        ("m" * 4097, ErrorCode.OFFSET_METADATA_TOO_LARGE),
        ("é" * 4096, NONE),
        ("\U0001f600" * 2048, NONE),
        ("\U0001f600" * 2049, ErrorCode.OFFSET_METADATA_TOO_LARGE),
    ],
)
def test_the_size_of_metadata_is_that_of_a_java_string(groups: GroupContext, metadata: str, code: ErrorCode) -> None:
    """offset.metadata.max.bytes is compared with UTF-16 units, whatever its name says."""
    assert groups.commit("g", ("t", 0, 1), metadata=metadata) == [code]


@pytest.mark.parametrize("version", [2, 9])
def test_a_generation_needs_a_group(groups: GroupContext, version: int) -> None:
    """GROUP_ID_NOT_FOUND from version 9 on, ILLEGAL_GENERATION before; a mere member id does not matter."""
    code = ErrorCode.GROUP_ID_NOT_FOUND if version == 9 else ErrorCode.ILLEGAL_GENERATION
    assert groups.commit("g", ("t", 0, 1), ("nope", 0, 1), generation=1, version=version) == [
        code,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ]
    assert groups.commit("g", ("t", 0, 1), generation=1, member="m", version=version) == [code]
    assert groups.commit("g", ("t", 0, 1), member="m", version=version) == [NONE]


def test_who_may_commit_to_a_group_with_members(groups: GroupContext) -> None:
    """Its members, in its generation, unless the leader is about to assign."""
    a, b = groups.stable("a", "b")
    assert a.commit(("t", 0, 1)) == [NONE]
    assert groups.commit("g", ("t", 0, 1)) == [ErrorCode.UNKNOWN_MEMBER_ID]
    assert a.commit(("t", 0, 1), member="nobody") == [ErrorCode.UNKNOWN_MEMBER_ID]
    assert a.commit(("t", 0, 1), generation=1) == [ErrorCode.ILLEGAL_GENERATION]
    assert a.commit(("t", 0, 1), generation=-1) == [ErrorCode.ILLEGAL_GENERATION]
    assert a.commit(("t", 0, 1), instance="one") == [ErrorCode.UNKNOWN_MEMBER_ID]

    b.protocols["range"] = subscription("other")
    b.ask_join()
    assert a.commit(("t", 0, 2)) == [NONE]  # of the last generation, while the next one is prepared
    a.ask_join()
    assert a.commit(("t", 0, 3)) == [ErrorCode.REBALANCE_IN_PROGRESS]
    assert a.commit(("t", 0, 3), generation=a.generation - 1) == [ErrorCode.ILLEGAL_GENERATION]
    assert groups.committed("g") == {("t", 0): 2}


def test_who_may_commit_to_an_empty_group(groups: GroupContext) -> None:
    """Anybody who claims no generation; a former member may not."""
    (a,) = groups.stable("a")
    a.leave()
    assert groups.commit("g", ("t", 0, 1)) == [NONE]
    assert groups.commit("g", ("t", 0, 1), member="whoever") == [NONE]
    assert a.commit(("t", 0, 1)) == [ErrorCode.UNKNOWN_MEMBER_ID]


def test_the_empty_group_id_can_commit(groups: GroupContext) -> None:
    """Old simple consumers use it; it can be deleted, too."""
    assert groups.commit("", ("t", 0, 5)) == [NONE]
    assert groups.committed("") == {("t", 0): 5}
    assert groups.delete_groups("") == {"": NONE}


# --- fetch ---


def test_what_was_not_committed_is_minus_one(groups: GroupContext) -> None:
    """No error: not of the partition, the topic, nor the group."""
    groups.commit("g", ("t", 0, 5), epoch=3, metadata="note")
    assert groups.fetch("g", "t", 0, 1, 99) == [(5, 3, "note", 0), (-1, -1, "", 0), (-1, -1, "", 0)]
    assert groups.fetch("g", "nope", 0) == [(-1, -1, "", 0)]
    assert groups.fetch("nope", "t", 0) == [(-1, -1, "", 0)]
    assert groups.committed("nope") == {}


def test_topics_are_answered_in_the_order_asked_for(groups: GroupContext) -> None:
    """Also those that are unknown, in between."""
    request = OffsetFetchRequestGroup(
        group_id="g",
        topics=[
            OffsetFetchRequestTopics(topic_id=topic_id, partition_indexes=[1, 0])
            for topic_id in (groups.topic_id("nope"), groups.topic_id("t"))
        ],
    )
    found = groups.machine.offset_fetch(request, version=10, topics=groups.topics)
    assert [topic.topic_id for topic in found.topics] == [groups.topic_id("nope"), groups.topic_id("t")]
    assert [[p.partition_index for p in topic.partitions] for topic in found.topics] == [[1, 0], [1, 0]]


def test_offsets_of_a_former_topic_are_not_those_of_its_namesake(groups: GroupContext) -> None:
    """By id, an offset belongs to the topic that it was committed for."""
    groups.commit("g", ("t", 0, 5))
    groups.topics.add("t", number=77)
    assert groups.fetch("g", "t", 0, version=10) == [(-1, -1, "", 0)]


def test_all_topics_by_id_leaves_out_what_has_none(groups: GroupContext) -> None:
    """A topic that is gone can be named, but not by an id."""
    groups.topics.add("gone")
    groups.commit("g", ("t", 0, 5), ("gone", 0, 6))
    del groups.topics.by_name["gone"]
    assert groups.committed("g", version=9) == {("t", 0): 5, ("gone", 0): 6}
    assert groups.committed("g", version=10) == {("t", 0): 5}


# --- delete ---


def test_offsets_are_deleted_by_tombstones(groups: GroupContext) -> None:
    """One for each that was there; a partition without a commit is fine, one that does not exist is not."""
    groups.commit("g", ("t", 0, 5), ("t", 1, 6))
    assert groups.delete_offsets("g", ("t", 0), ("t", 2), ("t", 9), ("nope", 0)) == (
        NONE,
        [NONE, NONE, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION],
    )
    assert groups.records == [offset_record("g", "t", 0, None)]
    assert groups.committed("g") == {("t", 1): 6}


def test_offsets_that_cannot_be_deleted(groups: GroupContext) -> None:
    """Without a group, and of a group with members: consumers guard what they read, others everything."""
    groups.topics.add("other")
    assert groups.delete_offsets("", ("t", 0)) == (ErrorCode.INVALID_GROUP_ID, [])
    assert groups.delete_offsets("nope", ("t", 0)) == (ErrorCode.GROUP_ID_NOT_FOUND, [])

    (a,) = groups.stable("a", protocols={"range": subscription("t")})
    a.commit(("t", 0, 5), ("other", 0, 6))
    assert groups.delete_offsets("g", ("t", 0), ("other", 0)) == (NONE, [ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC, NONE])
    assert groups.committed("g") == {("t", 0): 5}

    groups.stable("c", group="connect", protocol_type="connect")
    assert groups.delete_offsets("connect", ("t", 0)) == (ErrorCode.NON_EMPTY_GROUP, [])


def test_consumers_that_do_not_tell_guard_everything(groups: GroupContext) -> None:
    """If the metadata of one member cannot be read, the group may be subscribed to any topic."""
    (a,) = groups.stable("a", protocols={"range": b"\x00"})
    a.commit(("t", 0, 5))
    assert groups.delete_offsets("g", ("t", 0)) == (NONE, [ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC])


def test_an_empty_group_guards_nothing(groups: GroupContext) -> None:
    """Once the members have gone, their offsets can be deleted."""
    (a,) = groups.stable("a")
    a.commit(("t", 0, 5))
    a.leave()
    assert groups.delete_offsets("g", ("t", 0)) == (NONE, [NONE])


def test_offsets_end_with_their_topic(groups: GroupContext) -> None:
    """In every group, but not those of a namesake with another id."""
    gone = groups.topic_id("t")
    groups.commit("g", ("t", 0, 5), ("t", 1, 6))
    groups.commit("h", ("t", 0, 7))
    groups.topics.add("t", number=77)
    groups.commit("h", ("t", 1, 8))
    groups.execute(groups.machine.topics_deleted({"t": gone}))

    assert groups.committed("g") == {}
    assert groups.committed("h") == {("t", 1): 8}
    groups.check_replay()


def test_many_offsets_end_in_several_batches(groups: GroupContext) -> None:
    """A topic, or a retention, may take more offsets along than one batch can forget."""
    gone = groups.topic_id("t")
    groups.commit("g", ("t", 0, 5))
    deleted = groups.machine.topics_deleted({"t": gone})
    expired = groups.machine.expire(EXPIRY_TIMER, now_ms=START_MS + groups.config.offsets_retention_ms)
    del groups.topics.by_name["t"]
    missed = groups.machine.forget_missing_topics(groups.topics)

    for decision in (deleted, expired, missed):
        assert decision.records
        assert not decision.is_atomic


def test_topics_that_went_while_nobody_looked(groups: GroupContext) -> None:
    """After loading, offsets of topics that are missing or have another id are forgotten."""
    groups.topics.add("gone")
    groups.topics.add("again")
    groups.commit("g", ("t", 0, 5), ("gone", 0, 6), ("again", 0, 7))
    del groups.topics.by_name["gone"]
    groups.topics.add("again", number=77)
    groups.restart()
    groups.execute(groups.machine.forget_missing_topics(groups.topics))
    assert groups.committed("g") == {("t", 0): 5}


def test_a_commit_that_is_not_appended_is_not_there(groups: GroupContext) -> None:
    """The error goes to the client, the offset stays what it was."""
    groups.commit("g", ("t", 0, 5))
    groups.appends_fail = True
    with pytest.raises(AssertionError):
        groups.commit("g", ("t", 0, 6))
    assert groups.committed("g") == {("t", 0): 5}
