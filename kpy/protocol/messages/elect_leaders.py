"""ElectLeaders (API 43): move leadership back to the preferred replica, or to an unclean one (KIP-183, KIP-460)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Int8, Int16, Int32, NullableArray, NullableString, String
from kpy.protocol.schema import Request, Response, Struct, field, since


class TopicPartitions(Struct):
    """Partitions of one topic."""

    topic: String
    partitions: Array[Int32]


class ElectLeadersRequest(Request, api=ApiKey.ELECT_LEADERS, versions="0-2", flexible="2+"):
    """Versions:

    - 1: election_type (KIP-460)
    - 2: flexible (KIP-482)
    """

    election_type: Int8 = since(1)  # 0 preferred, 1 unclean
    topic_partitions: NullableArray[TopicPartitions]  # null: all
    timeout_ms: Int32 = field(default=60000)


class PartitionResult(Struct):
    """The outcome for one partition."""

    partition_id: Int32
    error_code: Int16
    error_message: NullableString


class ReplicaElectionResult(Struct):
    """A topic and its partitions."""

    topic: String
    partition_result: Array[PartitionResult]


class ElectLeadersResponse(Response, api=ApiKey.ELECT_LEADERS, versions="0-2", flexible="2+"):
    """Versions:

    - 1: error_code at the top (KIP-460)
    - 2: flexible (KIP-482)
    """

    throttle_time_ms: Int32 = field(default=0)
    error_code: Int16 = since(1)
    replica_election_results: Array[ReplicaElectionResult]
