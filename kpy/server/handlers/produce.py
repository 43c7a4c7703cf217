"""Produce: append batches to the partitions that this broker leads.

Follows ReplicaManager.appendRecords: each partition is answered for itself. The records go from the receive buffer to
the log as a view; nothing here looks into them. With one broker a batch is committed once it is appended, so acks=1
and acks=all are answered alike, and at once unless flush.messages asks for the disk. acks=0 has no answer: an error
then closes the connection, which is all that the client can notice.
"""

from collections.abc import Awaitable
from typing import NamedTuple, cast

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
from kpy.storage.batch_validation import RecordValidationError, TooMuchWork, check_produced, is_transactional
from kpy.storage.partition_log import AppendResult


class Deferred(NamedTuple):
    """A batch that a worker has to validate, or that comes behind one, and where its answer belongs."""

    partition: Partition
    partition_index: int
    records: Buffer
    is_large: bool
    answers: list[PartitionProduceResponse]
    position: int


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
    deferred: list[Deferred] = []
    unflushed: list[Unflushed] = []
    responses = [_append_topic(topic, request, context, deferred, unflushed) for topic in request.topic_data]
    if deferred or unflushed:
        return _finish(request, context, responses, deferred, unflushed)
    return _answer(request, responses)


async def _finish(
    request: ProduceRequest,
    context: RequestContext,
    responses: list[TopicProduceResponse],
    deferred: list[Deferred],
    unflushed: list[Unflushed],
) -> ProduceResponse | None:
    """Answer when all is appended, one after the other, and on the disk what flush.messages wants there."""
    context.connection.is_worked_for = True
    try:
        for batch in deferred:
            batch.answers[batch.position] = await _append_in_turn(batch, context, unflushed)
        async with trio.open_nursery() as nursery:
            for response, partition in unflushed:
                nursery.start_soon(_flush_partition, response, partition)
    finally:
        context.connection.is_worked_for = False
    return _answer(request, responses)


async def _append_in_turn(
    batch: Deferred, context: RequestContext, unflushed: list[Unflushed]
) -> PartitionProduceResponse:
    partition, index = batch.partition, batch.partition_index
    try:
        result = await partition.append_in_turn(batch.records, is_large=batch.is_large)
    except KafkaError as error:
        if partition.is_removed and context.version >= TOPIC_IDS_SINCE:
            return _refuse(index, KafkaError(ErrorCode.UNKNOWN_TOPIC_ID))
        return _refuse(index, error, partition.log.log_start_offset)
    return _appended(index, result, partition, unflushed)


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
    topic: TopicProduceData,
    request: ProduceRequest,
    context: RequestContext,
    deferred: list[Deferred],
    unflushed: list[Unflushed],
) -> TopicProduceResponse:
    responses: list[PartitionProduceResponse] = []
    for data in topic.partition_data:
        try:
            name = topic.name
            if context.version >= TOPIC_IDS_SINCE:
                name = context.services.partitions.topic_name(topic.topic_id)
            records = _checked(name, data, request, context.version)
            partition = context.services.partitions.find(name, data.index)
            takes_turn = bool(deferred or partition.taking_turns)
            answer = None if takes_turn else _append(partition, data.index, records, unflushed)
            if answer is None:
                where = responses, len(responses)
                deferred.append(Deferred(partition, data.index, records, not takes_turn, *where))
                answer = _refuse(data.index, KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR))
        except KafkaError as error:
            answer = _refuse(data.index, error)
            if error.code is ErrorCode.CORRUPT_MESSAGE:
                answer.error_message = error.message or None
        responses.append(answer)
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
    partition: Partition, index: int, records: Buffer, unflushed: list[Unflushed]
) -> PartitionProduceResponse | None:
    """None for what is too much work."""
    try:
        result = partition.append(records)
    except TooMuchWork:
        return None
    except KafkaError as error:
        return _refuse(index, error, partition.log.log_start_offset)
    return _appended(index, result, partition, unflushed)


def _appended(
    index: int, result: AppendResult, partition: Partition, unflushed: list[Unflushed]
) -> PartitionProduceResponse:
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
