"""ListOffsets: the offset that belongs to a timestamp or to an end of the log.

Follows Partition.fetchOffsetForTimestamp and ReplicaManager.fetchOffset. Without tiered storage the local log is the
whole log: its local start is its start, and nothing is tiered or waits to be. An offset by time that the disk has to be
waited for is looked up again when a worker has been there; only its client waits.
"""

from collections import Counter
from collections.abc import Awaitable
from functools import partial
from typing import NamedTuple

from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopicResponse,
)
from kpy.server.cold_reads import NotReady, prepare_all
from kpy.server.context import RequestContext
from kpy.server.handlers import handles
from kpy.server.partitions import Partition

LATEST = -1
EARLIEST = -2
MAX_TIMESTAMP = -3
EARLIEST_LOCAL = -4
LATEST_TIERED = -5
EARLIEST_PENDING_UPLOAD = -6

SPECIAL_SINCE = {
    LATEST: 1,
    EARLIEST: 1,
    MAX_TIMESTAMP: 7,
    EARLIEST_LOCAL: 8,
    LATEST_TIERED: 9,
    EARLIEST_PENDING_UPLOAD: 11,
}
"""The version that brought each negative timestamp; others and earlier ones get UNSUPPORTED_VERSION."""

READ_UNCOMMITTED, READ_COMMITTED = 0, 1


class _Asked(NamedTuple):
    """One partition of the request, and the answers of its topic."""

    topic: str
    partition: ListOffsetsPartition
    is_named_twice: bool
    answers: dict[int, ListOffsetsPartitionResponse]


@handles(ListOffsetsRequest)
def list_offsets(
    request: ListOffsetsRequest, context: RequestContext
) -> ListOffsetsResponse | Awaitable[ListOffsetsResponse]:
    """Look up each partition; one that is named twice is refused."""
    lookups = _Lookups(request, context)
    return lookups.prepared() if lookups.unready else lookups.response()


class _Lookups:
    """All that a request names, looked up as often as it takes."""

    def __init__(self, request: ListOffsetsRequest, context: RequestContext) -> None:
        self._context = context
        self._isolation_level = request.isolation_level
        self._answers: list[tuple[str, dict[int, ListOffsetsPartitionResponse]]] = []
        self.unready: list[tuple[_Asked, NotReady]] = []
        for topic in request.topics:
            named = Counter(asked.partition_index for asked in topic.partitions)
            answers = {index: ListOffsetsPartitionResponse(partition_index=index, error_code=0) for index in named}
            self._answers.append((topic.name, answers))
            for asked in topic.partitions:
                self._look_up(_Asked(topic.name, asked, named[asked.partition_index] > 1, answers))

    def response(self) -> ListOffsetsResponse:
        topics = [
            ListOffsetsTopicResponse(name=name, partitions=list(answers.values())) for name, answers in self._answers
        ]
        return ListOffsetsResponse(topics=topics)

    async def prepared(self) -> ListOffsetsResponse:
        """Each time that something is looked up again more of the log is known."""
        while unready := self.unready:
            reasons = [reason for _, reason in unready]
            results = await self._context.services.read_in_worker(partial(prepare_all, reasons))
            self.unready = []
            for (asked, reason), result in zip(unready, results, strict=True):
                try:
                    reason.learn(result)
                except KafkaError as error:
                    self._refuse(asked, error)
                else:
                    self._look_up(asked)
        return self.response()

    def _look_up(self, asked: _Asked) -> None:
        try:
            if asked.is_named_twice:
                raise KafkaError(ErrorCode.INVALID_REQUEST, "the partition is named twice")
            answer = _look_up(asked.topic, asked.partition, self._isolation_level, self._context)
        except NotReady as reason:
            self.unready.append((asked, reason))
        except KafkaError as error:
            self._refuse(asked, error)
        else:
            asked.answers[answer.partition_index] = answer

    @staticmethod
    def _refuse(asked: _Asked, error: KafkaError) -> None:
        index = asked.partition.partition_index
        asked.answers[index] = ListOffsetsPartitionResponse(partition_index=index, error_code=error.code)


def _look_up(
    topic: str, asked: ListOffsetsPartition, isolation_level: int, context: RequestContext
) -> ListOffsetsPartitionResponse:
    if asked.timestamp < 0 and SPECIAL_SINCE.get(asked.timestamp, context.version + 1) > context.version:
        raise KafkaError(ErrorCode.UNSUPPORTED_VERSION, f"timestamp {asked.timestamp} in version {context.version}")
    if isolation_level not in (READ_UNCOMMITTED, READ_COMMITTED):
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"isolation level {isolation_level}")
    partition = context.services.partitions.find(topic, asked.partition_index)
    partition.check_leader_epoch(asked.current_leader_epoch)
    timestamp, offset, epoch = _find(partition, asked.timestamp, isolation_level)
    return ListOffsetsPartitionResponse(
        partition_index=asked.partition_index,
        error_code=0,
        timestamp=timestamp,
        offset=offset,
        leader_epoch=epoch if context.version >= LEADER_EPOCH_SINCE else -1,
    )


LEADER_EPOCH_SINCE = 4
NOT_FOUND = (-1, -1, -1)


def _find(partition: Partition, timestamp: int, isolation_level: int) -> tuple[int, int, int]:
    """Timestamp, offset and leader epoch, each -1 where there is none."""
    log = partition.log
    end = partition.last_stable_offset if isolation_level == READ_COMMITTED else partition.high_watermark
    if timestamp == LATEST:
        return -1, end, partition.leader_epoch
    if timestamp in (EARLIEST, EARLIEST_LOCAL):
        epoch = log.epoch_of(log.log_start_offset)
        return -1, log.log_start_offset, partition.leader_epoch if epoch == -1 else epoch
    if timestamp in (LATEST_TIERED, EARLIEST_PENDING_UPLOAD):
        return NOT_FOUND
    found = partition.max_timestamp() if timestamp == MAX_TIMESTAMP else partition.offset_for_timestamp(timestamp)
    if found is None or found.offset >= end:
        return NOT_FOUND
    return found.timestamp, found.offset, found.leader_epoch
