"""The records of `__consumer_offsets` that classic groups and their offsets live in, in Kafka's own layout.

A record's key is its two-byte type and then the key message; its value is the two-byte version and then the value
message in that version. `encode_record` and `decode_record` go between the two forms. Types that are declared here are
read at every version, those of other kinds of groups (consumer, share, streams) are left to their own modules.
"""

import struct
from enum import IntEnum

from kpy.protocol.errors import DecodeError
from kpy.protocol.primitives import Array, Bytes, Int32, Int64, NullableString, String, Uuid
from kpy.protocol.schema import Data, Struct, between, since, tagged

_PREFIX = struct.Struct(">h")


class GroupRecordType(IntEnum):
    """The first two bytes of a key."""

    LEGACY_OFFSET_COMMIT = 0
    OFFSET_COMMIT = 1
    GROUP_METADATA = 2


class LegacyOffsetCommitKey(Data, versions="0", flexible="none"):
    """A commit as the first brokers with this topic wrote it; Kafka still reads it."""

    group: String
    topic: String
    partition: Int32


class LegacyOffsetCommitValue(Data, versions="0", flexible="none"):
    """The value of a LegacyOffsetCommitKey."""

    offset: Int64
    metadata: String
    commit_timestamp: Int64


class OffsetCommitKey(Data, versions="0", flexible="none"):
    """Which commit this is; a null value forgets it."""

    group: String
    topic: String
    partition: Int32


class OffsetCommitValue(Data, versions="0-4", flexible="4+"):
    """Versions:

    - 1: expire_timestamp, for a client that asked for its own retention; no other version has it
    - 2: as 0
    - 3: leader_epoch (KIP-320)
    - 4: flexible, so that later fields can be skipped by older brokers (KIP-915); topic_id
    """

    offset: Int64
    leader_epoch: Int32 = since(3, default=-1, ignorable=True)
    metadata: String
    commit_timestamp: Int64
    expire_timestamp: Int64 = between(1, 1, default=-1, ignorable=True)
    topic_id: Uuid = tagged(0, since=4, ignorable=True)


class GroupMetadataKey(Data, versions="0", flexible="none"):
    """Which group this is; a null value forgets it."""

    group: String


class MemberMetadata(Struct):
    """A member as of the last completed rebalance."""

    member_id: String
    group_instance_id: NullableString = since(3, default=None, ignorable=True)
    client_id: String
    client_host: String
    rebalance_timeout: Int32 = since(1, default=-1, ignorable=True)  # both timeouts in ms
    session_timeout: Int32
    subscription: Bytes
    assignment: Bytes


class GroupMetadataValue(Data, versions="0-4", flexible="4+"):
    """Versions:

    - 1: rebalance_timeout of each member (KIP-62)
    - 2: current_state_timestamp, from which the retention of an empty group counts (KIP-211)
    - 3: group_instance_id of each member (KIP-345)
    - 4: flexible (KIP-915)
    """

    protocol_type: String
    generation: Int32
    protocol: NullableString
    leader: NullableString
    current_state_timestamp: Int64 = since(2, default=-1, ignorable=True)
    members: Array[MemberMetadata]


RECORD_TYPES: dict[int, tuple[type[Data], type[Data]]] = {
    GroupRecordType.LEGACY_OFFSET_COMMIT: (LegacyOffsetCommitKey, LegacyOffsetCommitValue),
    GroupRecordType.OFFSET_COMMIT: (OffsetCommitKey, OffsetCommitValue),
    GroupRecordType.GROUP_METADATA: (GroupMetadataKey, GroupMetadataValue),
}
_TYPES: dict[type[Data], GroupRecordType] = {key: GroupRecordType(number) for number, (key, _) in RECORD_TYPES.items()}


def value_version(value: Data) -> int:
    """The version that Kafka 4.3 writes a value in: the newest, but a commit with an expiry of its own only fits 1."""
    if isinstance(value, OffsetCommitValue) and value.expire_timestamp != -1:
        return 1
    return type(value).versions.maximum


def encode_record(key: Data, value: Data | None) -> tuple[bytes, bytes | None]:
    """A record as it stands in the log; None is the tombstone."""
    encoded_key = _PREFIX.pack(_TYPES[type(key)]) + key.encode(0)
    if value is None:
        return encoded_key, None
    version = value_version(value)
    return encoded_key, _PREFIX.pack(version) + value.encode(version)


def decode_record(key: bytes | memoryview, value: bytes | memoryview | None) -> tuple[Data, Data | None] | None:
    """The inverse of `encode_record`; None if the key is of a type that is not declared here."""
    schemas = RECORD_TYPES.get(_prefix(key))
    if schemas is None:
        return None
    key_schema, value_schema = schemas
    decoded_key = key_schema.decode(key, 0, _PREFIX.size)
    if value is None:
        return decoded_key, None
    return decoded_key, value_schema.decode(value, _prefix(value), _PREFIX.size)


def _prefix(data: bytes | memoryview) -> int:
    if len(data) < _PREFIX.size:
        raise DecodeError(f"a group record of {len(data)} bytes has no room for its type or version")
    number: int = _PREFIX.unpack_from(data)[0]
    return number
