"""The records of a group coordinator, made and read."""

from kpy.protocol import consumer_group_records
from kpy.protocol.group_records import (
    GroupMetadataKey,
    GroupMetadataValue,
    LegacyOffsetCommitKey,
    LegacyOffsetCommitValue,
    OffsetCommitKey,
    OffsetCommitValue,
    decode_record,
    encode_record,
)
from kpy.state_machine import Record

CONSUMER_GROUP_KEYS = frozenset(key for key, _ in consumer_group_records.RECORDS.types.values())


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
    if record.key is None:
        raise AssertionError("every record of a group coordinator has a key")
    if type(record.key) in CONSUMER_GROUP_KEYS:
        return consumer_group_records.RECORDS.encode(record.key, record.value)
    return encode_record(record.key, record.value)


def decode(key: bytes | None, value: bytes | None) -> Record | None:
    """The inverse; None for records of groups of a protocol that is not known here.

    Commits in the layout of the first brokers become what they would be today.
    """
    if key is None:
        return None
    decoded = decode_record(key, value) or consumer_group_records.RECORDS.decode(key, value)
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
