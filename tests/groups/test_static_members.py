"""Static members (KIP-345): an instance id that comes back keeps its place, and whoever had it before is fenced."""

import pytest

from kpy.protocol.errors import ErrorCode
from tests.groups.group_context import Client, GroupContext, settle, subscription


def statics(groups: GroupContext, *names: str, **options: object) -> list[Client]:
    clients = [groups.client(name, instance=name, **options) for name in names]
    settle(groups, clients)
    return clients


def test_a_static_member_needs_no_second_join(groups: GroupContext) -> None:
    """It is in with its first request; its id begins with the instance id."""
    one = groups.client("c", instance="one")
    answer = one.ask_join()
    groups.advance(0)

    assert answer.code is ErrorCode.NONE
    assert one.id.startswith("one-")


@pytest.mark.parametrize(("version", "leads"), [(5, False), (8, False), (9, True)])
def test_a_returning_leader_takes_its_place_without_a_rebalance(
    groups: GroupContext, version: int, leads: bool
) -> None:
    """The generation stays. In version 9 it learns that it leads and need not assign (KIP-814), before it must not."""
    one, two = statics(groups, "one", "two")
    again = groups.client("one", instance="one", version=version)
    answer = again.ask_join()

    assert answer.code is ErrorCode.NONE
    assert again.generation == one.generation
    assert again.id != one.id
    assert answer.message.leader == (again.id if leads else one.id)
    assert answer.message.skip_assignment is leads
    assert again.peers == ([again.id, two.id] if leads else [])
    assert groups.state("g") == "Stable"
    assert again.sync().message.assignment == b"one"


def test_a_returning_follower_skips_nothing(groups: GroupContext) -> None:
    """It gets no members and no word about assignments."""
    one, _ = statics(groups, "one", "two")
    again = groups.client("two", instance="two")
    answer = again.ask_join()

    assert (answer.message.skip_assignment, answer.message.leader, again.peers) == (False, one.id, [])


def test_the_former_member_is_fenced(groups: GroupContext) -> None:
    """With its instance id it hears FENCED_INSTANCE_ID everywhere, without one it is unknown."""
    one, _ = statics(groups, "one", "two")
    again = groups.client("one", instance="one")
    again.ask_join()

    assert one.beat() is ErrorCode.FENCED_INSTANCE_ID
    assert one.sync().code is ErrorCode.FENCED_INSTANCE_ID
    assert one.ask_join().code is ErrorCode.FENCED_INSTANCE_ID
    assert one.leave() is ErrorCode.FENCED_INSTANCE_ID
    assert one.commit(("t", 0, 1)) == [ErrorCode.FENCED_INSTANCE_ID]
    one.instance = None
    assert one.beat() is ErrorCode.UNKNOWN_MEMBER_ID
    assert again.beat() is ErrorCode.NONE


def test_the_return_is_in_the_log(groups: GroupContext) -> None:
    """One record with the new member id, the old assignment and, if it led, the new leader."""
    one, two = statics(groups, "one", "two")
    again = groups.client("one", instance="one")
    again.ask_join()
    (record,) = groups.records

    assert record.value.leader == again.id
    assert {m.member_id: m.assignment for m in record.value.members} == {again.id: b"one", two.id: b"two"}
    groups.restart()
    assert again.beat() is ErrorCode.NONE
    assert one.beat() is ErrorCode.FENCED_INSTANCE_ID


def test_other_metadata_alone_does_not_rebalance(groups: GroupContext) -> None:
    """As long as the strategy stays, a static member may come back with another subscription."""
    statics(groups, "one", "two")
    again = groups.client("one", instance="one", protocols={"range": subscription("other")})
    again.ask_join()

    assert groups.state("g") == "Stable"
    assert groups.describe("g").members[0].member_metadata == subscription("other")


def test_another_strategy_rebalances(groups: GroupContext) -> None:
    """If the vote changes with the member that came back, everybody joins again."""
    one, two = statics(groups, "one", "two", protocols=["range", "sticky"])
    again = groups.client("one", instance="one", protocols=["sticky"])

    assert again.ask_join().is_parked
    assert two.beat() is ErrorCode.REBALANCE_IN_PROGRESS
    two.ask_join()
    assert groups.machine.describe_group("g", version=5).group_state == "CompletingRebalance"
    assert one.beat() is ErrorCode.FENCED_INSTANCE_ID


def test_nobody_waits_for_the_sync_of_a_member_id_that_was_replaced(groups: GroupContext) -> None:
    """Kafka does, and rebalances when it has not come; here the group stays as it is."""
    one, two = (groups.client(name, instance=name, rebalance_ms=5_000) for name in ("one", "two"))
    one.ask_join()
    two.ask_join()
    groups.advance(0)
    one.assign()
    again = groups.client("two", instance="two", rebalance_ms=5_000)
    again.ask_join()
    groups.advance(5_000)

    assert (one.beat(), again.beat()) == (ErrorCode.NONE, ErrorCode.NONE)
    assert again.sync().message.assignment == b"two"


def test_a_return_while_the_leader_assigns_rebalances(groups: GroupContext) -> None:
    """The leader may have assigned to the old member id, so nobody keeps what it was about to get."""
    one, two = statics(groups, "one", "two")
    one.ask_join()
    two.ask_join()
    waiting = two.sync()
    again = groups.client("two", instance="two")
    parked = again.ask_join()

    assert waiting.code is ErrorCode.FENCED_INSTANCE_ID
    assert parked.is_parked
    assert one.assign().code is ErrorCode.REBALANCE_IN_PROGRESS
    one.ask_join()
    assert parked.code is ErrorCode.NONE


def test_a_return_fences_the_join_that_is_held(groups: GroupContext) -> None:
    """The older process with the instance id is out, with its own member id in the answer."""
    one, two = statics(groups, "one", "two")
    groups.client("three", instance="three").ask_join()
    held = two.ask_join()
    again = groups.client("two", instance="two")
    parked = again.ask_join()

    assert held.code is ErrorCode.FENCED_INSTANCE_ID
    assert held.message.member_id == two.id
    one.ask_join()
    assert parked.code is ErrorCode.NONE


def test_a_silent_static_member_keeps_its_place_in_a_rebalance(groups: GroupContext) -> None:
    """It is not evicted by the rebalance timeout, only by its session timeout."""
    one, two = statics(groups, "one", "two", session_ms=60_000, rebalance_ms=1_000)
    one.ask_join()
    groups.advance(1_000)

    assert one.generation == 3
    assert one.peers == [one.id, two.id]
    one.assign()
    groups.advance(500)
    assert two.sync(generation_id=3).message.assignment == b"two"


def test_a_rebalance_that_only_silent_static_members_are_in_waits(groups: GroupContext) -> None:
    """Without anybody who has joined there is no leader: the wait begins anew until a session ends."""
    one, two = statics(groups, "one", "two", session_ms=10_000, rebalance_ms=3_000)
    assert two.leave() is ErrorCode.NONE
    groups.advance(9_999)
    assert groups.state("g") == "PreparingRebalance"
    groups.advance(1)
    assert groups.state("g") == "Empty"
    assert one.beat() is ErrorCode.UNKNOWN_MEMBER_ID


def test_who_joins_such_a_rebalance_waits_no_longer_than_its_timeout(groups: GroupContext) -> None:
    """The wait that began anew ends with those who have joined by then; the silent one keeps its place."""
    one, two = statics(groups, "one", "two", session_ms=60_000, rebalance_ms=3_000)
    two.leave()
    groups.advance(3_500)
    three = groups.client("three", instance="three", session_ms=60_000, rebalance_ms=3_000)
    held = three.ask_join()
    groups.advance(2_499)
    assert held.is_parked
    groups.advance(1)

    assert held.code is ErrorCode.NONE
    assert three.leads
    assert three.peers == [one.id, three.id]


@pytest.mark.parametrize("beats", [False, True])
def test_a_member_that_came_back_has_a_session(groups: GroupContext, beats: bool) -> None:
    """If no more is heard of it, it is out when that is over: as long as before, or after a heartbeat as it asks."""
    statics(groups, "one", "two", session_ms=60_000)
    again = groups.client("one", instance="one", session_ms=1_000)
    again.ask_join()
    if beats:
        again.beat()
    groups.advance(999 if beats else 59_999)
    assert again.id in {member.member_id for member in groups.describe("g").members}
    groups.advance(1)

    assert again.beat() is ErrorCode.UNKNOWN_MEMBER_ID


def test_a_member_that_came_back_is_described_as_it_was(groups: GroupContext) -> None:
    """With the client id of the process that first joined: Kafka keeps that, and the host."""
    statics(groups, "one", "two")
    again = groups.client("another", instance="one")
    again.ask_join()

    described = {member.member_id: member for member in groups.describe("g").members}
    assert (described[again.id].client_id, described[again.id].group_instance_id) == ("one", "one")


def test_an_administrator_removes_by_instance_id(groups: GroupContext) -> None:
    """An empty member id with an instance id removes whoever has it; each is answered as it was named."""
    one, _ = statics(groups, "one", "two")
    response = groups.leave("g", ("", "one"), ("nobody", None), ("", "three"), ("", None), (one.id, "two"))

    assert [(m.member_id, m.group_instance_id, m.error_code) for m in response.members] == [
        ("", "one", 0),
        ("nobody", None, ErrorCode.UNKNOWN_MEMBER_ID),
        ("", "three", ErrorCode.UNKNOWN_MEMBER_ID),
        ("", None, ErrorCode.UNKNOWN_MEMBER_ID),
        (one.id, "two", ErrorCode.FENCED_INSTANCE_ID),
    ]
    assert groups.state("g") == "PreparingRebalance"


def test_a_failed_append_leaves_the_old_member_in_its_place(groups: GroupContext) -> None:
    """The member that came back hears of it and tries again; the other one goes on meanwhile."""
    one, _ = statics(groups, "one", "two")
    again = groups.client("one", instance="one")
    groups.appends_fail = True
    assert again.ask_join().error is not None
    assert one.beat() is ErrorCode.NONE

    groups.appends_fail = False
    assert again.ask_join().code is ErrorCode.NONE
    assert one.beat() is ErrorCode.FENCED_INSTANCE_ID
    groups.check_replay()
