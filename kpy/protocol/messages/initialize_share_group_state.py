"""InitializeShareGroupState (API 83): a group coordinator begins the state of share-partitions (KIP-932)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Int16, Int32, Int64, NullableString, String, Uuid
from kpy.protocol.schema import Request, Response, Struct, field


class PartitionData(Struct):
    """A partition."""

    partition: Int32
    state_epoch: Int32
    start_offset: Int64  # -1: where it starts is not decided yet


class InitializeStateData(Struct):
    """A topic and its partitions."""

    topic_id: Uuid
    partitions: Array[PartitionData]


class InitializeShareGroupStateRequest(Request, api=ApiKey.INITIALIZE_SHARE_GROUP_STATE, versions="0", flexible="0+"):
    """There is one version."""

    group_id: String
    topics: Array[InitializeStateData]


class PartitionResult(Struct):
    """The result for one partition."""

    partition: Int32
    error_code: Int16
    error_message: NullableString = field(default=None)


class InitializeStateResult(Struct):
    """A topic and its partitions."""

    topic_id: Uuid
    partitions: Array[PartitionResult]


class InitializeShareGroupStateResponse(Response, api=ApiKey.INITIALIZE_SHARE_GROUP_STATE, versions="0", flexible="0+"):
    """There is one version."""

    results: Array[InitializeStateResult]
