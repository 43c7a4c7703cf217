"""The records of a group coordinator, made and read."""

from kpy.protocol import consumer_group_records, group_records
from kpy.protocol.coordinator_records import CoordinatorRecords
from kpy.protocol.group_records import (
    GroupMetadataKey,
    GroupMetadataValue,
    LegacyOffsetCommitKey,
    LegacyOffsetCommitValue,
    OffsetCommitKey,
    OffsetCommitValue,
    value_version,
)
from kpy.state_machine import Record

RECORDS = CoordinatorRecords(
    {**group_records.RECORDS.types, **consumer_group_records.RECORDS.types}, version_of=value_version
)


def group_record(group_id: str, value: GroupMetadataValue | None) -> Record:
    """What a group is; None deletes it."""
    return Record(GroupMetadataKey(group=group_id), value)


def offset_record(group_id: str, topic: str, partition: int, value: OffsetCommitValue | None) -> Record:
    """What a group has committed for a partition; None forgets it."""
    return Record(OffsetCommitKey(group=group_id, topic=topic, partition=partition), value)


def empty_group(protocol_type: str, generation: int, state_timestamp_ms: int) -> GroupMetadataValue:
    """A group without members."""
    return GroupMetadataValue(
        protocol_type=protocol_type,
        generation=generation,
        protocol=None,
        leader=None,
        current_state_timestamp=state_timestamp_ms,
        members=[],
    )


def encode(record: Record) -> tuple[bytes | None, bytes | None]:
    """Key and value as they stand in the log."""
    key, value = record
    if key is None:
        raise AssertionError("every record of a group coordinator has a key")
    return RECORDS.encode(key, value)


def decode(key: bytes | None, value: bytes | None) -> Record | None:
    """The inverse; None for records of groups of a protocol that is not known here.

    Commits in the layout of the first brokers become what they would be today.
    """
    if key is None:
        return None
    decoded = RECORDS.decode(key, value)
    if decoded is None:
        return None
    found_key, found_value = decoded
    if isinstance(found_key, LegacyOffsetCommitKey):
        found_key = OffsetCommitKey(group=found_key.group, topic=found_key.topic, partition=found_key.partition)
        if isinstance(found_value, LegacyOffsetCommitValue):
            found_value = OffsetCommitValue(
                offset=found_value.offset,
                metadata=found_value.metadata,
                commit_timestamp=found_value.commit_timestamp,
            )
    return Record(found_key, found_value)
