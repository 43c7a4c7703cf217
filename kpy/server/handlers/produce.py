"""Produce: append batches to the partitions that this broker leads.

Follows ReplicaManager.appendRecords: each partition is answered for itself. The records go from the receive buffer to
the log as a view; nothing here looks into them. With one broker a batch is committed once it is appended, so acks=1
and acks=all are answered alike, and at once unless flush.messages asks for the disk. acks=0 has no answer: an error
then closes the connection, which is all that the client can notice.
"""

from collections.abc import Awaitable
from typing import cast

import trio

from kpy.cluster.topic_names import is_internal
from kpy.protocol.crc import Buffer
from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.messages.produce import (
    BatchIndexAndErrorMessage,
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
    TopicProduceResponse,
)
from kpy.server.connection import ProtocolViolation
from kpy.server.context import RequestContext
from kpy.server.handlers import handles
from kpy.server.partitions import Partition
from kpy.storage.batch_validation import RecordValidationError, check_produced, is_transactional

Unflushed = tuple[PartitionProduceResponse, Partition]
"""The answer for a batch that waits for the disk, and whose it is."""

NO_ANSWER, LEADER, ALL = 0, 1, -1
TOPIC_IDS_SINCE = 13

ERRORS_WITHOUT_LOG_START = {
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ErrorCode.UNKNOWN_TOPIC_ID,
    ErrorCode.NOT_LEADER_OR_FOLLOWER,
    ErrorCode.MESSAGE_TOO_LARGE,
    ErrorCode.RECORD_LIST_TOO_LARGE,
    ErrorCode.CORRUPT_MESSAGE,
    ErrorCode.KAFKA_STORAGE_ERROR,
}
"""For these the answer does not tell where the log starts (the known exceptions of ReplicaManager.appendRecords)."""


@handles(ProduceRequest, advertised="0-13")  # KAFKA-18659: librdkafka and kcat look for the low versions
def produce(
    request: ProduceRequest, context: RequestContext
) -> ProduceResponse | Awaitable[ProduceResponse | None] | None:
    """Append and answer; None with acks=0."""
    unflushed: list[Unflushed] = []
    responses = [_append_topic(topic, request, context, unflushed) for topic in request.topic_data]
    if unflushed:
        return _flush(request, responses, unflushed)
    return _answer(request, responses)


async def _flush(
    request: ProduceRequest, responses: list[TopicProduceResponse], unflushed: list[Unflushed]
) -> ProduceResponse | None:
    """Answer when everything is on the disk that flush.messages wants there."""
    async with trio.open_nursery() as nursery:
        for response, partition in unflushed:
            nursery.start_soon(_flush_partition, response, partition)
    return _answer(request, responses)


async def _flush_partition(response: PartitionProduceResponse, partition: Partition) -> None:
    try:
        await partition.flush()
    except KafkaError as error:
        response.error_code = error.code
        response.error_message = error.message
        response.base_offset = response.log_append_time_ms = response.log_start_offset = -1


def _answer(request: ProduceRequest, responses: list[TopicProduceResponse]) -> ProduceResponse | None:
    if request.acks == NO_ANSWER:
        _close_on_error(responses)
        return None
    return ProduceResponse(responses=responses)


def _append_topic(
    topic: TopicProduceData, request: ProduceRequest, context: RequestContext, unflushed: list[Unflushed]
) -> TopicProduceResponse:
    responses = []
    for data in topic.partition_data:
        try:
            name = topic.name
            if context.version >= TOPIC_IDS_SINCE:
                name = context.services.partitions.topic_name(topic.topic_id)
            records = _checked(name, data, request, context.version)
            response = _append(name, data.index, records, context, unflushed)
        except KafkaError as error:
            response = _refuse(data.index, error)
            if error.code is ErrorCode.CORRUPT_MESSAGE:
                response.error_message = error.message
        responses.append(response)
    return TopicProduceResponse(name=topic.name, topic_id=topic.topic_id, partition_responses=responses)


def _checked(topic: str, data: PartitionProduceData, request: ProduceRequest, version: int) -> Buffer:
    """The records, after what is checked before any log is asked (KafkaApis.handleProduceRequest)."""
    if request.acks not in (NO_ANSWER, LEADER, ALL):
        raise KafkaError(ErrorCode.INVALID_REQUIRED_ACKS)
    records = check_produced(cast("Buffer | None", data.records), version)
    if is_internal(topic):
        raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, f"{topic} is internal")
    if is_transactional(records):
        if request.transactional_id is None:
            raise KafkaError(ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, "a transactional batch without its id")
        raise KafkaError(ErrorCode.INVALID_TXN_STATE, "there are no transactions to be part of")
    return records


def _append(
    topic: str, index: int, records: Buffer, context: RequestContext, unflushed: list[Unflushed]
) -> PartitionProduceResponse:
    partition = context.services.partitions.find(topic, index)
    try:
        result = partition.append(records)
    except KafkaError as error:
        return _refuse(index, error, partition.log.log_start_offset)
    response = PartitionProduceResponse(
        index=index,
        error_code=0,
        base_offset=result.base_offset,
        log_append_time_ms=result.log_append_time_ms,
        log_start_offset=result.log_start_offset,
    )
    if partition.must_flush:
        unflushed.append((response, partition))
    return response


def _refuse(index: int, error: KafkaError, log_start_offset: int = -1) -> PartitionProduceResponse:
    response = PartitionProduceResponse(index=index, error_code=error.code, base_offset=-1)
    if error.code not in ERRORS_WITHOUT_LOG_START:
        response.log_start_offset = log_start_offset
    if error.code is ErrorCode.KAFKA_STORAGE_ERROR:
        response.error_message = error.message
    if isinstance(error, RecordValidationError):
        response.error_message = error.message
        response.record_errors = [
            BatchIndexAndErrorMessage(batch_index=index, batch_index_error_message=message)
            for index, message in error.record_errors
        ]
    return response


def _close_on_error(responses: list[TopicProduceResponse]) -> None:
    for topic in responses:
        for partition in topic.partition_responses:
            if partition.error_code:
                error = ErrorCode(partition.error_code).name
                raise ProtocolViolation(f"{error} for {topic.name}-{partition.index}, produced with acks=0")
