"""The records of `__consumer_offsets` that groups of the consumer protocol (KIP-848) live in, in Kafka's own layout.

A group is its epoch, its members, the assignments that they shall have and those that they have. All values have one
version, and what came later is tagged.
"""

from kpy.protocol.coordinator_records import CoordinatorRecords
from kpy.protocol.primitives import (
    Array,
    Bytes,
    Int8,
    Int32,
    Int64,
    NullableArray,
    NullableString,
    NullableStruct,
    String,
    Uuid,
)
from kpy.protocol.schema import Data, Struct, field, tagged


class ConsumerGroupMetadataKey(Data, versions="0", flexible="none"):
    """Which group this is; a null value forgets it."""

    group_id: String


class ConsumerGroupMetadataValue(Data, versions="0", flexible="0+"):
    """The epoch that counts the changes of a group's members, subscriptions and topics."""

    epoch: Int32
    # of the topics subscribed, to notice that they changed (KIP-1101)
    metadata_hash: Int64 = tagged(0, since=0, default=0)


class ConsumerGroupPartitionMetadataKey(Data, versions="0", flexible="none"):
    """The group whose topics these are. Only brokers before the metadata hash wrote it (KIP-1101)."""

    group_id: String


class PartitionMetadata(Struct):
    """A partition and its racks."""

    partition: Int32
    racks: Array[String]


class TopicMetadata(Struct):
    """A topic as it was when the group's assignment was made."""

    topic_id: Uuid
    topic_name: String
    num_partitions: Int32
    partition_metadata: Array[PartitionMetadata]


class ConsumerGroupPartitionMetadataValue(Data, versions="0", flexible="0+"):
    """The topics that the group's members subscribed to."""

    topics: Array[TopicMetadata]


class ConsumerGroupMemberMetadataKey(Data, versions="0", flexible="none"):
    """Which member this is; a null value forgets it."""

    group_id: String
    member_id: String


class ClassicProtocol(Struct):
    """One assignment strategy, as in JoinGroup."""

    name: String
    metadata: Bytes


class ClassicMemberMetadata(Struct):
    """What the classic protocol knows of a member that still speaks it."""

    session_timeout_ms: Int32
    supported_protocols: Array[ClassicProtocol]


class ConsumerGroupMemberMetadataValue(Data, versions="0", flexible="0+"):
    """What a member said of itself."""

    instance_id: NullableString
    rack_id: NullableString
    client_id: String
    client_host: String
    subscribed_topic_names: Array[String]
    subscribed_topic_regex: NullableString
    rebalance_timeout_ms: Int32 = field(default=-1)
    server_assignor: NullableString
    # null: it speaks the consumer protocol; left out, it would be a member of the classic one
    classic_member_metadata: NullableStruct[ClassicMemberMetadata] = tagged(0, since=0)


class ConsumerGroupTargetAssignmentMetadataKey(Data, versions="0", flexible="none"):
    """The group whose target assignment this is."""

    group_id: String


class ConsumerGroupTargetAssignmentMetadataValue(Data, versions="0", flexible="0+"):
    """The group epoch that the target assignments were made for, and when."""

    assignment_epoch: Int32
    assignment_timestamp: Int64 = tagged(0, since=0, default=0, ignorable=True)


class ConsumerGroupTargetAssignmentMemberKey(Data, versions="0", flexible="none"):
    """The member whose target assignment this is."""

    group_id: String
    member_id: String


class TopicPartition(Struct):
    """Some partitions of one topic."""

    topic_id: Uuid
    partitions: Array[Int32]


class ConsumerGroupTargetAssignmentMemberValue(Data, versions="0", flexible="0+"):
    """What a member shall have once the others gave it up."""

    topic_partitions: Array[TopicPartition]


class ConsumerGroupCurrentMemberAssignmentKey(Data, versions="0", flexible="none"):
    """The member whose assignment this is."""

    group_id: String
    member_id: String


class TopicPartitions(Struct):
    """Some partitions of one topic."""

    topic_id: Uuid
    partitions: Array[Int32]
    # for each partition, the epoch it was given in, which fences commits (KIP-1251)
    assignment_epochs: NullableArray[Int32] = tagged(0, since=0)


class ConsumerGroupCurrentMemberAssignmentValue(Data, versions="0", flexible="0+"):
    """What a member has, and what it has been asked to give up."""

    member_epoch: Int32
    previous_member_epoch: Int32  # still accepted: the member may have missed the last bump
    state: Int8  # by number of Kafka's `MemberState`
    assigned_partitions: Array[TopicPartitions]
    partitions_pending_revocation: Array[TopicPartitions]


class ConsumerGroupRegularExpressionKey(Data, versions="0", flexible="none"):
    """The pattern of topic names that members of a group subscribed to; a null value forgets it."""

    group_id: String
    regular_expression: String


class ConsumerGroupRegularExpressionValue(Data, versions="0", flexible="0+"):
    """The topics that match it."""

    topics: Array[String]
    version: Int64  # of the cluster metadata that it was resolved with
    timestamp: Int64


RECORDS = CoordinatorRecords(
    {
        3: (ConsumerGroupMetadataKey, ConsumerGroupMetadataValue),
        4: (ConsumerGroupPartitionMetadataKey, ConsumerGroupPartitionMetadataValue),
        5: (ConsumerGroupMemberMetadataKey, ConsumerGroupMemberMetadataValue),
        6: (ConsumerGroupTargetAssignmentMetadataKey, ConsumerGroupTargetAssignmentMetadataValue),
        7: (ConsumerGroupTargetAssignmentMemberKey, ConsumerGroupTargetAssignmentMemberValue),
        8: (ConsumerGroupCurrentMemberAssignmentKey, ConsumerGroupCurrentMemberAssignmentValue),
        16: (ConsumerGroupRegularExpressionKey, ConsumerGroupRegularExpressionValue),
    }
)
