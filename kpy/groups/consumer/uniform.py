"""The `uniform` assignor: as equal as can be, and then with as few moves as can be (UniformAssignor).

Members with the same subscription are all alike, which is the common case and done here in one pass: everybody keeps
up to its quota, the quotas of any two members differ by at most one, and what nobody has fills those who lack.
"""

from uuid import UUID

from kpy.groups.consumer.assignors import Assignment, GroupSpec, in_topic_order
from kpy.groups.consumer.member import Target
from kpy.groups.consumer.unequal_subscriptions import assign_unequal_subscriptions

NO_PARTITIONS: frozenset[int] = frozenset()


def assign_uniform(group: GroupSpec) -> Assignment:
    """The sizes of any two members with the same subscription differ by at most one."""
    if not group.members:
        return {}
    return _assign_equal_subscriptions(group) if group.is_homogeneous else assign_unequal_subscriptions(group)


def _assign_equal_subscriptions(group: GroupSpec) -> Assignment:
    """UniformHomogeneousAssignmentBuilder.

    An extra partition goes to those who have it already, as long as there are as many members to come as extras left.
    """
    topics = next(iter(group.members.values())).topics
    if not topics:
        return {}
    had = {(topic, partition) for member in group.members.values() for topic, partition in _places(member.previous)}
    to_give = [
        (topic, partition)
        for topic in in_topic_order(topics)
        for partition in range(group.partition_counts[topic])
        if (topic, partition) not in had
    ]
    total = sum(group.partition_counts[topic] for topic in topics)
    least, extras = divmod(total, len(group.members))
    kept: dict[str, dict[UUID, set[int]]] = {}
    lacking: list[tuple[str, int]] = []
    for index, (member_id, member) in enumerate(group.members.items()):
        has_extra = extras > 0
        quota = least + has_extra
        kept[member_id] = {}
        for topic, partition in _places(member.previous):
            if topic not in topics:
                continue
            if quota:
                quota -= 1
                kept[member_id].setdefault(topic, set()).add(partition)
            else:
                to_give.append((topic, partition))
        if quota and has_extra and len(group.members) - index > extras:
            quota -= 1
            has_extra = False
        if quota:
            lacking.append((member_id, quota))
        extras -= has_extra
    gifts = iter(to_give)
    for member_id, quota in lacking:
        for _, (topic, partition) in zip(range(quota), gifts, strict=False):
            kept[member_id].setdefault(topic, set()).add(partition)
    return {
        member_id: {topic: frozenset(partitions) for topic, partitions in topics_kept.items()}
        for member_id, topics_kept in kept.items()
    }


def _places(target: Target) -> list[tuple[UUID, int]]:
    return [(topic, partition) for topic in in_topic_order(target) for partition in sorted(target[topic])]
