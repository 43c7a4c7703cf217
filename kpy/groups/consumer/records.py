"""The records of consumer groups, made. Lists in them are sorted, so that equal things have equal bytes."""

from collections.abc import Mapping
from typing import NamedTuple
from uuid import UUID

from kpy.groups.consumer.member import Assigned, ConsumerMember, Target
from kpy.protocol import consumer_group_records as declared
from kpy.state_machine import Record


class ResolvedPattern(NamedTuple):
    """The topics that a regular expression matched, in which cluster image, and when."""

    topics: frozenset[str]
    version: int
    timestamp_ms: int


def epoch_record(group_id: str, epoch: int, metadata_hash: int) -> Record:
    """The group has changed: its members, their subscriptions or their topics."""
    return Record(
        declared.ConsumerGroupMetadataKey(group_id=group_id),
        declared.ConsumerGroupMetadataValue(epoch=epoch, metadata_hash=metadata_hash),
    )


def epoch_tombstone(group_id: str) -> Record:
    return Record(declared.ConsumerGroupMetadataKey(group_id=group_id), None)


def topics_tombstone(group_id: str) -> Record:
    """Forgets what brokers before the metadata hash kept of topics."""
    return Record(declared.ConsumerGroupPartitionMetadataKey(group_id=group_id), None)


def member_record(group_id: str, member: ConsumerMember) -> Record:
    """What a member has said of itself."""
    classic = member.classic
    return Record(
        declared.ConsumerGroupMemberMetadataKey(group_id=group_id, member_id=member.member_id),
        declared.ConsumerGroupMemberMetadataValue(
            instance_id=member.instance_id,
            rack_id=member.rack_id,
            client_id=member.client_id,
            client_host=member.client_host,
            subscribed_topic_names=sorted(member.topic_names),
            subscribed_topic_regex=member.pattern,
            rebalance_timeout_ms=member.rebalance_timeout_ms,
            server_assignor=member.assignor,
            classic_member_metadata=None
            if classic is None
            else declared.ClassicMemberMetadata(
                session_timeout_ms=classic.session_timeout_ms,
                supported_protocols=[
                    declared.ClassicProtocol(name=name, metadata=metadata) for name, metadata in classic.protocols
                ],
            ),
        ),
    )


def member_tombstone(group_id: str, member_id: str) -> Record:
    return Record(declared.ConsumerGroupMemberMetadataKey(group_id=group_id, member_id=member_id), None)


def target_epoch_record(group_id: str, epoch: int, timestamp_ms: int) -> Record:
    """There is a target for every member as of this epoch of the group."""
    return Record(
        declared.ConsumerGroupTargetAssignmentMetadataKey(group_id=group_id),
        declared.ConsumerGroupTargetAssignmentMetadataValue(assignment_epoch=epoch, assignment_timestamp=timestamp_ms),
    )


def target_epoch_tombstone(group_id: str) -> Record:
    return Record(declared.ConsumerGroupTargetAssignmentMetadataKey(group_id=group_id), None)


def target_record(group_id: str, member_id: str, target: Target) -> Record:
    """What a member shall have."""
    return Record(
        declared.ConsumerGroupTargetAssignmentMemberKey(group_id=group_id, member_id=member_id),
        declared.ConsumerGroupTargetAssignmentMemberValue(
            topic_partitions=[
                declared.TopicPartition(topic_id=topic_id, partitions=sorted(target[topic_id]))
                for topic_id in sorted(target)
            ]
        ),
    )


def target_tombstone(group_id: str, member_id: str) -> Record:
    return Record(declared.ConsumerGroupTargetAssignmentMemberKey(group_id=group_id, member_id=member_id), None)


def assignment_record(group_id: str, member: ConsumerMember) -> Record:
    """What a member has and how far it is."""
    return Record(
        declared.ConsumerGroupCurrentMemberAssignmentKey(group_id=group_id, member_id=member.member_id),
        declared.ConsumerGroupCurrentMemberAssignmentValue(
            member_epoch=member.epoch,
            previous_member_epoch=member.previous_epoch,
            state=member.state,
            assigned_partitions=_topic_partitions(member.assigned),
            partitions_pending_revocation=_topic_partitions(member.revoking),
        ),
    )


def assignment_tombstone(group_id: str, member_id: str) -> Record:
    return Record(declared.ConsumerGroupCurrentMemberAssignmentKey(group_id=group_id, member_id=member_id), None)


def pattern_record(group_id: str, pattern: str, resolved: ResolvedPattern) -> Record:
    """What a regular expression means now."""
    return Record(
        declared.ConsumerGroupRegularExpressionKey(group_id=group_id, regular_expression=pattern),
        declared.ConsumerGroupRegularExpressionValue(
            topics=sorted(resolved.topics), version=resolved.version, timestamp=resolved.timestamp_ms
        ),
    )


def pattern_tombstone(group_id: str, pattern: str) -> Record:
    return Record(declared.ConsumerGroupRegularExpressionKey(group_id=group_id, regular_expression=pattern), None)


def removal(group_id: str, member_id: str) -> list[Record]:
    """The records that remove a member, in the order in which Kafka's replay wants them."""
    return [
        assignment_tombstone(group_id, member_id),
        target_tombstone(group_id, member_id),
        member_tombstone(group_id, member_id),
    ]


def _topic_partitions(assigned: Assigned) -> list[declared.TopicPartitions]:
    return [_partitions_of(topic_id, assigned[topic_id]) for topic_id in sorted(assigned)]


def _partitions_of(topic_id: UUID, epochs: Mapping[int, int]) -> declared.TopicPartitions:
    partitions = sorted(epochs)
    return declared.TopicPartitions(
        topic_id=topic_id, partitions=partitions, assignment_epochs=[epochs[partition] for partition in partitions]
    )
