"""The records of `__consumer_offsets` that classic groups and the offsets of all groups live in, in Kafka's own layout.

The types that are declared here are read at every version, those of other kinds of groups have modules of their own:
`consumer_group_records`, `share_group_records` and `streams_group_records`.
"""

from enum import IntEnum

from kpy.protocol.coordinator_records import CoordinatorRecords, newest_version
from kpy.protocol.primitives import Array, Bytes, Int32, Int64, NullableString, String, Uuid
from kpy.protocol.schema import Data, Struct, between, since, tagged


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


def value_version(value: Data) -> int:
    """The version that Kafka 4.3 writes a value in: the newest, but a commit with an expiry of its own only fits 1."""
    if isinstance(value, OffsetCommitValue) and value.expire_timestamp != -1:
        return 1
    return newest_version(value)


RECORDS = CoordinatorRecords(
    {
        GroupRecordType.LEGACY_OFFSET_COMMIT: (LegacyOffsetCommitKey, LegacyOffsetCommitValue),
        GroupRecordType.OFFSET_COMMIT: (OffsetCommitKey, OffsetCommitValue),
        GroupRecordType.GROUP_METADATA: (GroupMetadataKey, GroupMetadataValue),
    },
    version_of=value_version,
)
