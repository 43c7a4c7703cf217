"""DescribeTopicPartitions (API 75): topics and their partitions, a page at a time (KIP-966)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import (
    Array,
    Bool,
    Int16,
    Int32,
    NullableArray,
    NullableString,
    NullableStruct,
    String,
    Uuid,
)
from kpy.protocol.schema import Request, Response, Struct, field


class TopicRequest(Struct):
    """A topic of interest."""

    name: String


class Cursor(Struct):
    """The partition that a page starts with."""

    topic_name: String
    partition_index: Int32


class DescribeTopicPartitionsRequest(Request, api=ApiKey.DESCRIBE_TOPIC_PARTITIONS, versions="0", flexible="0+"):
    """There is one version."""

    topics: Array[TopicRequest]  # none: all
    response_partition_limit: Int32 = field(default=2000)
    cursor: NullableStruct[Cursor] = field(default=None)


class DescribeTopicPartitionsResponsePartition(Struct):
    """A partition; the two fields of eligible leaders are null when the broker does not keep them."""

    error_code: Int16
    partition_index: Int32
    leader_id: Int32
    leader_epoch: Int32 = field(default=-1, ignorable=True)
    replica_nodes: Array[Int32]
    isr_nodes: Array[Int32]
    eligible_leader_replicas: NullableArray[Int32] = field(default=None)
    last_known_elr: NullableArray[Int32] = field(default=None)
    offline_replicas: Array[Int32] = field(ignorable=True)


class DescribeTopicPartitionsResponseTopic(Struct):
    """A topic and those of its partitions that are on this page."""

    error_code: Int16
    name: NullableString
    topic_id: Uuid = field(ignorable=True)
    is_internal: Bool = field(default=False, ignorable=True)
    partitions: Array[DescribeTopicPartitionsResponsePartition]
    topic_authorized_operations: Int32 = field(default=-2147483648)  # bits by ACL operation; default: not asked


class DescribeTopicPartitionsResponse(Response, api=ApiKey.DESCRIBE_TOPIC_PARTITIONS, versions="0", flexible="0+"):
    """There is one version."""

    throttle_time_ms: Int32 = field(default=0, ignorable=True)
    topics: Array[DescribeTopicPartitionsResponseTopic]
    next_cursor: NullableStruct[Cursor] = field(default=None)  # null: this was the last page
