"""DescribeGroups, ListGroups and DeleteGroups."""

import pytest

from kpy.groups.records import group_record, offset_record
from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.describe_groups import DescribedGroup, DescribedGroupMember
from kpy.protocol.messages.list_groups import ListedGroup
from tests.groups.group_context import GroupContext, subscription


def test_a_stable_group_shows_its_members(groups: GroupContext) -> None:
    """With the strategy in use, what they subscribe to and what they are assigned."""
    a = groups.client("c", instance="one")
    a.join()
    groups.advance(0)
    a.sync({a.id: b"parts"})

    assert groups.describe("g") == DescribedGroup(
        error_code=0,
        group_id="g",
        group_state="Stable",
        protocol_type="consumer",
        protocol_data="range",
        members=[
            DescribedGroupMember(
                member_id=a.id,
                group_instance_id="one",
                client_id="c",
                client_host="/127.0.0.1",
                member_metadata=subscription("t"),
                member_assignment=b"parts",
            )
        ],
    )


def test_a_group_that_rebalances_shows_who_is_in_it(groups: GroupContext) -> None:
    """Without strategy and metadata, since these are being negotiated."""
    groups.stable("a")
    groups.client("b").join()
    found = groups.describe("g")

    assert (found.group_state, found.protocol_type, found.protocol_data) == ("PreparingRebalance", "consumer", "")
    assert [(m.client_id, m.member_metadata, m.member_assignment) for m in found.members] == [
        ("a", b"", b"a"),
        ("b", b"", b""),
    ]


def test_a_generation_that_was_never_settled_has_no_assignments(groups: GroupContext) -> None:
    """What members had before is shown while the leader assigns, and no longer once that round is over without it."""
    a, b = groups.stable("a", "b")
    b.protocols["range"] = subscription("other")
    b.ask_join()
    a.ask_join()
    assert [m.member_assignment for m in groups.describe("g").members] == [b"a", b"b"]

    groups.client("c").join()
    assert [m.member_assignment for m in groups.describe("g").members] == [b"", b"", b""]


@pytest.mark.parametrize(
    ("version", "code"), [(0, ErrorCode.NONE), (5, ErrorCode.NONE), (6, ErrorCode.GROUP_ID_NOT_FOUND)]
)
def test_a_missing_group_is_dead(groups: GroupContext, version: int, code: ErrorCode) -> None:
    """Only version 6 calls it an error, with a message."""
    found = groups.describe("nope", version=version)
    assert (found.group_state, found.error_code) == ("Dead", code)
    assert bool(found.error_message) is (version == 6)


def test_groups_are_listed_by_state_and_type(groups: GroupContext) -> None:
    """Filters ignore case and blanks, add up, and an unknown word matches nothing."""
    groups.stable("a", group="stable")
    groups.commit("offsets", ("t", 0, 1))
    groups.stable("b", group="rebalancing")
    groups.client("c", group="rebalancing").join()

    def names(states: list[str], types: list[str]) -> set[str]:
        return {group.group_id for group in groups.machine.list_groups(states, types)}

    assert groups.machine.list_groups(["Stable"], []) == [
        ListedGroup(group_id="stable", protocol_type="consumer", group_state="Stable", group_type="classic")
    ]
    assert names([], []) == {"stable", "offsets", "rebalancing"}
    assert names([" EMPTY ", "preparingrebalance"], []) == {"offsets", "rebalancing"}
    assert names(["Dead"], []) == names(["strange"], []) == set()
    assert names([], ["CLASSIC"]) == names([], ["consumer", "classic"]) == {"stable", "offsets", "rebalancing"}
    assert names([], ["consumer"]) == names([], ["strange"]) == set()
    assert names(["stable"], ["classic"]) == {"stable"}


def test_only_empty_groups_can_be_deleted(groups: GroupContext) -> None:
    """With their offsets, by tombstones; each group has its own result."""
    groups.stable("a")
    groups.commit("empty", ("t", 0, 1), ("t", 1, 2))
    assert groups.delete_groups("g", "empty", "nope", "") == {
        "g": ErrorCode.NON_EMPTY_GROUP,
        "empty": ErrorCode.NONE,
        "nope": ErrorCode.GROUP_ID_NOT_FOUND,
        "": ErrorCode.GROUP_ID_NOT_FOUND,
    }
    assert groups.records == [
        offset_record("empty", "t", 0, None),
        offset_record("empty", "t", 1, None),
        group_record("empty", None),
    ]
    assert groups.committed("empty") == {}
    assert groups.delete_groups("empty") == {"empty": ErrorCode.GROUP_ID_NOT_FOUND}
    groups.check_replay()


def test_what_was_reserved_in_a_deleted_group_is_gone(groups: GroupContext) -> None:
    """Its timers find nothing, and its id is unknown."""
    a = groups.client("a")
    a.ask_join()
    assert groups.delete_groups("g") == {"g": ErrorCode.NONE}
    groups.advance(60_000)
    assert a.ask_join().code is ErrorCode.UNKNOWN_MEMBER_ID
    assert groups.state("g") == "Dead"
