"""DeleteRecords: move the start of partitions forward (KIP-107)."""

import trio

from kpy.cluster.topic_names import is_internal
from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsPartitionResult,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopicResult,
)
from kpy.server.context import RequestContext
from kpy.server.handlers import handles


@handles(DeleteRecordsRequest)
async def delete_records(request: DeleteRecordsRequest, context: RequestContext) -> DeleteRecordsResponse:
    """Answer the new start of each partition.

    Unlike Apache Kafka, which writes log starts once a minute, the broker has them on the disk when it answers: what
    was deleted stays deleted when it is killed.
    """
    topics = [
        DeleteRecordsTopicResult(
            name=topic.name, partitions=[_delete(topic.name, asked, context) for asked in topic.partitions]
        )
        for topic in request.topics
    ]
    partitions = context.services.partitions
    try:
        await partitions.checkpoint_log_starts()
    except KafkaError as error:
        _fail(topics, error)
    for topic in topics:
        for partition in topic.partitions:
            if not partition.error_code:
                partitions.remove_deleted(topic.name, partition.partition_index)
                await trio.lowlevel.checkpoint()
    return DeleteRecordsResponse(topics=topics)


def _delete(topic: str, asked: DeleteRecordsPartition, context: RequestContext) -> DeleteRecordsPartitionResult:
    try:
        if is_internal(topic):
            raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, f"{topic} is internal")
        low_watermark = context.services.partitions.find(topic, asked.partition_index).delete_records_before(
            asked.offset
        )
    except KafkaError as error:
        return DeleteRecordsPartitionResult(
            partition_index=asked.partition_index, low_watermark=-1, error_code=error.code
        )
    return DeleteRecordsPartitionResult(
        partition_index=asked.partition_index, low_watermark=low_watermark, error_code=0
    )


def _fail(topics: list[DeleteRecordsTopicResult], error: KafkaError) -> None:
    for topic in topics:
        for partition in topic.partitions:
            if not partition.error_code:
                partition.error_code = error.code
                partition.low_watermark = -1
