"""StreamsGroupDescribe (API 89): streams groups, their topology and their members (KIP-1071)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import (
    Array,
    Bool,
    Int16,
    Int32,
    Int64,
    NullableArray,
    NullableString,
    NullableStruct,
    String,
    UInt16,
)
from kpy.protocol.schema import Request, Response, Struct, field


class StreamsGroupDescribeRequest(Request, api=ApiKey.STREAMS_GROUP_DESCRIBE, versions="0", flexible="0+"):
    """There is one version."""

    group_ids: Array[String]
    include_authorized_operations: Bool


class KeyValue(Struct):
    """A tag of a client, or a config of a topic."""

    key: String
    value: String


class TopicInfo(Struct):
    """An internal topic; the partitions and the replication factor are 0 where the broker decides."""

    name: String
    partitions: Int32
    replication_factor: Int16
    topic_configs: Array[KeyValue]


class Subtopology(Struct):
    """A part of the topology that shares no state with the others, its patterns resolved to topics."""

    subtopology_id: String
    source_topics: Array[String]
    repartition_sink_topics: Array[String]
    state_changelog_topics: Array[TopicInfo]
    repartition_source_topics: Array[TopicInfo]


class Topology(Struct):
    """The topology that the group runs."""

    epoch: Int32
    subtopologies: NullableArray[Subtopology] = field(default=None)  # null while topics are missing


class Endpoint(Struct):
    """Where the state of a client can be queried."""

    host: String
    port: UInt16


class TaskOffset(Struct):
    """How far the changelog of one task is."""

    subtopology_id: String
    partition: Int32
    offset: Int64


class TaskIds(Struct):
    """Some tasks of one subtopology: one for each partition."""

    subtopology_id: String
    partitions: Array[Int32]


class Assignment(Struct):
    """The tasks that a member has or shall have."""

    active_tasks: Array[TaskIds]
    standby_tasks: Array[TaskIds]
    warmup_tasks: Array[TaskIds]


class Member(Struct):
    """A member; its assignment follows the target as others give tasks up."""

    member_id: String
    member_epoch: Int32
    instance_id: NullableString = field(default=None)
    rack_id: NullableString = field(default=None)
    client_id: String
    client_host: String
    topology_epoch: Int32
    process_id: String  # the same for all clients of one process
    user_endpoint: NullableStruct[Endpoint] = field(default=None)
    client_tags: Array[KeyValue]
    task_offsets: Array[TaskOffset]
    task_end_offsets: Array[TaskOffset]
    assignment: Assignment
    target_assignment: Assignment
    is_classic: Bool  # has not come over from the classic protocol yet


class DescribedGroup(Struct):
    """A group. The group epoch counts its changes, the assignment epoch is that of the target assignments."""

    error_code: Int16
    error_message: NullableString = field(default=None)
    group_id: String
    group_state: String
    group_epoch: Int32
    assignment_epoch: Int32
    topology: NullableStruct[Topology] = field(default=None)
    members: Array[Member]
    authorized_operations: Int32 = field(default=-2147483648)  # bits by ACL operation; default: not asked


class StreamsGroupDescribeResponse(Response, api=ApiKey.STREAMS_GROUP_DESCRIBE, versions="0", flexible="0+"):
    """There is one version."""

    throttle_time_ms: Int32 = field(default=0)
    groups: Array[DescribedGroup]
