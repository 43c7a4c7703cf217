"""DeleteRecords (API 21): move the start of partitions forward (KIP-107)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Int16, Int32, Int64, String
from kpy.protocol.schema import Request, Response, Struct, field


class DeleteRecordsPartition(Struct):
    """Everything before the offset shall go; -1 means up to the high watermark."""

    partition_index: Int32
    offset: Int64


class DeleteRecordsTopic(Struct):
    """A topic and its partitions."""

    name: String
    partitions: Array[DeleteRecordsPartition]


class DeleteRecordsRequest(Request, api=ApiKey.DELETE_RECORDS, versions="0-2", flexible="2+"):
    """Versions:

    - 1: as 0
    - 2: flexible (KIP-482)
    """

    topics: Array[DeleteRecordsTopic]
    timeout_ms: Int32


class DeleteRecordsPartitionResult(Struct):
    """The partition's new start, or -1 with an error."""

    partition_index: Int32
    low_watermark: Int64
    error_code: Int16


class DeleteRecordsTopicResult(Struct):
    """A topic and its partitions."""

    name: String
    partitions: Array[DeleteRecordsPartitionResult]


class DeleteRecordsResponse(Response, api=ApiKey.DELETE_RECORDS, versions="0-2", flexible="2+"):
    """Versions:

    - 1: as 0; sent before the broker throttles (KIP-219)
    - 2: flexible (KIP-482)
    """

    throttle_time_ms: Int32 = field(default=0)
    topics: Array[DeleteRecordsTopicResult]
