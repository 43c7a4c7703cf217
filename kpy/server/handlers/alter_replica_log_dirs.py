"""AlterReplicaLogDirs (34): replicas move to another directory of their broker (KIP-113), of which there is one.

So a replica is where it shall be, or there is no such directory (ReplicaManager.alterReplicaLogDirs). Versions 1 and 2
mean the same.
"""

from collections import defaultdict

from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.alter_replica_log_dirs import (
    AlterReplicaLogDirPartitionResult,
    AlterReplicaLogDirsRequest,
    AlterReplicaLogDirsResponse,
    AlterReplicaLogDirTopicResult,
)
from kpy.server.context import RequestContext
from kpy.server.handlers import handles
from kpy.server.handlers.describe_log_dirs import log_dir

MAX_DIRECTORY_NAME_LENGTH = 255
FUTURE_SUFFIX_LENGTH = len(".") + 32 + len("-future")  # the digits of a UUID in between


@handles(AlterReplicaLogDirsRequest)
def alter_replica_log_dirs(request: AlterReplicaLogDirsRequest, context: RequestContext) -> AlterReplicaLogDirsResponse:
    """Say of each partition whether it is in the directory; of one that is named twice, the last place counts."""
    places = {
        (topic.name, index): directory.path
        for directory in request.dirs
        for topic in directory.topics
        for index in topic.partitions
    }
    results: dict[str, list[AlterReplicaLogDirPartitionResult]] = defaultdict(list)
    for (topic, index), path in places.items():
        code = _outcome(topic, index, path, context)
        results[topic].append(AlterReplicaLogDirPartitionResult(partition_index=index, error_code=code))
    return AlterReplicaLogDirsResponse(
        results=[
            AlterReplicaLogDirTopicResult(topic_name=topic, partitions=partitions)
            for topic, partitions in results.items()
        ]
    )


def _outcome(topic: str, index: int, path: str, context: RequestContext) -> ErrorCode:
    if len(f"{topic}-{index}") + FUTURE_SUFFIX_LENGTH > MAX_DIRECTORY_NAME_LENGTH:
        return ErrorCode.INVALID_TOPIC_EXCEPTION  # no name is left for the copy (KAFKA-4893)
    if path != log_dir(context.services.config):
        return ErrorCode.LOG_DIR_NOT_FOUND
    if context.services.cluster.image.partition(topic, index) is None:
        return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    return ErrorCode.NONE
