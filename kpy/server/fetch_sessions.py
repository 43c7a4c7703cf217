"""Fetch sessions: a client that fetches the same partitions again and again names only what changes (KIP-227).

A session remembers the partitions that were asked for and what was last said of each. A request in a session carries
the changes; its answer leaves out the partitions of which there is nothing new. Sessions are kept in a cache of
`max.incremental.fetch.session.cache.slots`; one that was not used for two minutes makes place for a new one, and a
client whose session is gone is told so and starts over.
"""

from collections import OrderedDict
from collections.abc import Iterable
from random import Random
from uuid import UUID

from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic, PartitionData

FINAL_EPOCH = -1
INITIAL_EPOCH = 0
TOPIC_IDS_SINCE = 13
EVICTION_AFTER_SECONDS = 120.0  # KafkaBroker.minIncrementalFetchSessionEvictionMs

TopicKey = tuple[str, UUID]


class SessionPartition:
    """One partition of a session: what is asked, and what its client knows already."""

    __slots__ = ("asked", "high_watermark", "log_start_offset", "topic")

    def __init__(self, topic: TopicKey, asked: FetchPartition) -> None:
        self.topic = topic
        self.asked = asked
        self.high_watermark = -1
        self.log_start_offset = -1

    def has_news(self, data: PartitionData) -> bool:
        """Whether an answer says anything that the client does not know; what it says is known from now on.

        After an error everything is news (FetchSession.CachedPartition.maybeUpdateResponseData).
        """
        news = bool(data.records) or (data.high_watermark, data.log_start_offset) != (
            self.high_watermark,
            self.log_start_offset,
        )
        self.high_watermark = data.high_watermark
        self.log_start_offset = data.log_start_offset
        if data.error_code:
            self.high_watermark = -1
            return True
        return news or data.diverging_epoch.epoch >= 0


class FetchSession:
    """The partitions of one session, in the order in which they are read.

    `topic_names` are the names that topic ids stood for when they were asked for: a session remembers a topic that has
    been deleted since (FetchSession.CachedPartition.maybeResolveUnknownName).
    """

    def __init__(self, session_id: int, *, uses_topic_ids: bool, now: float) -> None:
        self.session_id = session_id
        self.epoch = INITIAL_EPOCH + 1
        self.uses_topic_ids = uses_topic_ids
        self.last_used = now
        self.topic_names: dict[UUID, str] = {}
        self._partitions: OrderedDict[tuple[TopicKey, int], SessionPartition] = OrderedDict()

    def __len__(self) -> int:
        return len(self._partitions)

    def add(self, topics: Iterable[FetchTopic]) -> None:
        """Take in new partitions, and new positions of those that are there."""
        for topic in topics:
            key = (topic.topic, topic.topic_id)
            for asked in topic.partitions:
                known = self._partitions.get((key, asked.partition))
                if known is None:
                    self._partitions[key, asked.partition] = SessionPartition(key, asked)
                else:
                    known.asked = asked

    def forget(self, request: FetchRequest) -> None:
        """Drop the partitions that the client has no interest in any more."""
        for topic in request.forgotten_topics_data:
            for index in topic.partitions:
                self._partitions.pop(((topic.topic, topic.topic_id), index), None)
        if request.forgotten_topics_data and self.topic_names:
            kept = {topic_id for (_, topic_id), _ in self._partitions}
            self.topic_names = {topic_id: name for topic_id, name in self.topic_names.items() if topic_id in kept}

    def topics(self) -> list[FetchTopic]:
        """Everything that is asked for, as a request without a session would say it."""
        topics: list[FetchTopic] = []
        last: TopicKey | None = None
        for partition in self._partitions.values():
            if partition.topic != last:
                last = partition.topic
                topics.append(FetchTopic(topic=last[0], topic_id=last[1], partitions=[]))
            topics[-1].partitions.append(partition.asked)
        return topics

    def select_news(self, topic: TopicKey, answers: list[PartitionData]) -> list[PartitionData]:
        """The answers worth sending. A partition that gave records is read after the others next time.

        One that the session has dropped since it was read, by a request on another connection, is all news.
        """
        news = []
        for data in answers:
            place = (topic, data.partition_index)
            known = self._partitions.get(place)
            if known is None:
                news.append(data)
            elif known.has_news(data):
                news.append(data)
                if data.records:
                    self._partitions.move_to_end(place)
        return news


class FetchSessions:
    """The cache of sessions, the least recently used first."""

    def __init__(self, *, slots: int, random_source: Random) -> None:
        self.slots = slots
        self._random = random_source
        self._sessions: OrderedDict[int, FetchSession] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    def resume(self, request: FetchRequest, version: int, now: float) -> FetchSession | None:
        """The session that a request goes on with, brought up to date; None if it names all that it wants itself.

        Raises FETCH_SESSION_ID_NOT_FOUND, INVALID_FETCH_SESSION_EPOCH, FETCH_SESSION_TOPIC_ID_ERROR.
        """
        if request.session_epoch in (FINAL_EPOCH, INITIAL_EPOCH):
            self._sessions.pop(request.session_id, None)
            return None
        session = self._sessions.get(request.session_id)
        if session is None:
            raise KafkaError(ErrorCode.FETCH_SESSION_ID_NOT_FOUND, f"there is no fetch session {request.session_id}")
        if session.uses_topic_ids != (version >= TOPIC_IDS_SINCE):
            raise KafkaError(ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR, "the session mixes topic names and ids")
        if session.epoch != request.session_epoch:
            message = f"fetch session {session.session_id} is in epoch {session.epoch}, not {request.session_epoch}"
            raise KafkaError(ErrorCode.INVALID_FETCH_SESSION_EPOCH, message)
        session.epoch = session.epoch + 1 if session.epoch < 0x7FFFFFFF else INITIAL_EPOCH + 1
        session.last_used = now
        session.add(request.topics)
        session.forget(request)
        self._sessions.move_to_end(session.session_id)
        if not len(session):
            del self._sessions[session.session_id]
            return None
        return session

    def open(self, request: FetchRequest, version: int, now: float) -> FetchSession | None:
        """A new session for a request that asks for one, None if it does not or there is no place."""
        if request.session_epoch != INITIAL_EPOCH or not self._make_place(now):
            return None
        session_id = 0
        while session_id == 0 or session_id in self._sessions:
            session_id = self._random.getrandbits(31)
        session = FetchSession(session_id, uses_topic_ids=version >= TOPIC_IDS_SINCE, now=now)
        session.add(request.topics)
        self._sessions[session_id] = session
        return session

    def _make_place(self, now: float) -> bool:
        if len(self._sessions) < self.slots:
            return True
        oldest = next(iter(self._sessions.values()), None)
        if oldest is None or now - oldest.last_used < EVICTION_AFTER_SECONDS:
            return False
        del self._sessions[oldest.session_id]
        return True
