"""Who shall have which partitions, decided on the broker: the assignors, and `range`.

An assignor is a pure function of the members' subscriptions and of what they had before. It gives Kafka's assignment
for the same input in the same order; members are taken in the order of the mapping, topics in that of their ids.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol
from uuid import UUID

from kpy.groups.consumer.member import Target

Assignment = dict[str, Target]


class MemberSpec(NamedTuple):
    """A member as an assignor sees it: the topics it reads, all of which exist, and its target so far."""

    topics: frozenset[UUID]
    previous: Target
    instance_id: str | None = None


class GroupSpec(NamedTuple):
    """The members by id, the number of partitions of each topic, and whether all members subscribe to the same."""

    members: Mapping[str, MemberSpec]
    partition_counts: Mapping[UUID, int]
    is_homogeneous: bool


class Assignor(Protocol):
    """Gives every member its target; a member that is not in the result gets nothing."""

    def __call__(self, group: GroupSpec) -> Assignment: ...


def assign_range(group: GroupSpec) -> Assignment:
    """Of each topic a contiguous range for each subscriber, the first ones getting one more (RangeAssignor).

    Static members come first, by instance id, so that one that comes back under another member id has its old range.
    Members with the same topics get the same partition numbers of each, if the topics have equally many.
    """
    ranges: dict[UUID, _Ranges] = {}
    order = sorted(group.members, key=lambda member_id: _range_order(member_id, group.members[member_id]))
    for member_id in order:
        for topic_id in group.members[member_id].topics:
            ranges.setdefault(topic_id, _Ranges(group.partition_counts[topic_id])).subscribers += 1
    assignment: Assignment = {}
    for member_id in order:
        taken = {topic_id: ranges[topic_id].take() for topic_id in group.members[member_id].topics}
        assignment[member_id] = {topic_id: partitions for topic_id, partitions in taken.items() if partitions}
    return assignment


class _Ranges:
    """One topic, dealt out to its subscribers."""

    def __init__(self, partition_count: int) -> None:
        self.partition_count = partition_count
        self.subscribers = 0
        self.next_partition = 0
        self.served = 0

    def take(self) -> frozenset[int]:
        least, extra = divmod(self.partition_count, self.subscribers)
        start = self.next_partition
        self.next_partition += least + (self.served < extra)
        self.served += 1
        return frozenset(range(start, self.next_partition))


def _range_order(member_id: str, member: MemberSpec) -> tuple[bool, bytes]:
    is_dynamic = member.instance_id is None
    return is_dynamic, java_order(member_id if member.instance_id is None else member.instance_id)


def java_order(text: str) -> bytes:
    """Sorts as Java sorts strings: by UTF-16 units."""
    return text.encode("utf-16-be", "surrogatepass")


def topic_order(topic_id: UUID) -> tuple[int, int]:
    """Sorts as Kafka's Uuid: by two signed halves."""
    most, least = topic_id.int >> 64, topic_id.int & 0xFFFFFFFFFFFFFFFF
    return most - (most >> 63 << 64), least - (least >> 63 << 64)


def in_topic_order(topic_ids: Iterable[UUID]) -> list[UUID]:
    return sorted(topic_ids, key=topic_order)
