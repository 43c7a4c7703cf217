"""The end of offsets and groups (KIP-211): by retention, by a commit's own expiry, never while they are in use."""

import pytest

from kpy.groups.records import empty_group, group_record, offset_record
from kpy.protocol.errors import ErrorCode
from kpy.protocol.group_records import OffsetCommitValue
from kpy.state_machine import Decision
from tests.groups.group_context import GroupContext, subscription

RETENTION_MS = 60 * 60 * 1000
CHECK_MS = 10 * 60 * 1000


@pytest.fixture
def groups() -> GroupContext:
    return GroupContext(offsets_retention_ms=RETENTION_MS, offsets_retention_check_interval_ms=CHECK_MS)


def test_offsets_without_members_expire_after_their_commit(groups: GroupContext) -> None:
    """Each by its own commit; with the last of them the group goes, and it is looked for at an interval."""
    groups.commit("g", ("t", 0, 5))
    groups.advance(CHECK_MS)
    groups.commit("g", ("t", 1, 6))
    groups.advance(RETENTION_MS - 2 * CHECK_MS)
    assert groups.committed("g") == {("t", 0): 5, ("t", 1): 6}

    assert groups.advance(CHECK_MS) == [offset_record("g", "t", 0, None)]
    assert groups.advance(CHECK_MS) == [offset_record("g", "t", 1, None), group_record("g", None)]
    assert groups.state("g") == "Dead"
    assert groups.advance(RETENTION_MS) == []
    groups.check_replay()


def test_offsets_of_a_group_expire_after_its_last_member(groups: GroupContext) -> None:
    """Not before: the retention begins when the group becomes empty, however old the commits are."""
    (a,) = groups.stable("a", session_ms=1_800_000)
    a.commit(("t", 0, 5))
    for _ in range(5):
        groups.advance(RETENTION_MS // 3)
        a.beat()
    a.leave()
    groups.advance(RETENTION_MS - CHECK_MS)
    assert groups.committed("g") == {("t", 0): 5}
    groups.advance(CHECK_MS)
    assert groups.committed("g") == {}
    assert groups.state("g") == "Dead"


def test_the_retention_survives_a_restart(groups: GroupContext) -> None:
    """The record of an empty group says since when it is."""
    (a,) = groups.stable("a")
    a.commit(("t", 0, 5))
    a.leave()
    groups.advance(RETENTION_MS - CHECK_MS)
    groups.restart()
    assert groups.committed("g") == {("t", 0): 5}
    groups.advance(CHECK_MS)
    assert groups.committed("g") == {}


def test_members_keep_what_they_read_and_lose_the_rest(groups: GroupContext) -> None:
    """A stable group of consumers loses offsets of topics that none of them subscribes to."""
    groups.topics.add("left")
    (a,) = groups.stable("a", session_ms=1_800_000, protocols={"range": subscription("t")})
    a.commit(("t", 0, 5), ("left", 0, 6))
    for _ in range(7):
        groups.advance(CHECK_MS)
        a.beat()

    assert groups.committed("g") == {("t", 0): 5}
    assert groups.state("g") == "Stable"


@pytest.mark.parametrize("protocols", [{"range": b"\x00"}, {"range": subscription("t")}])
@pytest.mark.parametrize("protocol_type", ["consumer", "connect"])
def test_members_that_do_not_tell_keep_everything(
    groups: GroupContext, protocols: dict[str, bytes], protocol_type: str
) -> None:
    """So do groups that are not of consumers: who knows what they read."""
    (a,) = groups.stable("a", session_ms=1_800_000, protocols=protocols, protocol_type=protocol_type)
    a.commit(("t", 0, 5))
    for _ in range(7):
        groups.advance(CHECK_MS)
        a.beat()
    assert groups.committed("g") == {("t", 0): 5}


def test_a_rebalance_expires_nothing(groups: GroupContext) -> None:
    """While members are on their way, all offsets stay."""
    groups.topics.add("left")
    (a,) = groups.stable("a", session_ms=1_800_000, rebalance_ms=2 * RETENTION_MS)
    a.commit(("left", 0, 5))
    groups.client("b", session_ms=1_800_000).join()
    for _ in range(7):
        groups.advance(CHECK_MS)
        a.beat()
    assert groups.state("g") == "PreparingRebalance"
    assert groups.committed("g") == {("left", 0): 5}


def test_a_commit_may_bring_its_own_end(groups: GroupContext) -> None:
    """It counts instead of the retention, shorter or longer."""
    groups.commit("g", ("t", 0, 5), version=4, retention_ms=CHECK_MS)
    groups.commit("g", ("t", 1, 6), version=4, retention_ms=2 * RETENTION_MS)
    groups.advance(CHECK_MS)
    assert groups.committed("g") == {("t", 1): 6}
    groups.advance(2 * RETENTION_MS - 2 * CHECK_MS)
    assert groups.committed("g") == {("t", 1): 6}
    groups.advance(CHECK_MS)
    assert groups.committed("g") == {}


def test_an_empty_group_without_offsets_goes_at_once(groups: GroupContext) -> None:
    """At the next look, that is; members that come later find a new group."""
    (a,) = groups.stable("a")
    a.leave()
    assert groups.advance(CHECK_MS) == [group_record("g", None)]
    (b,) = groups.stable("b")
    assert b.generation == 1


def test_an_end_beyond_all_time_is_in_the_past(groups: GroupContext) -> None:
    """The sum of now and the retention is one of Java's long integers, as in Kafka: the offset expires at once."""
    assert groups.commit("g", ("t", 0, 5), version=4, retention_ms=2**63 - 2) == [ErrorCode.NONE]
    groups.advance(CHECK_MS)
    assert groups.committed("g") == {}


def test_a_group_whose_record_does_not_say_since_when_it_is_empty(groups: GroupContext) -> None:
    """Records of brokers before 2.1 do not: each offset expires by its own commit."""
    value = OffsetCommitValue(offset=5, metadata="", commit_timestamp=groups.now_ms)
    groups.execute(
        Decision(records=(group_record("g", empty_group("consumer", 3, -1)), offset_record("g", "t", 0, value)))
    )
    groups.advance(RETENTION_MS - CHECK_MS)
    assert groups.committed("g") == {("t", 0): 5}
    groups.advance(CHECK_MS)
    assert groups.committed("g") == {}
