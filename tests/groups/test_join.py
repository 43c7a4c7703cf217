"""JoinGroup: who gets in, under which id, and with which refusals."""

import pytest

from kpy.groups.config import NEW_MEMBER_JOIN_TIMEOUT_MS
from kpy.groups.records import empty_group, group_record
from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse
from tests.groups.group_context import START_MS, GroupContext, settle, subscription


def test_a_new_member_is_given_an_id_and_joins_with_it(groups: GroupContext) -> None:
    """From version 4 on the first answer is MEMBER_ID_REQUIRED with an id made of the client id and a random part."""
    a = groups.client("a", version=4)
    refused = a.ask_join()

    assert refused.code is ErrorCode.MEMBER_ID_REQUIRED
    assert a.id.startswith("a-")
    assert len(a.id) == len("a-") + 36
    assert groups.records == [group_record("g", empty_group("", 0, START_MS))]
    assert groups.state("g") == "Empty"
    first_id = a.id

    answer = a.ask_join()
    assert answer.is_parked
    groups.advance(0)
    assert answer.message == JoinGroupResponse(
        error_code=0,
        generation_id=1,
        protocol_type="consumer",
        protocol_name="range",
        leader=first_id,
        member_id=first_id,
        members=answer.message.members,
    )
    assert [(m.member_id, m.metadata) for m in answer.message.members] == [(first_id, subscription("t"))]


@pytest.mark.parametrize("version", [0, 3])
def test_old_clients_join_at_once(groups: GroupContext, version: int) -> None:
    """Before version 4 a member is in with its first request."""
    a = groups.client("a", version=version)
    answer = a.ask_join()
    groups.advance(0)

    assert answer.code is ErrorCode.NONE
    assert a.generation == 1


def test_version_0_has_one_timeout(groups: GroupContext) -> None:
    """The session timeout of version 0 is its rebalance timeout too (KIP-62)."""
    (a,) = groups.stable("a", version=0, session_ms=700, rebalance_ms=-1)
    b = groups.client("b", version=0, session_ms=700)
    b.ask_join()
    groups.advance(300)
    a.beat()
    groups.advance(399)
    assert groups.state("g") == "PreparingRebalance"
    groups.advance(1)

    assert groups.state("g") == "CompletingRebalance"
    assert a.beat() is ErrorCode.UNKNOWN_MEMBER_ID


@pytest.mark.parametrize("ms", [-1, 0, 99, 1_800_001])
def test_session_timeouts_out_of_bounds(groups: GroupContext, ms: int) -> None:
    """Both bounds are inclusive; a refused join echoes the member id and makes no group."""
    a = groups.client("a", session_ms=ms)
    a.id = "mine"
    answer = a.ask_join()

    assert answer.code is ErrorCode.INVALID_SESSION_TIMEOUT
    assert answer.message.member_id == "mine"
    assert groups.machine.list_groups([], []) == []


@pytest.mark.parametrize(("version", "protocol_name"), [(0, ""), (6, ""), (7, None), (9, None)])
def test_a_refused_join_has_no_protocol(groups: GroupContext, version: int, protocol_name: str | None) -> None:
    """An absent protocol name is empty, and null from version 7 on."""
    a = groups.client("a", group="", version=version)
    answer = a.ask_join()

    assert answer.code is ErrorCode.INVALID_GROUP_ID
    assert answer.message == JoinGroupResponse(
        error_code=24, protocol_name=protocol_name, leader="", member_id="", members=[]
    )


def test_an_id_that_nobody_gave(groups: GroupContext) -> None:
    """UNKNOWN_MEMBER_ID with the id, whether the group is there or not; no group comes of it."""
    for group in ("g", "nope"):
        if group == "g":
            groups.stable("a")
        stranger = groups.client("s", group=group)
        stranger.id = "stranger"
        answer = stranger.ask_join()
        assert answer.code is ErrorCode.UNKNOWN_MEMBER_ID
        assert answer.message.member_id == "stranger"
    assert [listed.group_id for listed in groups.machine.list_groups([], [])] == ["g"]


@pytest.mark.parametrize(
    ("protocol_type", "protocols"),
    [("connect", ["range"]), ("consumer", ["sticky"]), ("consumer", []), ("", ["range"])],
)
def test_a_protocol_that_the_group_does_not_speak(
    groups: GroupContext, protocol_type: str, protocols: list[str]
) -> None:
    """The type must be the group's, and one strategy common to all members."""
    groups.stable("a", protocols=["range", "roundrobin"])
    answer = groups.client("b", protocol_type=protocol_type, protocols=protocols).ask_join()

    assert answer.code is ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    assert answer.message.member_id == ""
    assert groups.state("g") == "Stable"


def test_a_new_group_wants_a_protocol(groups: GroupContext) -> None:
    """Without a type or a strategy the join is refused, and yet the group is there, as in Kafka."""
    answer = groups.client("a", protocols=[]).ask_join()

    assert answer.code is ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    assert groups.state("g") == "Empty"
    assert groups.records == [group_record("g", empty_group("", 0, START_MS))]


def test_a_protocol_named_twice(groups: GroupContext) -> None:
    """Kafka never answers such a join; here it is inconsistent."""
    request = JoinGroupRequest(
        group_id="g",
        session_timeout_ms=10_000,
        member_id="",
        protocol_type="consumer",
        protocols=[JoinGroupRequestProtocol(name="range", metadata=b"")] * 2,
    )
    answer = groups.ask(
        lambda to: groups.machine.join_group(
            request, version=3, client_id=None, client_host="/::1", reply_to=to, now_ms=groups.now_ms
        )
    )
    assert answer.code is ErrorCode.INCONSISTENT_GROUP_PROTOCOL


@pytest.mark.parametrize(
    ("preferences", "chosen"),
    [
        ([["range", "sticky"], ["range", "sticky"]], "range"),
        ([["range", "sticky"], ["sticky", "range"], ["sticky", "range"]], "sticky"),
        ([["range", "sticky"], ["other", "sticky"]], "sticky"),
        ([["range", "sticky"], ["sticky", "range"]], "sticky"),
        ([["sticky", "range"], ["range", "sticky"]], "sticky"),
        ([["range", "roundrobin"], ["roundrobin", "range"]], "range"),
        ([["cooperative-sticky", "range"], ["range", "cooperative-sticky"]], "range"),
        ([["b", "a"], ["a", "b"]], "a"),
    ],
)
def test_members_vote_for_the_protocol(groups: GroupContext, preferences: list[list[str]], chosen: str) -> None:
    """The strategy that most members prefer among those that all have; of equals, the first one voted for."""
    clients = [groups.client(f"c{i}", protocols=protocols) for i, protocols in enumerate(preferences)]
    for client in clients:
        client.join()
        groups.advance(0)
    answers = [client.ask_join() for client in clients]
    groups.advance(0)

    assert {answer.message.protocol_name for answer in answers} == {chosen}


def test_the_first_member_leads_and_only_it_is_told_of_the_members(groups: GroupContext) -> None:
    """Followers get no members; all get the leader's id."""
    a, b, c = groups.stable("a", "b", "c")

    assert [client.leads for client in (a, b, c)] == [True, False, False]
    assert a.peers == [a.id, b.id, c.id]
    assert b.peers == []


def test_a_join_is_held_until_everybody_has_joined(groups: GroupContext) -> None:
    """A new member begins a rebalance; members hear of it by heartbeat, and the last join answers all."""
    a, b = groups.stable("a", "b")
    c = groups.client("c")
    joined_c = c.join()

    assert groups.state("g") == "PreparingRebalance"
    assert a.beat() is ErrorCode.REBALANCE_IN_PROGRESS
    joined_a = a.ask_join()
    assert joined_a.is_parked
    joined_b = b.ask_join()
    assert [answer.code for answer in (joined_a, joined_b, joined_c)] == [ErrorCode.NONE] * 3
    assert {client.generation for client in (a, b, c)} == {a.generation}
    assert a.leads


def test_a_follower_that_has_not_changed_is_answered_at_once(groups: GroupContext) -> None:
    """A rejoin without news does not disturb a stable group; the generation stays."""
    _, b = groups.stable("a", "b")
    generation = b.generation
    answer = b.ask_join()

    assert answer.code is ErrorCode.NONE
    assert answer.message.members == []
    assert (groups.state("g"), b.generation) == ("Stable", generation)


def test_a_leader_that_joins_again_wants_a_rebalance(groups: GroupContext) -> None:
    """It may have seen that a topic changed, which its metadata does not show."""
    (a,) = groups.stable("a")
    a.ask_join()
    assert a.generation == 2
    assert groups.state("g") == "CompletingRebalance"


def test_a_follower_with_other_metadata_begins_a_rebalance(groups: GroupContext) -> None:
    """In a stable group as in one that waits for its leader."""
    a, b = groups.stable("a", "b")
    b.protocols["range"] = subscription("other")
    assert b.ask_join().is_parked
    a.ask_join()
    assert groups.state("g") == "CompletingRebalance"

    b.protocols["range"] = subscription("third")
    parked = b.ask_join()
    assert parked.is_parked
    assert groups.state("g") == "PreparingRebalance"


def test_a_lost_answer_is_given_again(groups: GroupContext) -> None:
    """While the leader assigns, a member that joins again unchanged gets the same generation."""
    a, b = groups.stable("a", "b")
    b.protocols["range"] = subscription("other")
    b.ask_join()
    a.ask_join()
    generation, peers = a.generation, a.peers

    again = a.ask_join()
    assert (again.code, a.generation, a.peers) == (ErrorCode.NONE, generation, peers)
    assert b.ask_join().message.generation_id == generation


def test_of_two_held_joins_of_a_member_the_newer_counts(groups: GroupContext) -> None:
    """The older is called to join again rather than never answered."""
    a, b = groups.stable("a", "b")
    groups.client("c").join()
    older = a.ask_join()
    newer = a.ask_join()

    assert older.code is ErrorCode.REBALANCE_IN_PROGRESS
    assert newer.is_parked
    b.ask_join()
    assert newer.code is ErrorCode.NONE


def test_an_id_that_nobody_joins_with_is_forgotten(groups: GroupContext) -> None:
    """A reserved id holds a rebalance up until its session timeout, then it is unknown."""
    (a,) = groups.stable("a", session_ms=60_000)
    b = groups.client("b", session_ms=5_000)
    b.ask_join()
    assert a.ask_join().is_parked
    groups.advance(4_999)
    assert groups.state("g") == "PreparingRebalance"
    groups.advance(1)

    assert groups.state("g") == "CompletingRebalance"
    assert b.ask_join().code is ErrorCode.UNKNOWN_MEMBER_ID


def test_a_reserved_id_joins_without_an_instance_id_only(groups: GroupContext) -> None:
    """Reserved ids belong to dynamic members; with an instance id nobody is found."""
    b = groups.client("b")
    b.ask_join()
    b.instance = "static"
    assert b.ask_join().code is ErrorCode.UNKNOWN_MEMBER_ID


def test_a_new_member_is_not_held_for_ever(groups: GroupContext) -> None:
    """It cannot send heartbeats yet, so its first join ends after five minutes with UNKNOWN_MEMBER_ID."""
    groups.stable("a", rebalance_ms=2 * NEW_MEMBER_JOIN_TIMEOUT_MS, session_ms=1_800_000)
    b = groups.client("b", version=0, session_ms=1_800_000)
    answer = b.ask_join()
    groups.advance(NEW_MEMBER_JOIN_TIMEOUT_MS)

    assert answer.code is ErrorCode.UNKNOWN_MEMBER_ID
    assert answer.message.member_id == ""


# --- group.max.size ---


def test_a_full_group_turns_new_members_away() -> None:
    """GROUP_MAX_SIZE_REACHED, with and without an id; members of it join again as they like."""
    groups = GroupContext(max_size=2)
    a, b = groups.stable("a", "b")
    c = groups.client("c")
    answer = c.ask_join()

    assert answer.code is ErrorCode.GROUP_MAX_SIZE_REACHED
    assert answer.message.member_id == ""
    assert b.ask_join().code is ErrorCode.NONE
    assert a.ask_join().is_parked
    assert groups.client("d", instance="d").ask_join().is_parked  # one of two has joined, so there is room
    assert b.ask_join().code is ErrorCode.GROUP_MAX_SIZE_REACHED


def test_who_is_turned_away_with_an_id_holds_nobody_up() -> None:
    """The id that it was given is given up, so that the next rebalance does not wait for it."""
    groups = GroupContext(max_size=1)
    a, b = groups.client("a"), groups.client("b")
    assert [client.ask_join().code for client in (a, b)] == [ErrorCode.MEMBER_ID_REQUIRED] * 2
    a.ask_join()
    assert b.ask_join().code is ErrorCode.GROUP_MAX_SIZE_REACHED
    groups.advance(0)
    a.assign()

    assert a.ask_join().code is ErrorCode.NONE


def test_a_lowered_limit_turns_away_who_joins_last() -> None:
    """A group that is loaded over the limit rebalances down to it."""
    groups = GroupContext()
    clients = groups.stable("a", "b", "c")
    groups.restart(max_size=2)

    assert [client.beat() for client in clients] == [ErrorCode.REBALANCE_IN_PROGRESS] * 3
    a, b, c = (client.ask_join() for client in clients)
    assert c.code is ErrorCode.GROUP_MAX_SIZE_REACHED
    groups.advance(30_000)
    assert (a.code, b.code) == (ErrorCode.NONE, ErrorCode.NONE)
    settle(groups, clients[:2])
    assert len(groups.describe("g").members) == 2


# --- a failed append ---


def test_a_group_whose_record_is_not_appended_is_not_there(groups: GroupContext) -> None:
    """The client is told, and nothing is left behind."""
    groups.appends_fail = True
    answer = groups.client("a").ask_join()
    assert answer.error is not None
    assert groups.state("g") == "Dead"

    groups.appends_fail = False
    groups.stable("a")
    groups.check_replay()
