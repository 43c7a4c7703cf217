"""How a member gets from what it has to what it shall have, one safe step at a time: a pure function.

With A what the member has, R what it was told to give up, T its target (as far as it subscribes to the topics), and F
the partitions that nobody else has:

    kept      = A ∩ T           what stays with it
    to revoke = A - T           what it has to give up
    to assign = (T - kept) ∩ F  what it may have at once
    waiting   = (T - kept) - F  what others have to give up first

1. To revoke comes first. The member stays in its epoch, has `kept` and is told so; `to revoke` becomes R, and nobody
   gets those partitions until the member says that it no longer owns any of them. (UNREVOKED_PARTITIONS)
2. With nothing to revoke, or once that is done, it enters the epoch of the target with `kept` and `to assign`.
3. If something is waiting, it stays on the look-out with each heartbeat. (UNRELEASED_PARTITIONS) Else it is done.
   (STABLE)

So a partition never has two owners: it leaves A for R, R for nobody, and only then enters another member's A.

Follows CurrentAssignmentBuilder.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import TypeAlias
from uuid import UUID

from kpy.groups.consumer.member import NOTHING_ASSIGNED, Assigned, ConsumerMember, MemberState, Target
from kpy.protocol.errors import ErrorCode, KafkaError

Owned: TypeAlias = Mapping[UUID, Collection[int]]
"""What a member says that it owns."""


def reconcile(
    member: ConsumerMember,
    target: Target,
    target_epoch: int,
    *,
    subscribed: Collection[UUID],
    subscription_changed: bool,
    is_free: Callable[[UUID, int], bool],
    owned: Owned | None,
) -> ConsumerMember:
    """The member after its next step; the same object if there is none to take.

    `subscribed` are the topics that it reads now, `subscription_changed` says that this is news. `is_free` tells
    whether nobody has a partition, `owned` what the member said, None if it said nothing.
    """
    if member.state is MemberState.STABLE and member.epoch == target_epoch:
        return _drop_unsubscribed(member, subscribed, owned) if subscription_changed else member
    if member.state is MemberState.UNREVOKED_PARTITIONS and _owns_any(owned, member.revoking):
        return _drop_unsubscribed(member, subscribed, owned) if subscription_changed else member
    if member.state is MemberState.UNKNOWN and (owned is None or any(owned.values())):
        raise KafkaError(
            ErrorCode.FENCED_MEMBER_EPOCH,
            "The consumer group member is in an unknown state. It must abandon all its partitions and rejoin.",
        )
    return _step(member, target, target_epoch, subscribed, is_free, owned)


def _step(
    member: ConsumerMember,
    target: Target,
    target_epoch: int,
    subscribed: Collection[UUID],
    is_free: Callable[[UUID, int], bool],
    owned: Owned | None,
) -> ConsumerMember:
    kept: dict[UUID, dict[int, int]] = {}
    to_revoke: dict[UUID, dict[int, int]] = {}
    to_assign: dict[UUID, list[int]] = {}
    is_waiting = False
    for topic_id in {**target, **member.assigned}:
        wanted = target.get(topic_id, frozenset()) if topic_id in subscribed else frozenset()
        own_to_revoke = member.revoking.get(topic_id, {})  # nobody else has those, and this member may have them back
        for partition, epoch in member.assigned.get(topic_id, {}).items():
            (kept if partition in wanted else to_revoke).setdefault(topic_id, {})[partition] = epoch
        for partition in wanted - kept.get(topic_id, {}).keys():
            if partition in own_to_revoke or is_free(topic_id, partition):
                to_assign.setdefault(topic_id, []).append(partition)
            else:
                is_waiting = True
    if to_revoke and _owns_any(owned, to_revoke):
        return _moved(
            member, MemberState.UNREVOKED_PARTITIONS, _epoch_while_revoking(member, target_epoch), kept, to_revoke
        )
    for topic_id, partitions in to_assign.items():
        kept.setdefault(topic_id, {}).update(dict.fromkeys(partitions, target_epoch))
    state = MemberState.UNRELEASED_PARTITIONS if is_waiting else MemberState.STABLE
    return _moved(member, state, target_epoch, kept, NOTHING_ASSIGNED)


def _epoch_while_revoking(member: ConsumerMember, target_epoch: int) -> int:
    """The epoch of a member that has to revoke first: its own, unless its state says nothing of that."""
    return target_epoch if member.state is MemberState.UNKNOWN else member.epoch


def _drop_unsubscribed(member: ConsumerMember, subscribed: Collection[UUID], owned: Owned | None) -> ConsumerMember:
    """Take the topics away that the member no longer reads, without waiting for a target that knows of it."""
    dropped = {topic_id: epochs for topic_id, epochs in member.assigned.items() if topic_id not in subscribed}
    if not dropped:
        return member
    kept = {topic_id: epochs for topic_id, epochs in member.assigned.items() if topic_id in subscribed}
    revoking = dict(member.revoking)
    for topic_id, epochs in dropped.items():
        revoking[topic_id] = {**revoking.get(topic_id, {}), **epochs}
    if _owns_any(owned, revoking):
        return _moved(member, MemberState.UNREVOKED_PARTITIONS, member.epoch, kept, revoking)
    return _moved(member, member.state, member.epoch, kept, member.revoking)


def _moved(
    member: ConsumerMember, state: MemberState, epoch: int, assigned: Assigned, revoking: Assigned
) -> ConsumerMember:
    return replace(member, state=state, epoch=epoch, previous_epoch=member.epoch, assigned=assigned, revoking=revoking)


def _owns_any(owned: Owned | None, partitions: Assigned) -> bool:
    """Whether the member may still be reading one of these; it may if it does not say what it owns."""
    if owned is None:
        return True
    return any(
        partition in owned_partitions
        for topic_id, epochs in partitions.items()
        if (owned_partitions := owned.get(topic_id)) is not None
        for partition in epochs
    )
