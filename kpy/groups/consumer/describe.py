"""ConsumerGroupDescribe: a group with its epochs, and of each member what it has and what it shall have."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from kpy.groups.consumer.group import ConsumerGroup
from kpy.groups.consumer.member import NO_TARGET, ConsumerMember, Target
from kpy.groups.topics import Topics
from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.consumer_group_describe import Assignment, DescribedGroup, Member, TopicPartitions

CLASSIC_MEMBER, CONSUMER_MEMBER = 0, 1


def described(group: ConsumerGroup, topics: Topics, default_assignor: str) -> DescribedGroup:
    """The group as it is now."""
    return DescribedGroup(
        error_code=ErrorCode.NONE,
        group_id=group.group_id,
        group_state=group.state_name,
        group_epoch=group.epoch,
        assignment_epoch=group.target_epoch,
        assignor_name=group.preferred_assignor(None, None, default_assignor),
        members=[
            _member(member, group.targets.get(member.member_id, NO_TARGET), topics) for member in group.members.values()
        ],
    )


def described_error(group_id: str, code: ErrorCode, message: str | None = None) -> DescribedGroup:
    """A group of which there is nothing to say but this."""
    return DescribedGroup(
        error_code=code,
        error_message=message,
        group_id=group_id,
        group_state="",
        group_epoch=0,
        assignment_epoch=0,
        assignor_name="",
        members=[],
    )


def _member(member: ConsumerMember, target: Target, topics: Topics) -> Member:
    """What it was told to give up is still its own until it has."""
    current = {
        topic_id: {*member.assigned.get(topic_id, ()), *member.revoking.get(topic_id, ())}
        for topic_id in {**member.assigned, **member.revoking}
    }
    return Member(
        member_id=member.member_id,
        instance_id=member.instance_id,
        rack_id=member.rack_id,
        member_epoch=member.epoch,
        client_id=member.client_id,
        client_host=member.client_host,
        subscribed_topic_names=sorted(member.topic_names),
        subscribed_topic_regex=member.pattern,
        assignment=_assignment(current, topics),
        target_assignment=_assignment(target, topics),
        member_type=CONSUMER_MEMBER if member.classic is None else CLASSIC_MEMBER,
    )


def _assignment(partitions: Mapping[UUID, Iterable[int]], topics: Topics) -> Assignment:
    return Assignment(
        topic_partitions=[
            TopicPartitions(topic_id=topic_id, topic_name=topic.name, partitions=sorted(found))
            for topic_id, found in partitions.items()
            if (topic := topics.topic_by_id(topic_id)) is not None
        ]
    )
