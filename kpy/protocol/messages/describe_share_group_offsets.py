"""DescribeShareGroupOffsets (API 90): where share groups start to read (KIP-932)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Int16, Int32, Int64, NullableArray, NullableString, String, Uuid
from kpy.protocol.schema import Request, Response, Struct, field, since


class DescribeShareGroupOffsetsRequestTopic(Struct):
    """A topic and its partitions."""

    topic_name: String
    partitions: Array[Int32]


class DescribeShareGroupOffsetsRequestGroup(Struct):
    """A group and what is of interest of it."""

    group_id: String
    topics: NullableArray[DescribeShareGroupOffsetsRequestTopic]  # null: all


class DescribeShareGroupOffsetsRequest(Request, api=ApiKey.DESCRIBE_SHARE_GROUP_OFFSETS, versions="0-1", flexible="0+"):
    """Versions:

    - 1: as 0 (KIP-1226 changed the response)
    """

    groups: Array[DescribeShareGroupOffsetsRequestGroup]


class DescribeShareGroupOffsetsResponsePartition(Struct):
    """The start of one partition."""

    partition_index: Int32
    start_offset: Int64
    leader_epoch: Int32
    lag: Int64 = since(1, default=-1, ignorable=True)  # -1: unknown
    error_code: Int16
    error_message: NullableString = field(default=None)


class DescribeShareGroupOffsetsResponseTopic(Struct):
    """A topic and its partitions."""

    topic_name: String
    topic_id: Uuid
    partitions: Array[DescribeShareGroupOffsetsResponsePartition]


class DescribeShareGroupOffsetsResponseGroup(Struct):
    """A group and its topics."""

    group_id: String
    topics: Array[DescribeShareGroupOffsetsResponseTopic]
    error_code: Int16
    error_message: NullableString = field(default=None)


class DescribeShareGroupOffsetsResponse(
    Response, api=ApiKey.DESCRIBE_SHARE_GROUP_OFFSETS, versions="0-1", flexible="0+"
):
    """Versions:

    - 1: lag of each partition (KIP-1226)
    """

    throttle_time_ms: Int32 = field(default=0)
    groups: Array[DescribeShareGroupOffsetsResponseGroup]
