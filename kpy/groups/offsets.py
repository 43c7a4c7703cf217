"""What groups have committed, and when they lose it.

An offset is the value of its record, as it was replayed. Nothing else is kept, so a loaded store equals a live one.
"""

from collections.abc import Iterator, Mapping
from uuid import UUID

from kpy.groups.group import Group
from kpy.groups.records import offset_record
from kpy.groups.topics import NO_TOPIC_ID, Topics
from kpy.protocol.group_records import OffsetCommitKey, OffsetCommitValue
from kpy.state_machine import Record

PartitionOffsets = dict[int, OffsetCommitValue]
NO_OFFSETS: Mapping[str, PartitionOffsets] = {}


class OffsetStore:
    """Committed offsets by group, topic and partition. Invariant: no mapping in it is empty."""

    def __init__(self) -> None:
        self._groups: dict[str, dict[str, PartitionOffsets]] = {}

    def of_group(self, group_id: str) -> Mapping[str, PartitionOffsets]:
        """Everything that a group has committed, by topic and partition."""
        return self._groups.get(group_id, NO_OFFSETS)

    def get(self, group_id: str, topic: str, partition: int) -> OffsetCommitValue | None:
        return self.of_group(group_id).get(topic, {}).get(partition)

    def apply(self, key: OffsetCommitKey, value: OffsetCommitValue | None) -> None:
        """Replay a commit or its tombstone."""
        if value is not None:
            self._groups.setdefault(key.group, {}).setdefault(key.topic, {})[key.partition] = value
            return
        topics = self._groups.get(key.group)
        if topics is None or key.topic not in topics:
            return
        topics[key.topic].pop(key.partition, None)
        if not topics[key.topic]:
            del topics[key.topic]
        if not topics:
            del self._groups[key.group]

    def tombstones(self, group_id: str) -> list[Record]:
        """The records that forget all of a group's offsets."""
        return [offset_record(group_id, topic, partition, None) for topic, partition, _ in self._entries(group_id)]

    def expired(self, group: Group, retention_ms: int, now_ms: int) -> list[Record]:
        """The records that forget what a group has kept for too long (KIP-211, OffsetExpirationConditionImpl)."""
        return [
            offset_record(group.group_id, topic, partition, None)
            for topic, partition, value in self._entries(group.group_id)
            if not group.is_subscribed(topic) and _is_expired(group, value, retention_ms, now_ms)
        ]

    def count(self, group_id: str) -> int:
        return sum(len(partitions) for partitions in self.of_group(group_id).values())

    def of_deleted_topics(self, deleted: Mapping[str, UUID]) -> list[Record]:
        """The records that forget the offsets of topics that were deleted, by name and id."""
        return [
            offset_record(group_id, topic, partition, None)
            for group_id in self._groups
            for topic, partition, value in self._entries(group_id)
            if topic in deleted and value.topic_id in (NO_TOPIC_ID, deleted[topic])
        ]

    def of_missing_topics(self, topics: Topics) -> list[Record]:
        """The records that forget the offsets of topics that are not there, or there again with another id."""
        return [
            offset_record(group_id, name, partition, None)
            for group_id in self._groups
            for name, partition, value in self._entries(group_id)
            if (topic := topics.topic(name)) is None or value.topic_id not in (NO_TOPIC_ID, topic.topic_id)
        ]

    def _entries(self, group_id: str) -> Iterator[tuple[str, int, OffsetCommitValue]]:
        for topic, partitions in self.of_group(group_id).items():
            for partition, value in partitions.items():
                yield topic, partition, value

    def durable_state(self) -> object:
        """What a replay of the log must give again."""
        return self._groups

    def check_invariants(self) -> None:
        """Raise if the store contradicts itself."""
        assert all(topics and all(topics.values()) for topics in self._groups.values())


def _is_expired(group: Group, value: OffsetCommitValue, retention_ms: int, now_ms: int) -> bool:
    """A commit may have brought its own end (OffsetCommit 2 to 4); else the broker's retention decides."""
    start_ms = group.retention_start_ms(value)
    if start_ms is None:
        return False
    if value.expire_timestamp != -1:
        return now_ms >= value.expire_timestamp
    return now_ms - start_ms >= retention_ms
