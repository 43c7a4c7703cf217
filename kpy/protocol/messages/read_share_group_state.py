"""ReadShareGroupState (API 84): the leader of a share-partition gets its state when it takes over (KIP-932)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Int8, Int16, Int32, Int64, NullableString, String, Uuid
from kpy.protocol.schema import Request, Response, Struct, field


class PartitionData(Struct):
    """A partition; its leader epoch fences leaders before it."""

    partition: Int32
    leader_epoch: Int32


class ReadStateData(Struct):
    """A topic and its partitions."""

    topic_id: Uuid
    partitions: Array[PartitionData]


class ReadShareGroupStateRequest(Request, api=ApiKey.READ_SHARE_GROUP_STATE, versions="0", flexible="0+"):
    """There is one version."""

    group_id: String
    topics: Array[ReadStateData]


class StateBatch(Struct):
    """The state that the records from first_offset to last_offset are in."""

    first_offset: Int64
    last_offset: Int64
    delivery_state: Int8  # 0: available, 2: acknowledged, 4: archived
    delivery_count: Int16


class PartitionResult(Struct):
    """The state of one partition."""

    partition: Int32
    error_code: Int16
    error_message: NullableString = field(default=None)
    state_epoch: Int32
    start_offset: Int64  # -1: where it starts is not decided yet
    state_batches: Array[StateBatch]


class ReadStateResult(Struct):
    """A topic and its partitions."""

    topic_id: Uuid
    partitions: Array[PartitionResult]


class ReadShareGroupStateResponse(Response, api=ApiKey.READ_SHARE_GROUP_STATE, versions="0", flexible="0+"):
    """There is one version."""

    results: Array[ReadStateResult]
