"""DescribeLogDirs (35): the data directory, what of it is in use, and how large the partitions are (KIP-113).

Versions: 3 has an error at the top; 4 says how large the volume is and what is free (KIP-827), unknown in memory.
"""

import os
import shutil
from collections import defaultdict

from kpy.cluster.image import ClusterImage
from kpy.config import BrokerConfig
from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.messages.describe_log_dirs import (
    DescribeLogDirsPartition,
    DescribeLogDirsRequest,
    DescribeLogDirsResponse,
    DescribeLogDirsResult,
    DescribeLogDirsTopic,
)
from kpy.server.context import RequestContext
from kpy.server.handlers import handles

IN_MEMORY = "memory"
UNKNOWN_BYTES = -1


@handles(DescribeLogDirsRequest)
def describe_log_dirs(request: DescribeLogDirsRequest, context: RequestContext) -> DescribeLogDirsResponse:
    """Describe those of the partitions that exist.

    A partition whose log was never written is empty; one whose log cannot be read now is left out.
    """
    services = context.services
    directory = services.config.data_dir
    try:
        usage = None if directory is None else shutil.disk_usage(directory)
    except OSError:  # the directory has vanished
        refused = DescribeLogDirsResult(
            error_code=ErrorCode.KAFKA_STORAGE_ERROR, log_dir=log_dir(services.config), topics=[]
        )
        return DescribeLogDirsResponse(error_code=ErrorCode.NONE, results=[refused])
    topics = []
    for name, indexes in _places(request, services.cluster.image).items():
        partitions = []
        for index in indexes:
            try:
                log = services.partitions.log(name, index)
            except KafkaError:  # it is in the broker's log, with the reason
                continue
            partitions.append(
                DescribeLogDirsPartition(
                    partition_index=index,
                    partition_size=0 if log is None else log.size_bytes,
                    offset_lag=0,
                    is_future_key=False,
                )
            )
        topics.append(DescribeLogDirsTopic(name=name, partitions=partitions))
    result = DescribeLogDirsResult(
        error_code=ErrorCode.NONE,
        log_dir=log_dir(services.config),
        topics=topics,
        total_bytes=UNKNOWN_BYTES if usage is None else usage.total,
        usable_bytes=UNKNOWN_BYTES if usage is None else usage.free,
    )
    return DescribeLogDirsResponse(error_code=ErrorCode.NONE, results=[result])


def log_dir(config: BrokerConfig) -> str:
    """The absolute path of the one data directory, by which clients name it."""
    return IN_MEMORY if config.data_dir is None else os.path.abspath(config.data_dir)


def _places(request: DescribeLogDirsRequest, image: ClusterImage) -> dict[str, list[int]]:
    """The partitions that are asked for and exist, by topic."""
    if request.topics is None:
        return {topic.name: list(range(len(topic.partitions))) for topic in image.topics.values()}
    places: dict[str, set[int]] = defaultdict(set)
    for asked in request.topics:
        there = [index for index in asked.partitions if image.partition(asked.topic, index) is not None]
        if there:
            places[asked.topic].update(there)
    return {name: sorted(indexes) for name, indexes in places.items()}
