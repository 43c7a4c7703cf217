"""ListPartitionReassignments (API 46): replicas that are on the move (KIP-455)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Int16, Int32, NullableArray, NullableString, String
from kpy.protocol.schema import Request, Response, Struct, field


class ListPartitionReassignmentsTopics(Struct):
    """Partitions of interest."""

    name: String
    partition_indexes: Array[Int32]


class ListPartitionReassignmentsRequest(Request, api=ApiKey.LIST_PARTITION_REASSIGNMENTS, versions="0", flexible="0+"):
    """There is one version."""

    timeout_ms: Int32 = field(default=60000)
    topics: NullableArray[ListPartitionReassignmentsTopics] = field(default=None)  # null: all


class OngoingPartitionReassignment(Struct):
    """A partition with the replicas it has now, those it gains and those it loses."""

    partition_index: Int32
    replicas: Array[Int32]
    adding_replicas: Array[Int32]
    removing_replicas: Array[Int32]


class OngoingTopicReassignment(Struct):
    """A topic and its partitions."""

    name: String
    partitions: Array[OngoingPartitionReassignment]


class ListPartitionReassignmentsResponse(
    Response, api=ApiKey.LIST_PARTITION_REASSIGNMENTS, versions="0", flexible="0+"
):
    """There is one version."""

    throttle_time_ms: Int32 = field(default=0)
    error_code: Int16
    error_message: NullableString
    topics: Array[OngoingTopicReassignment]
