"""The records of `__consumer_offsets` that streams groups (KIP-1071) live in, in Kafka's own layout."""

from kpy.protocol.coordinator_records import CoordinatorRecords
from kpy.protocol.primitives import (
    Array,
    Int8,
    Int16,
    Int32,
    Int64,
    NullableArray,
    NullableString,
    NullableStruct,
    String,
    UInt16,
)
from kpy.protocol.schema import Data, Struct, field, tagged


class StreamsGroupMetadataKey(Data, versions="0", flexible="none"):
    """Which group this is; a null value forgets it."""

    group_id: String


class LastAssignmentConfig(Struct):
    """One config of the assignor."""

    key: String
    value: String


class StreamsGroupMetadataValue(Data, versions="0", flexible="0+"):
    """The epoch that counts the changes of a group's members, topology and topics."""

    epoch: Int32
    metadata_hash: Int64  # of the topics read, to notice that they changed (KIP-1101)
    # of the topology whose topics were found as they have to be
    validated_topology_epoch: Int32 = tagged(0, since=0, default=-1)
    # those that the last assignment was made with
    last_assignment_configs: NullableArray[LastAssignmentConfig] = tagged(1, since=0)


class StreamsGroupMemberMetadataKey(Data, versions="0", flexible="none"):
    """Which member this is; a null value forgets it."""

    group_id: String
    member_id: String


class Endpoint(Struct):
    """Where the state of a client can be queried."""

    host: String
    port: UInt16


class KeyValue(Struct):
    """A tag of a client."""

    key: String
    value: String


class StreamsGroupMemberMetadataValue(Data, versions="0", flexible="0+"):
    """What a member said of itself."""

    instance_id: NullableString
    rack_id: NullableString
    client_id: String
    client_host: String
    rebalance_timeout_ms: Int32 = field(default=-1)
    topology_epoch: Int32
    process_id: String  # the same for all clients of one process
    user_endpoint: NullableStruct[Endpoint] = field(default=None)
    client_tags: Array[KeyValue]


class StreamsGroupTargetAssignmentMetadataKey(Data, versions="0", flexible="none"):
    """The group whose target assignment this is."""

    group_id: String


class StreamsGroupTargetAssignmentMetadataValue(Data, versions="0", flexible="0+"):
    """The group epoch that the target assignments were made for, and when."""

    assignment_epoch: Int32
    assignment_timestamp: Int64 = tagged(0, since=0, default=0, ignorable=True)


class StreamsGroupTargetAssignmentMemberKey(Data, versions="0", flexible="none"):
    """The member whose target assignment this is."""

    group_id: String
    member_id: String


class TargetTaskIds(Struct, named="TaskIds"):
    """Some tasks of one subtopology: one for each partition."""

    subtopology_id: String
    partitions: Array[Int32]


class StreamsGroupTargetAssignmentMemberValue(Data, versions="0", flexible="0+"):
    """The tasks that a member shall have once the others gave them up."""

    active_tasks: Array[TargetTaskIds]
    standby_tasks: Array[TargetTaskIds]
    warmup_tasks: Array[TargetTaskIds]


class StreamsGroupCurrentMemberAssignmentKey(Data, versions="0", flexible="none"):
    """The member whose assignment this is."""

    group_id: String
    member_id: String


class CurrentTaskIds(Struct, named="TaskIds"):
    """Some tasks of one subtopology: one for each partition."""

    subtopology_id: String
    partitions: Array[Int32]
    # for each active task, the epoch it was given in, which fences commits
    assignment_epochs: NullableArray[Int32] = tagged(0, since=0)


class StreamsGroupCurrentMemberAssignmentValue(Data, versions="0", flexible="0+"):
    """The tasks that a member has, and those that it has been asked to give up."""

    member_epoch: Int32
    previous_member_epoch: Int32  # still accepted: the member may have missed the last bump
    state: Int8  # by number of Kafka's `MemberState` of streams groups
    active_tasks: Array[CurrentTaskIds]
    standby_tasks: Array[CurrentTaskIds]
    warmup_tasks: Array[CurrentTaskIds]
    active_tasks_pending_revocation: Array[CurrentTaskIds]
    standby_tasks_pending_revocation: Array[CurrentTaskIds]
    warmup_tasks_pending_revocation: Array[CurrentTaskIds]


class StreamsGroupTopologyKey(Data, versions="0", flexible="none"):
    """The group whose topology this is."""

    group_id: String


class TopicConfig(Struct):
    """A config of an internal topic."""

    key: String
    value: String


class TopicInfo(Struct):
    """An internal topic; the partitions and the replication factor are 0 where the broker decides."""

    name: String
    partitions: Int32
    replication_factor: Int16
    topic_configs: Array[TopicConfig]


class CopartitionGroup(Struct):
    """Source topics that must have the same partitions, as indexes into the subtopology's three lists of them."""

    source_topics: Array[Int16]
    source_topic_regex: Array[Int16]
    repartition_source_topics: Array[Int16]


class Subtopology(Struct):
    """A part of the topology that shares no state with the others; its topics are what its tasks read and write."""

    subtopology_id: String
    source_topics: Array[String]
    source_topic_regex: Array[String]
    state_changelog_topics: Array[TopicInfo]
    repartition_sink_topics: Array[String]
    repartition_source_topics: Array[TopicInfo]
    copartition_groups: Array[CopartitionGroup]


class StreamsGroupTopologyValue(Data, versions="0", flexible="0+"):
    """The topology that the group runs, as its first member brought it."""

    epoch: Int32
    subtopologies: Array[Subtopology]


RECORDS = CoordinatorRecords(
    {
        17: (StreamsGroupMetadataKey, StreamsGroupMetadataValue),
        19: (StreamsGroupMemberMetadataKey, StreamsGroupMemberMetadataValue),
        20: (StreamsGroupTargetAssignmentMetadataKey, StreamsGroupTargetAssignmentMetadataValue),
        21: (StreamsGroupTargetAssignmentMemberKey, StreamsGroupTargetAssignmentMemberValue),
        22: (StreamsGroupCurrentMemberAssignmentKey, StreamsGroupCurrentMemberAssignmentValue),
        23: (StreamsGroupTopologyKey, StreamsGroupTopologyValue),
    }
)
