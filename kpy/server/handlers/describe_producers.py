"""DescribeProducers (61): the idempotent producers that partitions remember (KIP-664). There is one version."""

from kpy.cluster.topic_names import check as check_topic_name
from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.messages.describe_producers import (
    DescribeProducersRequest,
    DescribeProducersResponse,
    PartitionResponse,
    ProducerState,
    TopicResponse,
)
from kpy.server.context import RequestContext
from kpy.server.handlers import handles
from kpy.storage.partition_log import PartitionLog

NO_TRANSACTION = -1


@handles(DescribeProducersRequest)
def describe_producers(request: DescribeProducersRequest, context: RequestContext) -> DescribeProducersResponse:
    """Describe each partition by its log; one whose log was never written knows nobody."""
    return DescribeProducersResponse(
        topics=[
            TopicResponse(
                name=topic.name, partitions=[_describe(topic.name, index, context) for index in topic.partition_indexes]
            )
            for topic in request.topics
        ]
    )


def _describe(topic: str, index: int, context: RequestContext) -> PartitionResponse:
    image = context.services.cluster.image
    try:
        check_topic_name(topic)
        if image.topic(topic) is None:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    except KafkaError as error:
        return PartitionResponse(
            partition_index=index, error_code=error.code, error_message=error.message, active_producers=[]
        )
    if image.partition(topic, index) is None:
        # Kafka has words for a topic that is missing, and none for a partition.
        return PartitionResponse(
            partition_index=index, error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, active_producers=[]
        )
    try:
        log = context.services.partitions.log(topic, index)
    except KafkaError as error:
        return PartitionResponse(partition_index=index, error_code=error.code, active_producers=[])
    return PartitionResponse(
        partition_index=index, error_code=ErrorCode.NONE, active_producers=[] if log is None else _producers(log)
    )


def _producers(log: PartitionLog) -> list[ProducerState]:
    return [
        ProducerState(
            producer_id=producer_id,
            producer_epoch=state.epoch,
            last_sequence=state.last_sequence,
            last_timestamp=state.last_timestamp,
            coordinator_epoch=state.coordinator_epoch,
            current_txn_start_offset=(
                NO_TRANSACTION if state.transaction_first_offset is None else state.transaction_first_offset
            ),
        )
        for producer_id, state in log.producers.producers.items()
    ]
