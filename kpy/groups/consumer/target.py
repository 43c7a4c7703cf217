"""A new target assignment for a whole group, as the records that say what has changed (TargetAssignmentBuilder)."""

from collections.abc import Mapping
from uuid import UUID

from kpy.config.broker import RANGE, UNIFORM
from kpy.groups.consumer.assignors import Assignor, GroupSpec, MemberSpec, assign_range, java_order
from kpy.groups.consumer.group import ConsumerGroup
from kpy.groups.consumer.member import NO_TARGET, ConsumerMember, Target
from kpy.groups.consumer.records import target_epoch_record, target_record
from kpy.groups.consumer.uniform import assign_uniform
from kpy.groups.java import hash_map_order
from kpy.groups.topics import Topics
from kpy.state_machine import Record

ASSIGNORS: Mapping[str, Assignor] = {UNIFORM: assign_uniform, RANGE: assign_range}


def new_target(
    group: ConsumerGroup, changed: ConsumerMember, assignor: str, *, epoch: int, topics: Topics, now_ms: int
) -> tuple[list[Record], Target]:
    """The records of a target for `epoch`, and what the changed member shall have.

    A member that takes over an instance id stands in for the one that had it, with its target.
    """
    members = dict(group.members)
    previous = dict(group.targets)
    replaced = group.static_member(changed.instance_id)
    if replaced is not None and replaced.member_id != changed.member_id:
        del members[replaced.member_id]
        previous[changed.member_id] = previous.get(replaced.member_id, NO_TARGET)
    members[changed.member_id] = changed
    assignment = ASSIGNORS[assignor](_spec(group, members, previous, topics))
    found = [
        target_record(group.group_id, member_id, assignment.get(member_id, NO_TARGET))
        for member_id in members
        if assignment.get(member_id, NO_TARGET) != group.targets.get(member_id)
    ]
    found.append(target_epoch_record(group.group_id, epoch, now_ms))
    return found, assignment.get(changed.member_id, NO_TARGET)


def _spec(
    group: ConsumerGroup, members: Mapping[str, ConsumerMember], previous: Mapping[str, Target], topics: Topics
) -> GroupSpec:
    """Members in the order in which Kafka's hash map lists their ids, so that each gets what it would get there.

    Those at one place of its table are there in the order of an older map; here in that of their ids, so that the same
    group gets the same target after a restart.
    """
    ids_by_subscription: dict[frozenset[str], frozenset[UUID]] = {}
    counts: dict[UUID, int] = {}
    specs = {}
    for member_id in hash_map_order(sorted(members, key=java_order)):
        member = members[member_id]
        names = group.names_read_by(member)
        ids = ids_by_subscription.get(names)
        if ids is None:
            found = [topic for name in names if (topic := topics.topic(name)) is not None]
            counts.update((topic.topic_id, len(topic.partitions)) for topic in found)
            ids = ids_by_subscription[names] = frozenset(topic.topic_id for topic in found)
        specs[member_id] = MemberSpec(ids, previous.get(member_id, NO_TARGET), member.instance_id)
    return GroupSpec(specs, counts, is_homogeneous(members))


def is_homogeneous(members: Mapping[str, ConsumerMember]) -> bool:
    """Whether all subscribe to the same: names, or one and the same pattern and no names besides.

    It is the subscriptions that count, not the topics that they come to (ConsumerGroup.subscriptionType).
    """
    subscriptions = {(member.topic_names, member.pattern or "") for member in members.values()}
    if len(subscriptions) != 1:
        return False
    ((names, pattern),) = subscriptions
    return not pattern or not names
