"""ListOffsets (API 2): the offset that belongs to a timestamp, or to an end of the log."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Int8, Int16, Int32, Int64, String
from kpy.protocol.schema import Request, Response, Struct, field, since


class ListOffsetsPartition(Struct):
    """A partition and a time in ms, or one of the negative numbers of `ListOffsetsRequest`."""

    partition_index: Int32
    current_leader_epoch: Int32 = since(4, default=-1, ignorable=True)
    timestamp: Int64


class ListOffsetsTopic(Struct):
    """A topic and its partitions."""

    name: String
    partitions: Array[ListOffsetsPartition]


class ListOffsetsRequest(Request, api=ApiKey.LIST_OFFSETS, versions="1-11", flexible="6+"):
    """Versions (0 left Kafka with 4.0, KIP-896):

    - 1: one offset per partition; timestamp -1 is the log's end, -2 its start (KIP-79)
    - 2: isolation_level (KIP-98)
    - 3: as 2
    - 4: current_leader_epoch (KIP-320)
    - 5: as 4
    - 6: flexible (KIP-482)
    - 7: as 6; timestamp -3, the record with the greatest timestamp (KIP-734)
    - 8: as 6; timestamp -4, the start of what is kept locally (KIP-405)
    - 9: as 6; timestamp -5, the last offset in tiered storage (KIP-1005)
    - 10: timeout_ms, for what tiered storage has to look up (KIP-1075)
    - 11: as 10; timestamp -6, the first offset not yet in tiered storage (KIP-1023)
    """

    replica_id: Int32  # -1: a consumer
    isolation_level: Int8 = since(2)  # 1: the end is the last stable offset
    topics: Array[ListOffsetsTopic]
    timeout_ms: Int32 = since(10, ignorable=True)


class ListOffsetsPartitionResponse(Struct):
    """The offset and the timestamp of the record there; -1 for what there is not."""

    partition_index: Int32
    error_code: Int16
    timestamp: Int64 = field(default=-1)
    offset: Int64 = field(default=-1)
    leader_epoch: Int32 = since(4, default=-1)


class ListOffsetsTopicResponse(Struct):
    """A topic and its partitions."""

    name: String
    partitions: Array[ListOffsetsPartitionResponse]


class ListOffsetsResponse(Response, api=ApiKey.LIST_OFFSETS, versions="1-11", flexible="6+"):
    """Versions:

    - 1: one offset with its timestamp (KIP-79)
    - 2: throttle_time_ms (KIP-124)
    - 3: as 2; sent before the broker throttles (KIP-219)
    - 4: leader_epoch (KIP-320)
    - 5: as 4; OFFSET_NOT_AVAILABLE (KIP-207)
    - 6: flexible (KIP-482)
    - 7 to 11: as 6
    """

    throttle_time_ms: Int32 = since(2, ignorable=True)
    topics: Array[ListOffsetsTopicResponse]
