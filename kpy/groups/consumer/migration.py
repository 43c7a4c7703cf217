"""A group of one protocol becomes one of the other, with all its members and what they have.

Up: the first member of the consumer protocol joins a classic group. Everybody has what the last generation gave them,
as of an epoch of that generation's number, and the newcomer makes the next epoch. Down: the last member of the consumer
protocol leaves. Everybody is assigned their target in a generation of the epoch's number, and joins anew.

An empty group changes its protocol with whoever joins it next. Either way the change is one batch of records: the old
group's tombstones and the new group.

Follows ConsumerGroup.fromClassicGroup and ClassicGroup.fromConsumerGroup.
"""

import struct
from collections.abc import Mapping
from typing import NamedTuple
from uuid import UUID

from kpy.groups.classic_group import ClassicGroup, select_protocol
from kpy.groups.consumer import records
from kpy.groups.consumer.group import CONSUMER_PROTOCOL, ConsumerGroup
from kpy.groups.consumer.member import ClassicFacts, ConsumerMember, Target
from kpy.groups.consumer.settings import ConsumerConfig
from kpy.groups.consumer.topic_hashes import TopicHashes
from kpy.groups.member import NO_ASSIGNMENT, Member
from kpy.groups.records import group_record
from kpy.groups.states import GroupState
from kpy.groups.topics import Topics
from kpy.protocol.embedded import (
    ConsumerProtocolAssignment,
    ConsumerProtocolSubscription,
    TopicPartition,
    decode_blob,
    encode_blob,
)
from kpy.protocol.errors import DecodeError, ErrorCode, KafkaError
from kpy.state_machine import Record

_VERSION = struct.Struct(">h")


# --- up ---


def check_can_become_consumer(group: ClassicGroup, config: ConsumerConfig) -> None:
    """Raise GROUP_ID_NOT_FOUND if a member of the consumer protocol cannot have the group."""
    if not config.migration_policy.allows_upgrade:
        raise _cannot_upgrade(group, "online upgrade is disabled")
    if group.protocol_type != CONSUMER_PROTOCOL:
        raise _cannot_upgrade(group, "the group does not use the consumer embedded protocol")
    if len(group.members) > config.max_size:
        raise _cannot_upgrade(group, "the group size exceeds the consumer group maximum size")


def upgrade(group: ClassicGroup, topics: TopicHashes) -> list[Record]:
    """The records by which a classic group becomes a consumer group. Raises GROUP_ID_NOT_FOUND if it cannot."""
    group_id, epoch = group.group_id, group.generation
    members, targets = [], {}
    taken: set[tuple[UUID, int]] = set()
    for classic in group.members.values():
        target = _target_of(group, classic, topics.topics)
        places = {(topic_id, partition) for topic_id, partitions in target.items() for partition in partitions}
        if places & taken:
            raise _cannot_upgrade(group, "a partition is assigned twice")
        taken |= places
        targets[classic.member_id] = target
        members.append(_consumer_member(group, classic, target))
    names = {name for member in members for name in member.topic_names}
    return [
        *group.tombstones(),
        *(records.member_record(group_id, member) for member in members),
        records.epoch_record(group_id, epoch, topics.of_group(names)),
        *(records.target_record(group_id, member_id, target) for member_id, target in targets.items()),
        records.target_epoch_record(group_id, epoch, 0),
        *(records.assignment_record(group_id, member) for member in members),
    ]


def _target_of(group: ClassicGroup, member: Member, topics: Topics) -> Target:
    """What the leader assigned to the member. One that has just joined has nothing yet."""
    if member.assignment == NO_ASSIGNMENT:
        return {}
    try:
        assignment = decode_blob(ConsumerProtocolAssignment, member.assignment)
    except DecodeError:
        raise _cannot_upgrade(group, "the embedded consumer protocol is malformed") from None
    if assignment.user_data:
        raise _cannot_upgrade(
            group,
            "an unsupported custom assignor is in use. Please refer to the documentation or switch to a default "
            "assignor before re-attempting the upgrade",
        )
    found: dict[UUID, frozenset[int]] = {}
    for assigned in assignment.assigned_partitions:
        topic = topics.topic(assigned.topic)
        if topic is not None and assigned.partitions:
            found[topic.topic_id] = frozenset(assigned.partitions)
    return found


def _consumer_member(group: ClassicGroup, member: Member, target: Target) -> ConsumerMember:
    metadata = member.protocols.get(group.protocol or "", next(iter(member.protocols.values())))
    try:
        subscription = subscription_of(metadata)
    except DecodeError:
        raise _cannot_upgrade(group, "the embedded consumer protocol is malformed") from None
    return ConsumerMember(
        member_id=member.member_id,
        instance_id=member.instance_id,
        rack_id=subscription.rack_id or None,
        client_id=member.client_id,
        client_host=member.client_host,
        rebalance_timeout_ms=member.rebalance_timeout_ms,
        topic_names=frozenset(subscription.topics),
        classic=ClassicFacts(member.session_timeout_ms, tuple(member.protocols.items())),
        epoch=group.generation,
        previous_epoch=group.generation,
        assigned={topic_id: dict.fromkeys(partitions, group.generation) for topic_id, partitions in target.items()},
    )


def _cannot_upgrade(group: ClassicGroup, reason: str) -> KafkaError:
    return KafkaError(
        ErrorCode.GROUP_ID_NOT_FOUND,
        f"Cannot upgrade classic group {group.group_id} to consumer group because {reason}.",
    )


# --- down ---


class ToClassic(NamedTuple):
    """How a consumer group becomes a classic one: who leaves, and who has taken the place of one who leaves."""

    leaving: tuple[str, ...]
    joining: ConsumerMember | None
    needs_rebalance: bool


def can_become_classic(size: int, config: ConsumerConfig) -> bool:
    """Whether a group of this many members, which are all of the classic protocol now, may change."""
    return 0 < size <= config.classic_max_size and config.migration_policy.allows_downgrade


def is_left_to_classic(group: ConsumerGroup, leaving: Mapping[str, ConsumerMember], config: ConsumerConfig) -> bool:
    """Whether the group becomes a classic one when these leave, because all others are of the classic protocol."""
    left = len(group.members) - len(leaving)
    classic_leaving = sum(member.classic is not None for member in leaving.values())
    return group.classic_members - classic_leaving == left and can_become_classic(left, config)


def downgrade(
    group: ConsumerGroup, change: ToClassic, topics: Topics, now_ms: int
) -> tuple[list[Record], ClassicGroup]:
    """The records by which a consumer group becomes a classic one, and the group that will be when they are replayed.

    Records do not tell of strategies that were not chosen, the group does.
    """
    stay = [member for member_id, member in group.members.items() if member_id not in change.leaving]
    ids = [*group.members]
    targets = dict(group.targets)
    if change.joining is not None:  # the records that put it in the place of the other one come before these
        (replaced,) = change.leaving
        ids = [change.joining.member_id if member_id == replaced else member_id for member_id in ids]
        targets[change.joining.member_id] = targets.get(replaced, {})
        stay.append(change.joining)
    classic = ClassicGroup(group.group_id, now_ms)
    classic.state = GroupState.STABLE
    classic.generation = group.epoch
    classic.protocol_type = CONSUMER_PROTOCOL
    classic.members = {member.member_id: _classic_member(group.group_id, member) for member in stay}
    classic.leader = next(iter(classic.members))
    classic.protocol = select_protocol(classic.members.values())
    assignment = {
        member_id: assignment_blob(targets.get(member_id, {}), topics, blob_version(member.protocols[classic.protocol]))
        for member_id, member in classic.members.items()
    }
    value = classic.generation_value(classic.members.values(), assignment, leader=classic.leader)
    return [*group.tombstones_of(ids), group_record(group.group_id, value)], classic


def _classic_member(group_id: str, member: ConsumerMember) -> Member:
    assert member.classic is not None
    return Member(
        group_id=group_id,
        member_id=member.member_id,
        instance_id=member.instance_id,
        client_id=member.client_id,
        client_host=member.client_host,
        session_timeout_ms=member.classic.session_timeout_ms,
        rebalance_timeout_ms=member.rebalance_timeout_ms,
        protocols=dict(member.classic.protocols),
    )


# --- the blobs of the classic protocol ---


def subscription_of(metadata: bytes) -> ConsumerProtocolSubscription:
    """What a consumer subscribes to. Raises DecodeError."""
    return decode_blob(ConsumerProtocolSubscription, metadata)


def blob_version(metadata: bytes) -> int:
    """The version of the embedded protocol that a member speaks, of those there are. Of garbage, the first."""
    version: int = _VERSION.unpack_from(metadata)[0] if len(metadata) >= _VERSION.size else 0
    return min(max(version, 0), ConsumerProtocolAssignment.versions.maximum)


def assignment_blob(partitions: Target, topics: Topics, version: int) -> bytes:
    """An assignment as a consumer of the classic protocol reads it. Topics that are gone are left out."""
    assigned = [
        TopicPartition(topic=topic.name, partitions=sorted(partitions[topic_id]))
        for topic_id in partitions
        if (topic := topics.topic_by_id(topic_id)) is not None
    ]
    return encode_blob(ConsumerProtocolAssignment(assigned_partitions=assigned), version)
