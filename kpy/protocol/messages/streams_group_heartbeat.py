"""StreamsGroupHeartbeat (API 88): a Kafka Streams client is in a streams group by it (KIP-1071).

It joins with its topology, stays, says which tasks it runs and leaves. What has not changed since the last one is null
or -1.
"""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import (
    Array,
    Bool,
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
from kpy.protocol.schema import Request, Response, Struct, field


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


class Topology(Struct):
    """The subtopologies; the epoch tells changes of them apart."""

    epoch: Int32
    subtopologies: Array[Subtopology]


class TaskIds(Struct):
    """Some tasks of one subtopology: one for each partition."""

    subtopology_id: String
    partitions: Array[Int32]


class Endpoint(Struct):
    """Where the state of a client can be queried."""

    host: String
    port: UInt16


class TaskOffset(Struct):
    """How far the changelog of one task is."""

    subtopology_id: String
    partition: Int32
    offset: Int64


class StreamsGroupHeartbeatRequest(Request, api=ApiKey.STREAMS_GROUP_HEARTBEAT, versions="0", flexible="0+"):
    """There is one version."""

    group_id: String
    member_id: String
    member_epoch: Int32  # 0: joins, -1: leaves, -2: leaves for a while as a static member
    endpoint_information_epoch: Int32  # of the newest partitions_by_user_endpoint that it has
    instance_id: NullableString = field(default=None)
    rack_id: NullableString = field(default=None)
    rebalance_timeout_ms: Int32 = field(default=-1)
    topology: NullableStruct[Topology] = field(default=None)  # only when it joins
    active_tasks: NullableArray[TaskIds] = field(default=None)
    standby_tasks: NullableArray[TaskIds] = field(default=None)
    warmup_tasks: NullableArray[TaskIds] = field(default=None)
    process_id: NullableString = field(default=None)  # the same for all clients of one process
    user_endpoint: NullableStruct[Endpoint] = field(default=None)
    client_tags: NullableArray[KeyValue] = field(default=None)
    task_offsets: NullableArray[TaskOffset] = field(default=None)
    task_end_offsets: NullableArray[TaskOffset] = field(default=None)
    shutdown_application: Bool = field(default=False)  # the whole application shall stop


class Status(Struct):
    """What keeps the group from working, also in words.

    Codes are 0 for a stale topology, 1 for missing source topics, 2 for partition counts that do not fit, 3 for missing
    internal topics, 4 for an application that was told to stop, 5 for an assignment that takes longer.
    """

    status_code: Int8
    status_detail: String


class TopicPartition(Struct):
    """Some partitions of one topic."""

    topic: String
    partitions: Array[Int32]


class EndpointToPartitions(Struct):
    """The partitions whose state a client has."""

    user_endpoint: Endpoint
    active_partitions: Array[TopicPartition]
    standby_partitions: Array[TopicPartition]


class StreamsGroupHeartbeatResponse(Response, api=ApiKey.STREAMS_GROUP_HEARTBEAT, versions="0", flexible="0+"):
    """There is one version."""

    throttle_time_ms: Int32 = field(default=0)
    error_code: Int16
    error_message: NullableString = field(default=None)
    member_id: String
    member_epoch: Int32
    heartbeat_interval_ms: Int32
    acceptable_recovery_lag: Int32
    task_offset_interval_ms: Int32
    status: NullableArray[Status]
    active_tasks: NullableArray[TaskIds] = field(default=None)
    standby_tasks: NullableArray[TaskIds] = field(default=None)
    warmup_tasks: NullableArray[TaskIds] = field(default=None)
    endpoint_information_epoch: Int32
    partitions_by_user_endpoint: NullableArray[EndpointToPartitions] = field(default=None)
