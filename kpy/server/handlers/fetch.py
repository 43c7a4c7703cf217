"""Fetch: read batches from partitions, holding the request until there is enough or its time is up.

Follows KafkaApis.handleFetchRequest, ReplicaManager.readFromLog and DelayedFetch. A partition's records are ranges of
its segment files, which go out without passing through here. The limits are soft by one batch: the first partition
that has any always gives a whole one (KIP-74). Sessions are in `kpy.server.fetch_sessions` (KIP-227).
"""

from collections.abc import Awaitable
from functools import partial
from typing import NamedTuple
from uuid import UUID

import trio

from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.messages.fetch import (
    AbortedTransaction,
    EpochEndOffset,
    FetchableTopicResponse,
    FetchPartition,
    FetchRequest,
    FetchResponse,
    FetchTopic,
    LeaderIdAndEpoch,
    PartitionData,
)
from kpy.server.cold_reads import PREPARATIONS_MAX, NotReady, prepare_all
from kpy.server.context import RequestContext
from kpy.server.fetch_sessions import TOPIC_IDS_SINCE, FetchSession
from kpy.server.handlers import handles
from kpy.server.partitions import Partition
from kpy.server.waiters import Waiter

REPLICA_STATE_SINCE = 15
CURRENT_LEADER_SINCE = 16
READ_COMMITTED = 1


@handles(FetchRequest)
def fetch(request: FetchRequest, context: RequestContext) -> FetchResponse | Awaitable[FetchResponse]:
    """Answer at once where Kafka would: enough bytes, an error, no patience, or nothing asked for."""
    now = trio.current_time()
    sessions = context.services.fetch_sessions
    try:
        session = sessions.resume(request, context.version, now)
    except KafkaError as error:
        return FetchResponse(error_code=error.code, responses=[])
    if session is None:
        reading = _Reading(request, context, request.topics, {})
    else:
        reading = _Reading(request, context, session.topics(), session.topic_names)
    reading.read()
    deadline = now + request.max_wait_ms / 1000
    if reading.unready:
        return _prepare(reading, session, deadline)
    if _is_enough(reading):
        return _respond(reading, session)
    return _wait(reading, session, _watch(reading), deadline)


def _is_enough(reading: "_Reading") -> bool:
    request = reading.request
    at_once = request.max_wait_ms <= 0 or reading.context.services.stopping
    is_all = reading.size_bytes >= request.min_bytes or reading.failed or not reading.watched
    return at_once or is_all or bool(reading.unready)


async def _prepare(reading: "_Reading", session: FetchSession | None, deadline: float) -> FetchResponse:
    """As `fetch`, where the disk has to be waited for first."""
    await reading.prepare()
    if _is_enough(reading):
        return _respond(reading, session)
    return await _wait(reading, session, _watch(reading), deadline)


def _watch(reading: "_Reading") -> Waiter:
    """Have whatever happens from now on to the partitions that were read noticed."""
    waiter = Waiter(reading.request.min_bytes - reading.size_bytes)
    for partition in reading.watched:
        partition.waiters.add(waiter)
    return waiter


async def _wait(reading: "_Reading", session: FetchSession | None, waiter: Waiter, deadline: float) -> FetchResponse:
    """Read again when enough has been appended or a partition changed; answer whatever is there in the end."""
    while True:
        try:
            with trio.move_on_at(deadline) as patience:
                await waiter.woken.wait()
        finally:
            for partition in reading.watched:
                partition.waiters.discard(waiter)
        reading.read()
        await reading.prepare()
        enough = reading.size_bytes >= reading.request.min_bytes or reading.failed or reading.unready
        if enough or patience.cancelled_caught or reading.context.services.stopping:
            return _respond(reading, session)
        waiter = _watch(reading)


def _respond(reading: "_Reading", session: FetchSession | None) -> FetchResponse:
    """All that was read; in a session that went on, only what is new."""
    request, context = reading.request, reading.context
    answers = reading.answers
    if session is None:
        is_follower = reading.replica_id >= 0
        session = context.services.fetch_sessions.open(
            request, context.version, trio.current_time(), privileged=is_follower
        )
        if session is not None:
            session.topic_names = reading.topic_names
            for topic in answers:
                session.learn((topic.topic, topic.topic_id), topic.partitions)
    elif session.has_moved_on(request):
        return FetchResponse(
            error_code=ErrorCode.INVALID_FETCH_SESSION_EPOCH, session_id=session.session_id, responses=[]
        )
    else:
        for topic in answers:
            topic.partitions = session.select_news((topic.topic, topic.topic_id), topic.partitions)
        answers = [topic for topic in answers if topic.partitions]
    return FetchResponse(session_id=0 if session is None else session.session_id, responses=answers)


class _Topic(NamedTuple):
    """A topic of the request with what its name or id stands for; `missing` are partitions that do not exist."""

    asked: FetchTopic
    name: str
    refusal: ErrorCode | None
    missing: frozenset[int]


class _Reading:
    """Everything that a request names, read as often as it takes.

    What does not exist when the request arrives is answered so but does not end a wait, as in Kafka; what fails or
    disappears later does.
    """

    def __init__(
        self,
        request: FetchRequest,
        context: RequestContext,
        topics: list[FetchTopic],
        topic_names: dict[UUID, str],
    ) -> None:
        self.request = request
        self.context = context
        self.topic_names = topic_names
        self.size_bytes = 0
        self.failed = False
        self.watched: list[Partition] = []
        self.answers: list[FetchableTopicResponse] = []
        self.unready: list[tuple[Partition, NotReady]] = []
        self._readable: dict[Partition, int] = {}
        self._refused: dict[Partition, KafkaError] = {}
        self._partitions = context.services.partitions
        self._committed_only = request.isolation_level == READ_COMMITTED
        self.replica_id = (
            request.replica_state.replica_id if context.version >= REPLICA_STATE_SINCE else request.replica_id
        )
        self._left_bytes = 0
        self._topics = [self._resolve(topic) for topic in topics]

    def read(self) -> None:
        """Fill `answers` and what is told of them beside."""
        self.size_bytes = 0
        self.failed = False
        self.watched = []
        self.unready = []
        self._left_bytes = min(self.request.max_bytes, self.context.services.config.fetch_max_bytes)
        self.answers = [self._read_topic(topic) for topic in self._topics]

    async def prepare(self) -> None:
        """Have done what stands in the way of an answer, and read again, until nothing does or it does not help."""
        for _ in range(PREPARATIONS_MAX):
            unready = self.unready
            if not unready:
                return
            results = await self.context.services.read_in_worker(
                partial(prepare_all, [reason for _, reason in unready])
            )
            for (partition, reason), result in zip(unready, results, strict=True):
                try:
                    readable_bytes = reason.learn(result)
                except KafkaError as error:
                    self._refused[partition] = error
                    continue
                if readable_bytes is not None:
                    self._readable[partition] = readable_bytes
            self.read()

    def _resolve(self, asked: FetchTopic) -> _Topic:
        image = self._partitions.image
        if self.context.version >= TOPIC_IDS_SINCE:
            topic = image.topic_by_id(asked.topic_id)
            name = self.topic_names.get(asked.topic_id)
        else:
            topic = image.topic(asked.topic)
            name = asked.topic
        if topic is None:
            if name is None:
                refusal = ErrorCode.UNKNOWN_TOPIC_ID
            elif image.topic(name) is None:
                refusal = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            else:
                refusal = ErrorCode.INCONSISTENT_TOPIC_ID
            return _Topic(asked, asked.topic, refusal, frozenset())
        if asked.topic_id.int:
            self.topic_names[asked.topic_id] = topic.name
        count = len(topic.partitions)
        missing = frozenset(p.partition for p in asked.partitions if not 0 <= p.partition < count)
        return _Topic(asked, topic.name, None, missing)

    def _read_topic(self, topic: _Topic) -> FetchableTopicResponse:
        answers = []
        for asked in topic.asked.partitions:
            if topic.refusal is not None or asked.partition in topic.missing:
                data = _refuse(asked, topic.refusal or ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
                data.aborted_transactions = []
            else:
                data = self._read_partition(topic, asked)
            answers.append(data)
        return FetchableTopicResponse(topic=topic.asked.topic, topic_id=topic.asked.topic_id, partitions=answers)

    def _read_partition(self, topic: _Topic, asked: FetchPartition) -> PartitionData:
        try:
            partition = self._partitions.find(topic.name, asked.partition)
            if topic.asked.topic_id.int and topic.asked.topic_id != partition.log.topic_id:
                raise KafkaError(ErrorCode.INCONSISTENT_TOPIC_ID, f"{topic.name} is another topic by now")
            if self.replica_id >= 0:
                return self._refer_to_leader(topic.name, asked)
            if asked.partition_max_bytes < 0 or self.request.max_bytes < 0:
                raise KafkaError(ErrorCode.INVALID_FETCH_SIZE, f"{asked.partition_max_bytes} bytes")
            partition.check_leader_epoch(max(asked.current_leader_epoch, -1))
            if asked.last_fetched_epoch >= 0:
                epoch, end_offset = partition.end_offset_for_epoch(asked.last_fetched_epoch)
                if epoch < 0:
                    raise KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE, f"epoch {asked.last_fetched_epoch} is not known")
                if epoch < asked.last_fetched_epoch or end_offset < asked.fetch_offset:
                    return self._diverging(partition, asked, EpochEndOffset(epoch=epoch, end_offset=end_offset))
            return self._read_records(partition, asked)
        except KafkaError as error:
            self.failed = True
            return _refuse(asked, error.code)

    def _read_records(self, partition: Partition, asked: FetchPartition) -> PartitionData:
        self.watched.append(partition)
        if partition in self._refused:
            raise self._refused[partition]
        try:
            read = partition.read(
                asked.fetch_offset,
                min(asked.partition_max_bytes, self._left_bytes),
                committed_only=self._committed_only,
                at_least_one=self.size_bytes == 0,
                readable_bytes=self._readable.get(partition) if self._readable else None,
            )
        except NotReady as reason:
            self.unready.append((partition, reason))
            return _describe(partition, asked)
        self.size_bytes += read.size_bytes
        self._left_bytes = max(self._left_bytes - read.size_bytes, 0)
        data = _describe(partition, asked)
        data.records = read.parts
        if self._committed_only:
            data.aborted_transactions = [
                AbortedTransaction(producer_id=aborted.producer_id, first_offset=aborted.first_offset)
                for aborted in partition.log.aborted_transactions(asked.fetch_offset, read.upper_bound)
            ]
        return data

    def _diverging(self, partition: Partition, asked: FetchPartition, diverging: EpochEndOffset) -> PartitionData:
        """The client's log and this one went different ways: no records, but where they parted (KIP-595)."""
        self.failed = True
        data = _describe(partition, asked)
        data.diverging_epoch = diverging
        return data

    def _refer_to_leader(self, topic: str, asked: FetchPartition) -> PartitionData:
        """There are no followers, so whoever says that it is one asks the wrong broker."""
        self.failed = True
        data = _refuse(asked, ErrorCode.NOT_LEADER_OR_FOLLOWER)
        known = self._partitions.image.partition(topic, asked.partition)
        if known is not None and self.context.version >= CURRENT_LEADER_SINCE:
            data.current_leader = LeaderIdAndEpoch(leader_id=known.leader, leader_epoch=known.leader_epoch)
        return data


def _describe(partition: Partition, asked: FetchPartition) -> PartitionData:
    """How far the partition reaches, without records."""
    return PartitionData(
        partition_index=asked.partition,
        error_code=0,
        high_watermark=partition.high_watermark,
        last_stable_offset=partition.last_stable_offset,
        log_start_offset=partition.log.log_start_offset,
        aborted_transactions=None,
        records=b"",
    )


def _refuse(asked: FetchPartition, error: ErrorCode) -> PartitionData:
    return PartitionData(
        partition_index=asked.partition,
        error_code=error,
        high_watermark=-1,
        aborted_transactions=None,
        records=b"",
    )
