"""The `uniform` assignor: as equal as can be, and then with as few moves as can be (UniformAssignor).

Members with the same subscription are all alike, which is the common case and done here in one pass: everybody keeps
up to its quota, the quotas of any two members differ by at most one, and what nobody has fills those who lack.
"""

from collections.abc import Iterable
from itertools import islice
from typing import TypeAlias
from uuid import UUID

from kpy.groups.consumer.assignors import Assignment, GroupSpec, in_topic_order
from kpy.groups.consumer.member import Target
from kpy.groups.consumer.unequal_subscriptions import assign_unequal_subscriptions

NO_PARTITIONS: frozenset[int] = frozenset()
Place: TypeAlias = tuple[UUID, int]


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
    had: dict[UUID, set[int]] = {topic: set() for topic in topics}
    for member in group.members.values():
        for topic in member.previous.keys() & topics:
            had[topic] |= member.previous[topic]
    to_give = [
        (topic, partition)
        for topic in in_topic_order(topics)
        for partition in range(group.partition_counts[topic])
        if partition not in had[topic]
    ]
    least, extras = divmod(sum(group.partition_counts[topic] for topic in topics), len(group.members))
    kept: dict[str, Target] = {}
    lacking: list[tuple[str, int]] = []
    for index, (member_id, member) in enumerate(group.members.items()):
        has_extra = extras > 0
        kept[member_id], quota = _keep(member.previous, topics, least + has_extra, to_give)
        if quota and has_extra and len(group.members) - index > extras:
            quota -= 1
            has_extra = False
        if quota:
            lacking.append((member_id, quota))
        extras -= has_extra
    gifts = iter(to_give)
    for member_id, quota in lacking:
        kept[member_id] = _with_gifts(kept[member_id], islice(gifts, quota))
    return kept


def _keep(previous: Target, topics: frozenset[UUID], quota: int, to_give: list[Place]) -> tuple[Target, int]:
    """What stays with a member, and how much it lacks; what is too much is for others."""
    kept: dict[UUID, frozenset[int]] = {}
    for topic in in_topic_order(previous.keys() & topics):
        partitions = previous[topic]
        if len(partitions) > quota:
            in_order = sorted(partitions)
            partitions = frozenset(in_order[:quota])
            to_give += [(topic, partition) for partition in in_order[quota:]]
        quota -= len(partitions)
        if partitions:
            kept[topic] = partitions
    return kept, quota


def _with_gifts(target: Target, gifts: Iterable[Place]) -> Target:
    given: dict[UUID, set[int]] = {}
    for topic, partition in gifts:
        given.setdefault(topic, set()).add(partition)
    return {**target, **{topic: target.get(topic, NO_PARTITIONS) | found for topic, found in given.items()}}
