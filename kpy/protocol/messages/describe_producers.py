"""DescribeProducers (API 61): the idempotent producers that a partition remembers (KIP-664)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Int16, Int32, Int64, NullableString, String
from kpy.protocol.schema import Request, Response, Struct, field


class TopicRequest(Struct):
    """A topic and its partitions."""

    name: String
    partition_indexes: Array[Int32]


class DescribeProducersRequest(Request, api=ApiKey.DESCRIBE_PRODUCERS, versions="0", flexible="0+"):
    """There is one version."""

    topics: Array[TopicRequest]


class ProducerState(Struct):
    """A producer, by its last batch."""

    producer_id: Int64
    producer_epoch: Int32
    last_sequence: Int32 = field(default=-1)
    last_timestamp: Int64 = field(default=-1)
    coordinator_epoch: Int32  # of the last marker that ended one of its transactions
    current_txn_start_offset: Int64 = field(default=-1)  # -1: no transaction is open


class PartitionResponse(Struct):
    """A partition and its producers."""

    partition_index: Int32
    error_code: Int16
    error_message: NullableString = field(default=None)
    active_producers: Array[ProducerState]


class TopicResponse(Struct):
    """A topic and its partitions."""

    name: String
    partitions: Array[PartitionResponse]


class DescribeProducersResponse(Response, api=ApiKey.DESCRIBE_PRODUCERS, versions="0", flexible="0+"):
    """There is one version."""

    throttle_time_ms: Int32 = field(default=0)
    topics: Array[TopicResponse]
