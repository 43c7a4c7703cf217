"""ReadShareGroupStateSummary (API 87): as ReadShareGroupState, without the state batches (KIP-932)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Int16, Int32, Int64, NullableString, String, Uuid
from kpy.protocol.schema import Request, Response, Struct, field, since


class PartitionData(Struct):
    """A partition; its leader epoch fences leaders before it."""

    partition: Int32
    leader_epoch: Int32


class ReadStateSummaryData(Struct):
    """A topic and its partitions."""

    topic_id: Uuid
    partitions: Array[PartitionData]


class ReadShareGroupStateSummaryRequest(
    Request, api=ApiKey.READ_SHARE_GROUP_STATE_SUMMARY, versions="0-1", flexible="0+"
):
    """Versions:

    - 1: as 0 (KIP-1226 changed the response)
    """

    group_id: String
    topics: Array[ReadStateSummaryData]


class PartitionResult(Struct):
    """The state of one partition, in short."""

    partition: Int32
    error_code: Int16
    error_message: NullableString = field(default=None)
    state_epoch: Int32
    leader_epoch: Int32
    start_offset: Int64
    # records from start_offset on that are done with; -1: unknown
    delivery_complete_count: Int32 = since(1, default=-1, ignorable=True)


class ReadStateSummaryResult(Struct):
    """A topic and its partitions."""

    topic_id: Uuid
    partitions: Array[PartitionResult]


class ReadShareGroupStateSummaryResponse(
    Response, api=ApiKey.READ_SHARE_GROUP_STATE_SUMMARY, versions="0-1", flexible="0+"
):
    """Versions:

    - 1: delivery_complete_count (KIP-1226)
    """

    results: Array[ReadStateSummaryResult]
