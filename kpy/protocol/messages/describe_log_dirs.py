"""DescribeLogDirs (API 35): the data directories of a broker and what is in them (KIP-113)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Bool, Int16, Int32, Int64, NullableArray, String
from kpy.protocol.schema import Request, Response, Struct, field, since


class DescribableLogDirTopic(Struct):
    """Partitions of interest."""

    topic: String
    partitions: Array[Int32]


class DescribeLogDirsRequest(Request, api=ApiKey.DESCRIBE_LOG_DIRS, versions="1-5", flexible="2+"):
    """Versions (0 left Kafka with 4.0, KIP-896):

    - 2: flexible (KIP-482)
    - 3, 4, 5: as 2
    """

    topics: NullableArray[DescribableLogDirTopic]  # null: all


class DescribeLogDirsPartition(Struct):
    """A replica; a future one is a copy on its way here from another directory."""

    partition_index: Int32
    partition_size: Int64
    offset_lag: Int64
    is_future_key: Bool


class DescribeLogDirsTopic(Struct):
    """A topic and its partitions."""

    name: String
    partitions: Array[DescribeLogDirsPartition]


class DescribeLogDirsResult(Struct):
    """A directory; its byte counts are those of the volume, -1 when unknown."""

    error_code: Int16
    log_dir: String
    topics: Array[DescribeLogDirsTopic]
    total_bytes: Int64 = since(4, default=-1, ignorable=True)
    usable_bytes: Int64 = since(4, default=-1, ignorable=True)
    is_cordoned: Bool = since(5, default=False, ignorable=True)


class DescribeLogDirsResponse(Response, api=ApiKey.DESCRIBE_LOG_DIRS, versions="1-5", flexible="2+"):
    """Versions:

    - 1: sent before the broker throttles (KIP-219)
    - 2: flexible (KIP-482)
    - 3: error_code at the top
    - 4: total_bytes, usable_bytes (KIP-827)
    - 5: is_cordoned (KIP-1066)
    """

    throttle_time_ms: Int32 = field(default=0)
    error_code: Int16 = since(3, ignorable=True)
    results: Array[DescribeLogDirsResult]
