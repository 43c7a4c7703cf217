"""WriteShareGroupState (API 85): the leader of a share-partition makes its state durable (KIP-932)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Int8, Int16, Int32, Int64, NullableString, String, Uuid
from kpy.protocol.schema import Request, Response, Struct, field, since


class StateBatch(Struct):
    """The state that the records from first_offset to last_offset are in."""

    first_offset: Int64
    last_offset: Int64
    delivery_state: Int8  # 0: available, 2: acknowledged, 4: archived
    delivery_count: Int16


class PartitionData(Struct):
    """A partition and what changed of it; the two epochs fence leaders and states before them."""

    partition: Int32
    state_epoch: Int32
    leader_epoch: Int32
    start_offset: Int64  # -1: unchanged
    # records from start_offset on that are done with; -1: unknown
    delivery_complete_count: Int32 = since(1, default=-1, ignorable=True)
    state_batches: Array[StateBatch]


class WriteStateData(Struct):
    """A topic and its partitions."""

    topic_id: Uuid
    partitions: Array[PartitionData]


class WriteShareGroupStateRequest(Request, api=ApiKey.WRITE_SHARE_GROUP_STATE, versions="0-1", flexible="0+"):
    """Versions:

    - 1: delivery_complete_count (KIP-1226)
    """

    group_id: String
    topics: Array[WriteStateData]


class PartitionResult(Struct):
    """The result for one partition."""

    partition: Int32
    error_code: Int16
    error_message: NullableString = field(default=None)


class WriteStateResult(Struct):
    """A topic and its partitions."""

    topic_id: Uuid
    partitions: Array[PartitionResult]


class WriteShareGroupStateResponse(Response, api=ApiKey.WRITE_SHARE_GROUP_STATE, versions="0-1", flexible="0+"):
    """Versions:

    - 1: as 0
    """

    results: Array[WriteStateResult]
