"""DeleteShareGroupState (API 86): the state of share-partitions is forgotten (KIP-932)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Int16, Int32, NullableString, String, Uuid
from kpy.protocol.schema import Request, Response, Struct, field


class PartitionData(Struct):
    """A partition."""

    partition: Int32


class DeleteStateData(Struct):
    """A topic and its partitions."""

    topic_id: Uuid
    partitions: Array[PartitionData]


class DeleteShareGroupStateRequest(Request, api=ApiKey.DELETE_SHARE_GROUP_STATE, versions="0", flexible="0+"):
    """There is one version."""

    group_id: String
    topics: Array[DeleteStateData]


class PartitionResult(Struct):
    """The result for one partition."""

    partition: Int32
    error_code: Int16
    error_message: NullableString = field(default=None)


class DeleteStateResult(Struct):
    """A topic and its partitions."""

    topic_id: Uuid
    partitions: Array[PartitionResult]


class DeleteShareGroupStateResponse(Response, api=ApiKey.DELETE_SHARE_GROUP_STATE, versions="0", flexible="0+"):
    """There is one version."""

    results: Array[DeleteStateResult]
