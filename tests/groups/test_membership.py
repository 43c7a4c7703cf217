"""SyncGroup, Heartbeat and LeaveGroup, in each state of the group."""

import pytest

from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.leave_group import LeaveGroupRequest, LeaveGroupResponse
from kpy.protocol.messages.sync_group import SyncGroupRequest, SyncGroupResponse
from tests.groups.group_context import Client, GroupContext, subscription


def leader_and_follower(groups: GroupContext) -> tuple[Client, Client]:
    """Two members whose generation waits for the leader."""
    a, b = groups.stable("a", "b")
    b.protocols["range"] = subscription("other")
    b.ask_join()
    a.ask_join()
    return a, b


# --- sync ---


def test_each_member_gets_what_the_leader_assigned_it(groups: GroupContext) -> None:
    """Followers wait for the leader; those who come after it are answered at once."""
    a, b = leader_and_follower(groups)
    waiting = b.sync()
    assert waiting.is_parked
    leader = a.sync({a.id: b"x", b.id: b"y", "stranger": b"z"})

    assert waiting.message == SyncGroupResponse(
        error_code=0, protocol_type="consumer", protocol_name="range", assignment=b"y"
    )
    assert leader.message.assignment == b"x"
    assert b.sync().message.assignment == b"y"
    assert [m.member_id for m in groups.machine.describe_group("g", version=0).members] == [a.id, b.id]


def test_only_the_leader_assigns_and_only_once(groups: GroupContext) -> None:
    """What a follower sends is ignored, and so is what the leader sends to a stable group."""
    a, b = leader_and_follower(groups)
    waiting = b.sync({a.id: b"bad", b.id: b"bad"})
    a.sync({a.id: b"x", b.id: b"y"})

    assert waiting.message.assignment == b"y"
    assert a.sync({a.id: b"changed"}).message.assignment == b"x"
    assert groups.records == []


def test_a_forgotten_member_gets_nothing(groups: GroupContext) -> None:
    """A leader need not assign to everybody."""
    a, b = leader_and_follower(groups)
    waiting = b.sync()
    a.sync({})
    assert (waiting.code, waiting.message.assignment) == (ErrorCode.NONE, b"")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"member_id": "nobody"}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({"group_id": "nope"}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({"group_id": ""}, ErrorCode.INVALID_GROUP_ID),
        ({"generation_id": 2}, ErrorCode.ILLEGAL_GENERATION),
        ({"generation_id": 4}, ErrorCode.ILLEGAL_GENERATION),
        ({"protocol_type": "connect"}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        ({"protocol_name": "sticky"}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        ({"protocol_type": None}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        ({"protocol_name": None, "group_id": ""}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        ({"group_instance_id": "one"}, ErrorCode.UNKNOWN_MEMBER_ID),
    ],
)
def test_syncs_that_are_refused(groups: GroupContext, changes: dict[str, object], code: ErrorCode) -> None:
    """In Kafka's order: the named protocol (KIP-559), the group, the member, the generation, the protocol."""
    a, _ = leader_and_follower(groups)
    assert a.generation == 3
    answer = a.sync(**changes)
    assert answer.message == SyncGroupResponse(error_code=code, assignment=b"")


def test_old_syncs_name_no_protocol(groups: GroupContext) -> None:
    """Before version 5 there is no place for it, so it is not compared."""
    a, _ = leader_and_follower(groups)
    request = SyncGroupRequest(group_id="g", generation_id=3, member_id=a.id, assignments=[])
    answer = groups.ask(lambda to: groups.machine.sync_group(request, version=4, reply_to=to, now_ms=groups.now_ms))
    assert answer.code is ErrorCode.NONE


def test_a_sync_in_a_rebalance_is_called_to_join(groups: GroupContext) -> None:
    """Also one that was held when the rebalance began."""
    a, b = leader_and_follower(groups)
    waiting = b.sync()
    groups.client("c").join()

    assert waiting.code is ErrorCode.REBALANCE_IN_PROGRESS
    assert a.assign().code is ErrorCode.REBALANCE_IN_PROGRESS


def test_of_two_held_syncs_of_a_member_the_newer_counts(groups: GroupContext) -> None:
    """The older is not left without an answer."""
    a, b = leader_and_follower(groups)
    older, newer = b.sync(), b.sync()
    assert (older.code, newer.is_parked) == (ErrorCode.REBALANCE_IN_PROGRESS, True)
    a.assign()
    assert newer.message.assignment == b"b"


def test_an_assignment_that_is_not_appended_is_not_given(groups: GroupContext) -> None:
    """Everybody who waited hears of it and syncs again; the generation is not stable before it is in the log."""
    a, b = leader_and_follower(groups)
    waiting = b.sync()
    groups.appends_fail = True
    assert a.assign().error is not None
    assert waiting.error is not None
    assert groups.state("g") == "CompletingRebalance"

    groups.appends_fail = False
    waiting = b.sync()
    a.assign()
    assert (groups.state("g"), waiting.message.assignment) == ("Stable", b"b")
    groups.check_replay()


# --- heartbeat ---


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, ErrorCode.NONE),
        ({"group_id": ""}, ErrorCode.INVALID_GROUP_ID),
        ({"group_id": "nope"}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({"member_id": "nobody"}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({"member_id": ""}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({"member_id": "nobody", "generation_id": 9}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({"generation_id": -1}, ErrorCode.ILLEGAL_GENERATION),
        ({"generation_id": 0}, ErrorCode.ILLEGAL_GENERATION),
        ({"generation_id": 2}, ErrorCode.ILLEGAL_GENERATION),
        ({"group_instance_id": "one"}, ErrorCode.UNKNOWN_MEMBER_ID),
    ],
)
def test_heartbeats(groups: GroupContext, changes: dict[str, object], code: ErrorCode) -> None:
    """The member is looked for before the generation."""
    (a,) = groups.stable("a")
    assert a.beat(**changes) is code


def test_a_heartbeat_before_the_assignment_is_fine(groups: GroupContext) -> None:
    """A member may beat between its join and its sync."""
    a, b = leader_and_follower(groups)
    assert (a.beat(), b.beat()) == (ErrorCode.NONE, ErrorCode.NONE)


# --- leave ---


def test_who_leaves_is_gone_at_once(groups: GroupContext) -> None:
    """The others rebalance, and the leaver is unknown."""
    a, b = groups.stable("a", "b")
    assert a.leave() is ErrorCode.NONE

    assert a.beat() is ErrorCode.UNKNOWN_MEMBER_ID
    assert b.beat() is ErrorCode.REBALANCE_IN_PROGRESS
    b.ask_join()
    assert b.leads


@pytest.mark.parametrize("version", [0, 2])
def test_before_version_3_one_leaves_and_the_error_is_its_own(groups: GroupContext, version: int) -> None:
    """The member's error is that of the response, which has no members."""
    (a,) = groups.stable("a")
    for member, code in ((a.id, 0), (a.id, ErrorCode.UNKNOWN_MEMBER_ID)):
        request = LeaveGroupRequest(group_id="g", member_id=member)
        answer = groups.ask(
            lambda to, request=request: groups.machine.leave_group(
                request, version=version, reply_to=to, now_ms=groups.now_ms
            )
        )
        assert answer.message == LeaveGroupResponse(error_code=code)


def test_leaving_a_group_that_is_not_there(groups: GroupContext) -> None:
    """Every member is unknown, the response is fine; only the empty group id is an error of its own."""
    response = groups.leave("nope", ("m", None), ("", "one"))
    assert response.error_code == 0
    assert [(m.member_id, m.group_instance_id, m.error_code) for m in response.members] == [
        ("m", None, ErrorCode.UNKNOWN_MEMBER_ID),
        ("", "one", ErrorCode.UNKNOWN_MEMBER_ID),
    ]
    assert groups.leave("", ("m", None)) == LeaveGroupResponse(error_code=ErrorCode.INVALID_GROUP_ID)


def test_nobody_leaves(groups: GroupContext) -> None:
    """An empty batch changes nothing."""
    groups.stable("a")
    assert groups.leave("g") == LeaveGroupResponse(error_code=0, members=[])
    assert groups.state("g") == "Stable"


def test_several_leave_in_one_rebalance(groups: GroupContext) -> None:
    """A batch begins one round, and empties the group if it takes all."""
    a, b, c = groups.stable("a", "b", "c")
    groups.leave("g", (a.id, None), (b.id, None))
    c.ask_join()
    assert c.peers == [c.id]
    groups.leave("g", (c.id, None))
    assert groups.state("g") == "Empty"


def test_an_id_that_was_only_reserved_can_be_given_back(groups: GroupContext) -> None:
    """It is unknown afterwards, and no rebalance waits for it."""
    a, b = groups.stable("a", "b")
    c = groups.client("c")
    c.ask_join()
    a.ask_join()
    held = b.ask_join()
    assert held.is_parked
    assert c.leave() is ErrorCode.NONE

    assert held.code is ErrorCode.NONE
    assert c.ask_join().code is ErrorCode.UNKNOWN_MEMBER_ID


def test_held_requests_of_a_leaver_are_answered(groups: GroupContext) -> None:
    """Its join and its sync end with UNKNOWN_MEMBER_ID when somebody removes it meanwhile."""
    a, b = leader_and_follower(groups)
    waiting = b.sync()
    b.leave()
    assert waiting.code is ErrorCode.UNKNOWN_MEMBER_ID

    c = groups.client("c")
    joined = c.join()
    groups.leave("g", (c.id, None))
    assert (joined.code, joined.message.member_id) == (ErrorCode.UNKNOWN_MEMBER_ID, "")
    a.ask_join()
    assert a.peers == [a.id]
