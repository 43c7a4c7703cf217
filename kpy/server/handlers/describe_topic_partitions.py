"""DescribeTopicPartitions (75): topics in the order of their names, a page of partitions at a time (KIP-966)."""

from collections.abc import Iterable

from kpy.cluster.image import ClusterImage, TopicImage
from kpy.cluster.topic_names import is_internal, is_valid
from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.messages.describe_topic_partitions import (
    Cursor,
    DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
)
from kpy.server import authorized_operations
from kpy.server.context import RequestContext
from kpy.server.handlers import handles
from kpy.server.handlers.metadata import offline_replicas


@handles(DescribeTopicPartitionsRequest)
def describe_topic_partitions(
    request: DescribeTopicPartitionsRequest, context: RequestContext
) -> DescribeTopicPartitionsResponse:
    """Answer with one page, and the cursor of the next."""
    image = context.services.cluster.image
    limit = min(request.response_partition_limit, context.services.config.max_request_partition_size_limit)
    try:
        names = _names(request, image)
    except KafkaError as error:
        return DescribeTopicPartitionsResponse(
            topics=[
                DescribeTopicPartitionsResponseTopic(error_code=error.code, name=topic.name, partitions=[])
                for topic in request.topics
            ]
        )
    return _page(image, names, request.cursor, max(limit, 1))


def _names(request: DescribeTopicPartitionsRequest, image: ClusterImage) -> list[str]:
    """The topics that this page may have, from the cursor's on (DescribeTopicPartitionsRequestHandler)."""
    cursor = request.cursor
    asked: Iterable[str] = {topic.name for topic in request.topics} if request.topics else image.topics.keys()
    if "" in asked:
        raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, "a topic name is empty")
    if cursor is None:
        return sorted(asked)
    if request.topics and cursor.topic_name not in asked:
        raise KafkaError(
            ErrorCode.INVALID_REQUEST, f"the topics do not include that of the cursor, {cursor.topic_name}"
        )
    if cursor.partition_index < 0:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"the cursor's partition is {cursor.partition_index}")
    return sorted(name for name in asked if name >= cursor.topic_name)


def _page(image: ClusterImage, names: list[str], cursor: Cursor | None, limit: int) -> DescribeTopicPartitionsResponse:
    topics: list[DescribeTopicPartitionsResponseTopic] = []
    for name in names:
        if limit == 0:
            return _response(topics, Cursor(topic_name=name, partition_index=0))
        topic = image.topic(name)
        if topic is None:
            # A cursor may name a topic that is gone; in a list of topics it is answered as any unknown one.
            topics.append(_unknown_topic(name))
            continue
        first = cursor.partition_index if cursor is not None and name == cursor.topic_name else 0
        end = min(len(topic.partitions), first + limit)
        topics.append(_topic(image, topic, first, end))
        if end < len(topic.partitions):
            return _response(topics, Cursor(topic_name=name, partition_index=end))
        limit -= max(0, end - first)
    return _response(topics, None)


def _response(
    topics: list[DescribeTopicPartitionsResponseTopic], next_cursor: Cursor | None
) -> DescribeTopicPartitionsResponse:
    for topic in topics:
        topic.topic_authorized_operations = authorized_operations.TOPIC
    return DescribeTopicPartitionsResponse(topics=topics, next_cursor=next_cursor)


def _unknown_topic(name: str) -> DescribeTopicPartitionsResponseTopic:
    return DescribeTopicPartitionsResponseTopic(
        error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION if is_valid(name) else ErrorCode.INVALID_TOPIC_EXCEPTION,
        name=name,
        is_internal=is_internal(name),
        partitions=[],
    )


def _topic(image: ClusterImage, topic: TopicImage, first: int, end: int) -> DescribeTopicPartitionsResponseTopic:
    return DescribeTopicPartitionsResponseTopic(
        error_code=ErrorCode.NONE,
        name=topic.name,
        topic_id=topic.topic_id,
        is_internal=topic.is_internal,
        partitions=[
            DescribeTopicPartitionsResponsePartition(
                error_code=ErrorCode.NONE,
                partition_index=index,
                leader_id=partition.leader if partition.leader in image.brokers else -1,
                leader_epoch=partition.leader_epoch,
                replica_nodes=list(partition.replicas),
                isr_nodes=list(partition.isr),
                eligible_leader_replicas=list(partition.eligible_leaders),
                last_known_elr=list(partition.last_known_eligible_leaders),
                offline_replicas=offline_replicas(image, partition),
            )
            for index, partition in enumerate(topic.partitions[first:end], first)
        ],
    )
