"""OffsetDelete (API 47): forget a group's committed offsets of some partitions (KIP-496)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Int16, Int32, String
from kpy.protocol.schema import Request, Response, Struct, field


class OffsetDeleteRequestPartition(Struct):
    """A partition whose commit shall go."""

    partition_index: Int32


class OffsetDeleteRequestTopic(Struct):
    """A topic and its partitions."""

    name: String
    partitions: Array[OffsetDeleteRequestPartition]


class OffsetDeleteRequest(Request, api=ApiKey.OFFSET_DELETE, versions="0", flexible="none"):
    """There is one version, and it is not flexible."""

    group_id: String
    topics: Array[OffsetDeleteRequestTopic]


class OffsetDeleteResponsePartition(Struct):
    """The result for one partition; GROUP_SUBSCRIBED_TO_TOPIC while a member reads the topic."""

    partition_index: Int32
    error_code: Int16


class OffsetDeleteResponseTopic(Struct):
    """A topic and its partitions."""

    name: String
    partitions: Array[OffsetDeleteResponsePartition]


class OffsetDeleteResponse(Response, api=ApiKey.OFFSET_DELETE, versions="0", flexible="none"):
    """The error comes before the throttle time, unlike everywhere else."""

    error_code: Int16
    throttle_time_ms: Int32 = field(default=0, ignorable=True)
    topics: Array[OffsetDeleteResponseTopic]
