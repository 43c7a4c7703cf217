"""The records of `__consumer_offsets` that share groups (KIP-932) live in, in Kafka's own layout.

How far a group is with its records is not here, but in `__share_group_state` (`kpy.protocol.share_state_records`).
"""

from kpy.protocol.coordinator_records import CoordinatorRecords
from kpy.protocol.primitives import Array, Int8, Int32, Int64, NullableString, String, Uuid
from kpy.protocol.schema import Data, Struct, tagged


class ShareGroupMemberMetadataKey(Data, versions="0", flexible="none"):
    """Which member this is; a null value forgets it."""

    group_id: String
    member_id: String


class ShareGroupMemberMetadataValue(Data, versions="0", flexible="0+"):
    """What a member said of itself."""

    rack_id: NullableString
    client_id: String
    client_host: String
    subscribed_topic_names: Array[String]


class ShareGroupMetadataKey(Data, versions="0", flexible="none"):
    """Which group this is; a null value forgets it."""

    group_id: String


class ShareGroupMetadataValue(Data, versions="0", flexible="0+"):
    """The epoch that counts the changes of a group's members, subscriptions and topics."""

    epoch: Int32
    metadata_hash: Int64  # of the topics subscribed, to notice that they changed (KIP-1101)


class ShareGroupTargetAssignmentMetadataKey(Data, versions="0", flexible="none"):
    """The group whose target assignment this is."""

    group_id: String


class ShareGroupTargetAssignmentMetadataValue(Data, versions="0", flexible="0+"):
    """The group epoch that the target assignments were made for, and when."""

    assignment_epoch: Int32
    assignment_timestamp: Int64 = tagged(0, since=0, default=0, ignorable=True)


class ShareGroupTargetAssignmentMemberKey(Data, versions="0", flexible="none"):
    """The member whose target assignment this is."""

    group_id: String
    member_id: String


class TopicPartition(Struct):
    """Some partitions of one topic."""

    topic_id: Uuid
    partitions: Array[Int32]


class ShareGroupTargetAssignmentMemberValue(Data, versions="0", flexible="0+"):
    """What a member shall read."""

    topic_partitions: Array[TopicPartition]


class ShareGroupCurrentMemberAssignmentKey(Data, versions="0", flexible="none"):
    """The member whose assignment this is."""

    group_id: String
    member_id: String


class TopicPartitions(Struct):
    """Some partitions of one topic."""

    topic_id: Uuid
    partitions: Array[Int32]


class ShareGroupCurrentMemberAssignmentValue(Data, versions="0", flexible="0+"):
    """What a member reads."""

    member_epoch: Int32
    previous_member_epoch: Int32  # still accepted: the member may have missed the last bump
    state: Int8  # by number of Kafka's `MemberState`
    assigned_partitions: Array[TopicPartitions]


class ShareGroupStatePartitionMetadataKey(Data, versions="0", flexible="none"):
    """The group whose share-partitions these are."""

    group_id: String


class TopicPartitionsInfo(Struct):
    """Some partitions of one topic."""

    topic_id: Uuid
    topic_name: String
    partitions: Array[Int32]


class TopicInfo(Struct):
    """A topic."""

    topic_id: Uuid
    topic_name: String


class ShareGroupStatePartitionMetadataValue(Data, versions="0", flexible="0+"):
    """The share-partitions whose state is being begun, has begun or is being deleted."""

    initializing_topics: Array[TopicPartitionsInfo]
    initialized_topics: Array[TopicPartitionsInfo]
    deleting_topics: Array[TopicInfo]


RECORDS = CoordinatorRecords(
    {
        10: (ShareGroupMemberMetadataKey, ShareGroupMemberMetadataValue),
        11: (ShareGroupMetadataKey, ShareGroupMetadataValue),
        12: (ShareGroupTargetAssignmentMetadataKey, ShareGroupTargetAssignmentMetadataValue),
        13: (ShareGroupTargetAssignmentMemberKey, ShareGroupTargetAssignmentMemberValue),
        14: (ShareGroupCurrentMemberAssignmentKey, ShareGroupCurrentMemberAssignmentValue),
        15: (ShareGroupStatePartitionMetadataKey, ShareGroupStatePartitionMetadataValue),
    }
)
