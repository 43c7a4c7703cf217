"""Fetch: read batches from partitions, holding the request until there is enough or its time is up.

Follows ReplicaManager.readFromLog and DelayedFetch. A partition's records are ranges of its segment files, which go
out without passing through here. The limits are soft by one batch: the first partition that has any always gives a
whole one (KIP-74). No fetch session is ever made: session id 0 in every answer tells the client to name all
partitions each time (KIP-227).
"""

from collections.abc import Awaitable

import trio

from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.messages.fetch import (
    FetchableTopicResponse,
    FetchPartition,
    FetchRequest,
    FetchResponse,
    FetchTopic,
    PartitionData,
)
from kpy.server.context import RequestContext
from kpy.server.handlers import handles
from kpy.server.partitions import Partition
from kpy.server.waiters import Waiter

TOPIC_IDS_SINCE = 13
READ_COMMITTED = 1
ERRORS_WITHOUT_A_PARTITION = {ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.UNKNOWN_TOPIC_ID}
SESSIONLESS_EPOCH, NEW_SESSION_EPOCH = -1, 0


@handles(FetchRequest)
def fetch(request: FetchRequest, context: RequestContext) -> FetchResponse | Awaitable[FetchResponse]:
    """Answer at once where Kafka would: enough bytes, an error, no patience, or nothing asked for."""
    refusal = _session_error(request)
    if refusal is not None:
        return FetchResponse(error_code=refusal, responses=[])
    attempt = _Attempt(request, context)
    response = attempt.read()
    if attempt.size_bytes >= request.min_bytes or attempt.failed or request.max_wait_ms <= 0 or not request.topics:
        return response
    return _wait(attempt, request.max_wait_ms / 1000)


def _session_error(request: FetchRequest) -> ErrorCode | None:
    """No session exists here, so a request inside one names one that is unknown."""
    if request.session_epoch in (SESSIONLESS_EPOCH, NEW_SESSION_EPOCH):
        return None
    return ErrorCode.FETCH_SESSION_ID_NOT_FOUND if request.session_id else ErrorCode.INVALID_FETCH_SESSION_EPOCH


async def _wait(attempt: "_Attempt", patience_seconds: float) -> FetchResponse:
    """Read again when enough has been appended or a partition changed; answer whatever is there in the end."""
    deadline = trio.current_time() + patience_seconds
    while True:
        waiter = Waiter(attempt.request.min_bytes - attempt.size_bytes)
        for partition in attempt.watched:
            partition.waiters.add(waiter)
        try:
            with trio.move_on_at(deadline) as patience:
                await waiter.woken.wait()
        finally:
            for partition in attempt.watched:
                partition.waiters.discard(waiter)
        response = attempt.read()
        enough = attempt.size_bytes >= attempt.request.min_bytes
        if enough or attempt.failed or patience.cancelled_caught or attempt.context.services.stopping:
            return response


class _Attempt:
    """One reading of everything that a request names."""

    def __init__(self, request: FetchRequest, context: RequestContext) -> None:
        self.request = request
        self.context = context
        self.size_bytes = 0
        self.failed = False
        self.watched: list[Partition] = []
        self._partitions = context.services.partitions
        self._committed_only = request.isolation_level == READ_COMMITTED
        self._left_bytes = 0

    def read(self) -> FetchResponse:
        self.size_bytes = 0
        self.failed = False
        self.watched = []
        self._left_bytes = min(self.request.max_bytes, self.context.services.config.fetch_max_bytes)
        return FetchResponse(responses=[self._read_topic(topic) for topic in self.request.topics])

    def _read_topic(self, topic: FetchTopic) -> FetchableTopicResponse:
        name = topic.topic
        refusal = None
        if self.context.version >= TOPIC_IDS_SINCE:
            try:
                name = self._partitions.topic_name(topic.topic_id)
            except KafkaError as error:
                refusal = error
        return FetchableTopicResponse(
            topic=topic.topic,
            topic_id=topic.topic_id,
            partitions=[
                self._refuse(asked, refusal) if refusal else self._read_partition(name, asked)
                for asked in topic.partitions
            ],
        )

    def _read_partition(self, topic: str, asked: FetchPartition) -> PartitionData:
        try:
            partition = self._partitions.find(topic, asked.partition)
            partition.check_leader_epoch(asked.current_leader_epoch)
            data = partition.read(
                asked.fetch_offset,
                min(asked.partition_max_bytes, self._left_bytes),
                committed_only=self._committed_only,
                at_least_one=self.size_bytes == 0,
            )
        except KafkaError as error:
            return self._refuse(asked, error)
        self.watched.append(partition)
        self.size_bytes += data.size_bytes
        self._left_bytes -= data.size_bytes
        return PartitionData(
            partition_index=asked.partition,
            error_code=0,
            high_watermark=partition.high_watermark,
            last_stable_offset=partition.last_stable_offset,
            log_start_offset=partition.log.log_start_offset,
            aborted_transactions=[] if self._committed_only else None,
            records=data.parts,
        )

    def _refuse(self, asked: FetchPartition, error: KafkaError) -> PartitionData:
        self.failed = True
        return PartitionData(
            partition_index=asked.partition,
            error_code=error.code,
            high_watermark=-1,
            aborted_transactions=[] if error.code in ERRORS_WITHOUT_A_PARTITION else None,
            records=b"",
        )
