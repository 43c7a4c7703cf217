"""AlterReplicaLogDirs (API 34): replicas move to another directory of the same broker (KIP-113)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Int16, Int32, String
from kpy.protocol.schema import Request, Response, Struct, field


class AlterReplicaLogDirTopic(Struct):
    """A topic and its partitions."""

    name: String
    partitions: Array[Int32]


class AlterReplicaLogDir(Struct):
    """A directory, by its absolute path, and what shall live in it."""

    path: String
    topics: Array[AlterReplicaLogDirTopic]


class AlterReplicaLogDirsRequest(Request, api=ApiKey.ALTER_REPLICA_LOG_DIRS, versions="1-2", flexible="2+"):
    """Versions (0 left Kafka with 4.0, KIP-896):

    - 1: as 0
    - 2: flexible (KIP-482)
    """

    dirs: Array[AlterReplicaLogDir]


class AlterReplicaLogDirPartitionResult(Struct):
    """The result for one partition."""

    partition_index: Int32
    error_code: Int16


class AlterReplicaLogDirTopicResult(Struct):
    """A topic and its partitions."""

    topic_name: String
    partitions: Array[AlterReplicaLogDirPartitionResult]


class AlterReplicaLogDirsResponse(Response, api=ApiKey.ALTER_REPLICA_LOG_DIRS, versions="1-2", flexible="2+"):
    """Versions:

    - 1: sent before the broker throttles (KIP-219)
    - 2: flexible (KIP-482)
    """

    throttle_time_ms: Int32 = field(default=0)
    results: Array[AlterReplicaLogDirTopicResult]
