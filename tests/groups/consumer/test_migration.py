"""A group changes its protocol, under each policy: with its first member, its last one, or while it is empty."""

from dataclasses import replace

import pytest

from kpy.groups.consumer.settings import MigrationPolicy
from kpy.protocol.errors import ErrorCode
from tests.groups.consumer.consumer_context import ClassicMember, ConsumerContext, Member, assigned, read
from tests.groups.group_context import subscription

UPGRADES = [policy for policy in MigrationPolicy if policy.allows_upgrade]
DOWNGRADES = [policy for policy in MigrationPolicy if policy.allows_downgrade]


def context(policy: MigrationPolicy = MigrationPolicy.BIDIRECTIONAL, **config: int) -> ConsumerContext:
    return ConsumerContext(consumer={"migration_policy": policy, **config})


def classic_group(groups: ConsumerContext, *names: str, **options: object) -> list[ClassicMember]:
    """Classic members in one generation, each with one partition in the order of their names."""
    members = [groups.classic(name, **options) for name in names]  # type: ignore[arg-type]
    for member in members:
        member.join()
        groups.advance(0)
    settle(groups, members)
    return members


def settle(groups: ConsumerContext, members: list[ClassicMember]) -> None:
    """Have the members of a classic group join and sync until they are in one generation."""
    for member in members:
        if member.beat() is ErrorCode.REBALANCE_IN_PROGRESS:
            member.ask_join()
    groups.advance(0)
    given = {member.id: assigned(t=[index]) for index, member in enumerate(members)}
    waiting = [(member, member.sync()) for member in members if not member.leads]
    (leader,) = (member for member in members if member.leads)
    leader.sync(given)
    for member, answer in waiting:
        member.read(answer)


@pytest.mark.parametrize("policy", MigrationPolicy)
def test_a_member_of_the_consumer_protocol_joins_a_classic_group(policy: MigrationPolicy) -> None:
    """If upgrades are allowed the group goes over, else there is no such consumer group."""
    groups = context(policy)
    x, y = classic_group(groups, "x", "y")
    n = groups.member("n")

    if policy in UPGRADES:
        assert n.join() is ErrorCode.NONE
        assert groups.machine.list_groups([], ["consumer"])
        assert groups.described().members[0].member_type == 0
    else:
        assert n.join() is ErrorCode.GROUP_ID_NOT_FOUND
        assert groups.state("g") == "Stable"
        assert x.beat() is y.beat() is ErrorCode.NONE


@pytest.mark.parametrize("policy", MigrationPolicy)
def test_the_last_member_of_the_consumer_protocol_leaves(policy: MigrationPolicy) -> None:
    """If downgrades are allowed the group is classic again, and rebalances; else it stays a consumer group."""
    groups = context()
    x, y = classic_group(groups, "x", "y")
    n = groups.member("n")
    n.join()
    _work(groups, [x, y], [n])
    groups.restart(consumer=replace(groups.config.consumer, migration_policy=policy))
    n.leave()

    if policy in DOWNGRADES:
        assert groups.state("g") == "PreparingRebalance"
        assert x.beat() is y.beat() is ErrorCode.REBALANCE_IN_PROGRESS
        settle(groups, [x, y])
        assert groups.described().error_code == ErrorCode.GROUP_ID_NOT_FOUND
    else:
        assert [member.member_type for member in groups.described().members] == [0, 0]


@pytest.mark.parametrize("policy", MigrationPolicy)
def test_a_classic_member_joins_a_consumer_group(policy: MigrationPolicy) -> None:
    """It may unless migration is disabled."""
    groups = context(policy)
    groups.member("n").join()
    x = groups.classic("x")
    expected = ErrorCode.INCONSISTENT_GROUP_PROTOCOL if policy is MigrationPolicy.DISABLED else ErrorCode.NONE

    assert x.join().code is expected


@pytest.mark.parametrize("policy", MigrationPolicy)
def test_empty_groups_always_change(policy: MigrationPolicy) -> None:
    """With whoever joins next, and the offsets stay."""
    groups = context(policy)
    (x,) = classic_group(groups, "x")
    x.commit(("t", 0, 7))
    x.leave()
    n = groups.member("n")
    assert n.join() is ErrorCode.NONE
    n.leave()
    assert groups.described().group_state == "Empty"
    classic_group(groups, "z")

    assert groups.state("g") == "Stable"
    assert groups.committed("g") == {("t", 0): 7}
    groups.check_replay()
    groups.restart()
    assert groups.state("g") == "Stable"


def test_members_that_wait_are_sent_to_the_new_group() -> None:
    """Joins and syncs that are held are answered REBALANCE_IN_PROGRESS, which calls members to join."""
    groups = context()
    x, y = classic_group(groups, "x", "y")
    held = y.ask_join() if y.leads else x.ask_join()
    assert held.is_parked
    groups.member("n").join()

    assert held.code is ErrorCode.REBALANCE_IN_PROGRESS
    assert not groups.parked
    groups.check_replay()


def test_an_upgrade_that_cannot_be_appended() -> None:
    """The group stays classic; those who waited may join it again."""
    groups = context()
    x, y = classic_group(groups, "x", "y")
    groups.appends_fail = True
    groups.member("n").join()
    groups.appends_fail = False

    assert x.beat() is y.beat() is ErrorCode.NONE
    assert groups.state("g") == "Stable"
    groups.check_replay()


def test_upgraded_members_keep_what_they_have() -> None:
    """Nobody gives anything up that stays with it; the newcomer gets what is free."""
    groups = context()
    x, y = classic_group(groups, "x", "y")
    n = groups.member("n")
    n.join()
    n.beat()

    assert {member_id: places[:1] for member_id, places in groups.assignments().items()} == {
        x.id: [("t", 0)],
        y.id: [("t", 1)],
        "n": [n.has[0]],
    }
    groups.check_replay()


BROKEN: dict[str, bytes] = {
    "that cannot be read": b"x",
    "that a custom assignor has marked": assigned(t=[0])[:-4] + b"\x00\x00\x00\x01!",
}


@pytest.mark.parametrize("blob", BROKEN.values(), ids=BROKEN)
def test_an_assignment_that_stays_classic(blob: bytes) -> None:
    """What would be lost, or is not understood, is not taken over."""
    groups = context()
    x = groups.client("x")
    x.join()
    groups.advance(0)
    x.sync({x.id: blob})

    assert groups.member("n").join() is ErrorCode.GROUP_ID_NOT_FOUND
    assert x.beat() is ErrorCode.NONE


def test_a_partition_that_was_assigned_twice() -> None:
    """A leader that did so has no group that could go over."""
    groups = context()
    x, y = groups.classic("x"), groups.classic("y")
    x.join()
    y.join()
    groups.advance(0)
    leader = x if x.leads else y
    leader.sync({x.id: assigned(t=[0]), y.id: assigned(t=[0])})

    assert groups.member("n").join() is ErrorCode.GROUP_ID_NOT_FOUND


def test_a_group_of_another_kind_stays_classic() -> None:
    """Only consumers have a consumer group: Connect's workers do not."""
    groups = context()
    x = groups.client("x", protocol_type="connect", protocols={"sessioned": b""})
    x.join()
    groups.advance(0)

    assert groups.member("n").join() is ErrorCode.GROUP_ID_NOT_FOUND


def test_a_group_that_is_too_large_stays() -> None:
    """group.consumer.max.size counts on the way up, group.max.size on the way down."""
    groups = context(max_size=1)
    classic_group(groups, "x", "y")
    assert groups.member("n").join() is ErrorCode.GROUP_ID_NOT_FOUND
    down = context(classic_max_size=1)
    classic_group(down, "x", "y")
    n = down.member("n")
    n.join()
    n.leave()

    assert [member.member_type for member in down.described().members] == [0, 0]


def test_a_downgraded_member_has_all_its_strategies() -> None:
    """Also those that the record of a classic group does not tell of."""
    groups = context()
    x = groups.client("x", protocols={"range": subscription("t"), "sticky": subscription("t")})
    x.join()
    groups.advance(0)
    x.sync()
    n = groups.member("n")
    n.join()
    n.leave()
    groups.advance(0)
    y = groups.client("y", protocols=["sticky"])
    y.join()
    x.ask_join()

    assert (y.generation, x.generation) == (3, 3)


def test_a_static_member_goes_back_to_the_classic_protocol() -> None:
    """It takes the place of the last member of the consumer protocol, whose assignment it has; nobody rebalances."""
    groups = context()
    (x,) = classic_group(groups, "x", instance="one")
    n = groups.member("n", instance="two")
    n.join()
    x.beat()
    x.ask_join()
    x.sync()
    x.beat()
    x.ask_join()
    x.sync()
    n.beat()
    n.own()
    back = groups.classic("back", instance="two")
    answer = back.join()
    groups.advance(0)

    assert answer.code is ErrorCode.NONE
    assert groups.state("g") == "Stable"
    assert back.sync().code is ErrorCode.NONE
    assert back.has == n.has
    assert x.beat() is ErrorCode.NONE
    groups.check_replay()


@pytest.mark.parametrize("policy", MigrationPolicy)
def test_the_last_member_of_the_consumer_protocol_is_replaced(policy: MigrationPolicy) -> None:
    """By a classic process with its instance id: the group goes back if that is allowed, else it stays, with both."""
    groups = context()
    (x,) = classic_group(groups, "x")
    n = groups.member("n", instance="two")
    n.join()
    _work(groups, [x], [n])
    groups.restart(consumer=replace(groups.config.consumer, migration_policy=policy))
    back = groups.classic("back", instance="two")
    code = back.join().code

    if policy is MigrationPolicy.DISABLED:
        assert code is ErrorCode.INCONSISTENT_GROUP_PROTOCOL
        assert n.beat() is ErrorCode.NONE
    elif policy in DOWNGRADES:
        assert code is ErrorCode.NONE
        assert groups.state("g") == "Stable"
    else:
        assert code is ErrorCode.NONE
        assert [member.member_type for member in groups.described().members] == [0, 0]
    groups.check_replay()


def test_a_rolling_migration_and_back() -> None:
    """Member by member, with everybody's partitions shared out in between, and no partition lost or had twice."""
    groups = context()
    old = classic_group(groups, "x", "y", "z")
    new = []
    for number, member in enumerate(old):
        member.leave()
        replacement = groups.member(f"n{number}")
        replacement.join()
        new.append(replacement)
        _work(groups, old[number + 1 :], new)
    assert sorted(p for m in new for p in m.has) == [("t", n) for n in range(4)]
    again = []
    for number, member in enumerate(new):
        member.leave()
        groups.advance(0)
        back = groups.classic(f"b{number}")
        back.join()
        again.append(back)
        _work(groups, again, new[number + 1 :])

    assert groups.machine.list_groups([], ["classic"])
    settle(groups, again)
    assert groups.described().error_code == ErrorCode.GROUP_ID_NOT_FOUND
    groups.check_replay()


def _work(groups: ConsumerContext, classic: list[ClassicMember], modern: list[Member]) -> None:
    """A few rounds of what members do by themselves."""
    for _ in range(4):
        for member in modern:
            member.own()
        for member in classic:
            if member.beat() is ErrorCode.REBALANCE_IN_PROGRESS and groups.described().error_code == 0:
                member.ask_join()
                member.sync()
    if modern and groups.described().error_code == 0:
        found = [place for places in groups.assignments().values() for place in places]
        assert len(found) == len(set(found))


def test_what_a_downgrade_assigns(groups: ConsumerContext) -> None:
    """Each one's target, in the embedded protocol of the version that it speaks: what it had, and its share."""
    (x,) = classic_group(groups, "x")
    n = groups.member("n")
    n.join()
    n.leave()
    member = groups.describe("g").members[0]

    assert member.member_id == x.id
    assert read(member.member_assignment) == "[t-0 t-1]"
