"""AlterPartitionReassignments (API 45): partitions get other replicas, or no longer do (KIP-455)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Bool, Int16, Int32, NullableArray, NullableString, String
from kpy.protocol.schema import Request, Response, Struct, field, since


class ReassignablePartition(Struct):
    """A partition and where it shall live."""

    partition_index: Int32
    replicas: NullableArray[Int32] = field(default=None)  # null: the reassignment under way is given up


class ReassignableTopic(Struct):
    """A topic and its partitions."""

    name: String
    partitions: Array[ReassignablePartition]


class AlterPartitionReassignmentsRequest(
    Request, api=ApiKey.ALTER_PARTITION_REASSIGNMENTS, versions="0-1", flexible="0+"
):
    """Versions:

    - 1: allow_replication_factor_change (KIP-860)
    """

    timeout_ms: Int32 = field(default=60000)
    allow_replication_factor_change: Bool = since(1, default=True)
    topics: Array[ReassignableTopic]


class ReassignablePartitionResponse(Struct):
    """The result for one partition."""

    partition_index: Int32
    error_code: Int16
    error_message: NullableString


class ReassignableTopicResponse(Struct):
    """A topic and its partitions."""

    name: String
    partitions: Array[ReassignablePartitionResponse]


class AlterPartitionReassignmentsResponse(
    Response, api=ApiKey.ALTER_PARTITION_REASSIGNMENTS, versions="0-1", flexible="0+"
):
    """Versions:

    - 1: allow_replication_factor_change, as it was asked for (KIP-860)
    """

    throttle_time_ms: Int32 = field(default=0)
    allow_replication_factor_change: Bool = since(1, default=True, ignorable=True)
    error_code: Int16
    error_message: NullableString
    responses: Array[ReassignableTopicResponse]
