"""AlterShareGroupOffsets (API 91): an empty share group starts to read elsewhere (KIP-932)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Int16, Int32, Int64, NullableString, String, Uuid
from kpy.protocol.schema import Request, Response, Struct, field


class AlterShareGroupOffsetsRequestPartition(Struct):
    """A partition and its new start."""

    partition_index: Int32
    start_offset: Int64


class AlterShareGroupOffsetsRequestTopic(Struct):
    """A topic and its partitions."""

    topic_name: String
    partitions: Array[AlterShareGroupOffsetsRequestPartition]


class AlterShareGroupOffsetsRequest(Request, api=ApiKey.ALTER_SHARE_GROUP_OFFSETS, versions="0", flexible="0+"):
    """There is one version."""

    group_id: String
    topics: Array[AlterShareGroupOffsetsRequestTopic]


class AlterShareGroupOffsetsResponsePartition(Struct):
    """The result for one partition."""

    partition_index: Int32
    error_code: Int16
    error_message: NullableString = field(default=None)


class AlterShareGroupOffsetsResponseTopic(Struct):
    """A topic and its partitions."""

    topic_name: String
    topic_id: Uuid
    partitions: Array[AlterShareGroupOffsetsResponsePartition]


class AlterShareGroupOffsetsResponse(Response, api=ApiKey.ALTER_SHARE_GROUP_OFFSETS, versions="0", flexible="0+"):
    """There is one version."""

    throttle_time_ms: Int32 = field(default=0)
    error_code: Int16
    error_message: NullableString = field(default=None)
    responses: Array[AlterShareGroupOffsetsResponseTopic]
