"""CreatePartitions (API 37): give topics more partitions (KIP-195)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Bool, Int16, Int32, NullableArray, NullableString, String
from kpy.protocol.schema import Request, Response, Struct, field


class CreatePartitionsAssignment(Struct):
    """Where the replicas of one new partition shall be."""

    broker_ids: Array[Int32]


class CreatePartitionsTopic(Struct):
    """A topic and how many partitions it shall have in all; null assignments let the controller place them."""

    name: String
    count: Int32
    assignments: NullableArray[CreatePartitionsAssignment]


class CreatePartitionsRequest(Request, api=ApiKey.CREATE_PARTITIONS, versions="0-3", flexible="2+"):
    """Versions:

    - 1: as 0
    - 2: flexible (KIP-482)
    - 3: as 2; THROTTLING_QUOTA_EXCEEDED may be answered (KIP-599)
    """

    topics: Array[CreatePartitionsTopic]
    timeout_ms: Int32
    validate_only: Bool


class CreatePartitionsTopicResult(Struct):
    """What became of one topic."""

    name: String
    error_code: Int16
    error_message: NullableString = field(default=None)


class CreatePartitionsResponse(Response, api=ApiKey.CREATE_PARTITIONS, versions="0-3", flexible="2+"):
    """Versions:

    - 1: as 0; sent before the broker throttles (KIP-219)
    - 2: flexible (KIP-482)
    - 3: as 2 (KIP-599)
    """

    throttle_time_ms: Int32 = field(default=0)
    results: Array[CreatePartitionsTopicResult]
