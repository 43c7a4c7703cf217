"""One step of a member towards its target, against the set algebra in plain sets, and in all its states."""

from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpy.groups.consumer.member import Assigned, ConsumerMember, MemberState
from kpy.groups.consumer.reconciliation import Owned, reconcile
from kpy.protocol.errors import ErrorCode, KafkaError
from tests.sweeps import examples

T, U = UUID(int=1), UUID(int=2)
TOPICS = (T, U)
EPOCH, TARGET_EPOCH = 5, 7
Places = frozenset[tuple[UUID, int]]

PLACES = st.frozensets(st.tuples(st.sampled_from(TOPICS), st.integers(0, 3)))


def assigned(places: Places, epoch: int = EPOCH) -> Assigned:
    found: dict[UUID, dict[int, int]] = {}
    for topic, partition in sorted(places):
        found.setdefault(topic, {})[partition] = epoch
    return found


def grouped(places: Places) -> dict[UUID, frozenset[int]]:
    return {topic: frozenset(epochs) for topic, epochs in assigned(places).items()}


def places(found: Assigned) -> Places:
    return frozenset((topic, partition) for topic, epochs in found.items() for partition in epochs)


def step(
    member: ConsumerMember,
    target: Places,
    *,
    subscribed: frozenset[UUID] = frozenset(TOPICS),
    subscription_changed: bool = False,
    free: Places = frozenset(),
    owned: Places | None = None,
    target_epoch: int = TARGET_EPOCH,
) -> ConsumerMember:
    said: Owned | None = None if owned is None else grouped(owned)
    return reconcile(
        member,
        grouped(target),
        target_epoch,
        subscribed=subscribed,
        subscription_changed=subscription_changed,
        is_free=lambda topic, partition: (topic, partition) in free,
        owned=said,
    )


def a_member(has: Places = frozenset(), state: MemberState = MemberState.STABLE, **more: object) -> ConsumerMember:
    return ConsumerMember(
        member_id="m",
        epoch=EPOCH,
        previous_epoch=EPOCH - 1,
        state=state,
        assigned=assigned(has),
        **more,  # type: ignore[arg-type]
    )


@settings(max_examples=examples(500), deadline=None)
@given(
    has=PLACES,
    revoking=PLACES,
    target=PLACES,
    free=PLACES,
    owned=st.none() | PLACES,
    subscribed=st.frozensets(st.sampled_from(TOPICS)),
    state=st.sampled_from([MemberState.STABLE, MemberState.UNREVOKED_PARTITIONS, MemberState.UNRELEASED_PARTITIONS]),
)
def test_the_algebra(
    has: Places,
    revoking: Places,
    target: Places,
    free: Places,
    owned: Places | None,
    subscribed: frozenset[UUID],
    state: MemberState,
) -> None:
    """Whatever a member has, shall have and says, its next step is what the sets say."""
    revoking = revoking - has if state is MemberState.UNREVOKED_PARTITIONS else frozenset()
    member = a_member(has, state, revoking=assigned(revoking))
    after = step(member, target, subscribed=subscribed, free=free - has - revoking, owned=owned)

    free = free - has | revoking
    wanted = frozenset(place for place in target if place[0] in subscribed)
    kept, to_revoke = has & wanted, has - wanted
    if state is MemberState.UNREVOKED_PARTITIONS and (owned is None or owned & revoking):
        assert after is member
    elif to_revoke and (owned is None or owned & to_revoke):
        assert (after.state, after.epoch) == (MemberState.UNREVOKED_PARTITIONS, EPOCH)
        assert (places(after.assigned), places(after.revoking)) == (kept, to_revoke)
    else:
        assert (after.epoch, after.previous_epoch, places(after.revoking)) == (TARGET_EPOCH, EPOCH, frozenset())
        assert places(after.assigned) == kept | (wanted - kept) & free
        is_done = wanted - kept <= free
        assert after.state is (MemberState.STABLE if is_done else MemberState.UNRELEASED_PARTITIONS)
        assert {after.epoch_of(*place) for place in kept} <= {EPOCH}
        assert {after.epoch_of(*place) for place in places(after.assigned) - kept} <= {TARGET_EPOCH}


def test_a_member_that_is_there_stays() -> None:
    """Nothing to do is the same member, not an equal one."""
    member = a_member(frozenset({(T, 0)}))

    assert step(member, frozenset({(T, 1)}), target_epoch=EPOCH) is member


@pytest.mark.parametrize("owned", [None, frozenset({(U, 0)}), frozenset()])
def test_a_topic_is_unsubscribed_without_a_new_target(owned: Places | None) -> None:
    """The member keeps its epoch and gives the topic up; if it already has, nothing is to be waited for."""
    member = a_member(frozenset({(T, 0), (U, 0)}))
    after = step(
        member,
        frozenset(),
        subscribed=frozenset({T}),
        subscription_changed=True,
        owned=owned,
        target_epoch=EPOCH,
    )
    has_given_up = owned == frozenset()

    assert places(after.assigned) == {(T, 0)}
    assert after.epoch == EPOCH
    assert after.state is (MemberState.STABLE if has_given_up else MemberState.UNREVOKED_PARTITIONS)
    assert places(after.revoking) == (frozenset() if has_given_up else {(U, 0)})


def test_a_topic_is_unsubscribed_while_something_is_given_up() -> None:
    """It joins what the member was told before."""
    member = a_member(
        frozenset({(T, 0), (U, 0)}), MemberState.UNREVOKED_PARTITIONS, revoking=assigned(frozenset({(U, 1)}))
    )
    after = step(member, frozenset(), subscribed=frozenset({T}), subscription_changed=True)

    assert (places(after.assigned), places(after.revoking)) == ({(T, 0)}, {(U, 0), (U, 1)})


def test_a_subscription_that_changes_nothing() -> None:
    """All that the member has is still subscribed to."""
    member = a_member(frozenset({(T, 0)}))

    assert step(member, frozenset(), subscription_changed=True, target_epoch=EPOCH) is member


def test_a_state_of_the_future() -> None:
    """A member whose state nobody knows has to begin anew, with nothing."""
    member = a_member(frozenset({(T, 0)}), MemberState(99))
    assert member.state is MemberState.UNKNOWN
    for owned in (None, frozenset({(T, 0)})):
        with pytest.raises(KafkaError) as raised:
            step(member, frozenset({(T, 0)}), owned=owned)
        assert raised.value.code is ErrorCode.FENCED_MEMBER_EPOCH

    after = step(member, frozenset({(T, 0)}), owned=frozenset())
    assert (after.state, after.epoch) == (MemberState.STABLE, TARGET_EPOCH)
