"""Fetch sessions: a client that fetches the same partitions again and again names only what changes (KIP-227).

A session remembers the partitions that were asked for and what was last said of each. A request in a session carries
the changes; its answer leaves out the partitions of which there is nothing new. Sessions are kept in a cache of
`max.incremental.fetch.session.cache.slots`. In a full one, a session makes place for a new one that is worth more
(FetchSessionCacheShard.tryEvict): when nobody has used it for two minutes; when the new one has more partitions, once
it is two minutes old; when the new one is a follower's and it is not. Who finds no place is answered session 0 and
goes on without; a client whose session is gone is told so and starts over.

Kafka's cache is eight caches, each with its own lock and an eighth of the slots. This one is whole: a place anywhere
is a place for everyone.
"""

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Iterable
from random import Random
from uuid import UUID

from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic, PartitionData

FINAL_EPOCH = -1
INITIAL_EPOCH = 0
TOPIC_IDS_SINCE = 13
EVICTION_AFTER_SECONDS = 120.0  # KafkaBroker.MIN_INCREMENTAL_FETCH_SESSION_EVICTION_MS, which no option changes

TopicKey = tuple[str, UUID]
Worth = tuple[bool, int, int]
"""Whether a session is a follower's, how many partitions it has, and its id: the less, the sooner it goes."""


def _next_epoch(epoch: int) -> int:
    return epoch + 1 if epoch < 0x7FFFFFFF else INITIAL_EPOCH + 1


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
    been deleted since (FetchSession.CachedPartition.maybeResolveUnknownName). `worth` is as of its last use, for the
    cache.
    """

    def __init__(self, session_id: int, *, uses_topic_ids: bool, privileged: bool, now: float) -> None:
        self.session_id = session_id
        self.epoch = _next_epoch(INITIAL_EPOCH)
        self.uses_topic_ids = uses_topic_ids
        self.privileged = privileged
        self.created = self.last_used = now
        self.worth: Worth = (privileged, -1, session_id)
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

    @property
    def is_old(self) -> bool:
        """Whether it was when it was last used."""
        return self.last_used - self.created > EVICTION_AFTER_SECONDS

    def has_moved_on(self, request: FetchRequest) -> bool:
        """Whether another request of the session came while this one was waiting: a client asks one at a time."""
        return self.epoch != _next_epoch(request.session_epoch)

    def learn(self, topic: TopicKey, answers: list[PartitionData]) -> None:
        """Take note of the first answer, which is sent whole."""
        for data in answers:
            self._partitions[topic, data.partition_index].has_news(data)

    def select_news(self, topic: TopicKey, answers: list[PartitionData]) -> list[PartitionData]:
        """The answers worth sending. A partition that gave records is read after the others next time.

        Of a session that has ended since they were read, because its last partition was dropped, none are.
        """
        news = []
        for data in answers:
            place = (topic, data.partition_index)
            known = self._partitions.get(place)
            if known is not None and known.has_news(data):
                news.append(data)
                if data.records:
                    self._partitions.move_to_end(place)
        return news


class FetchSessions:
    """The cache of sessions, the least recently used first.

    Who may be evicted for whom is looked up in two lists, the least worth first. A consumer's new session may push out
    only who was old when last used; a follower's also any consumer's.
    """

    def __init__(self, *, slots: int, random_source: Random) -> None:
        self.slots = slots
        self._random = random_source
        self._sessions: OrderedDict[int, FetchSession] = OrderedDict()
        self._evictable_by_all: list[Worth] = []
        self._evictable_by_privileged: list[Worth] = []

    def __len__(self) -> int:
        return len(self._sessions)

    def resume(self, request: FetchRequest, version: int, now: float) -> FetchSession | None:
        """The session that a request goes on with, brought up to date; None if it names all that it wants itself.

        Raises FETCH_SESSION_ID_NOT_FOUND, INVALID_FETCH_SESSION_EPOCH, FETCH_SESSION_TOPIC_ID_ERROR.
        """
        session = self._sessions.get(request.session_id)
        if request.session_epoch in (FINAL_EPOCH, INITIAL_EPOCH):
            if session is not None:
                self._remove(session)
            return None
        if session is None:
            raise KafkaError(ErrorCode.FETCH_SESSION_ID_NOT_FOUND, f"there is no fetch session {request.session_id}")
        if session.epoch != request.session_epoch:
            message = f"fetch session {session.session_id} is in epoch {session.epoch}, not {request.session_epoch}"
            raise KafkaError(ErrorCode.INVALID_FETCH_SESSION_EPOCH, message)
        if session.uses_topic_ids != (version >= TOPIC_IDS_SINCE):
            raise KafkaError(ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR, "the session mixes topic names and ids")
        session.add(request.topics)
        session.forget(request)
        if not len(session):
            self._remove(session)
            return None
        session.epoch = _next_epoch(session.epoch)
        self._touch(session, now)
        return session

    def open(self, request: FetchRequest, version: int, now: float, *, privileged: bool) -> FetchSession | None:
        """A new session for a request that asks for one, None if it does not or there is no place.

        `privileged` are those of followers.
        """
        if request.session_epoch != INITIAL_EPOCH:
            return None
        session_id = 0
        while session_id == 0 or session_id in self._sessions:
            session_id = self._random.getrandbits(31)
        session = FetchSession(session_id, uses_topic_ids=version >= TOPIC_IDS_SINCE, privileged=privileged, now=now)
        session.add(request.topics)
        if len(self._sessions) >= self.slots:
            evicted = self._find_place_for(session)
            if evicted is None:
                return None
            self._remove(evicted)
        self._sessions[session_id] = session
        self._touch(session, now)
        return session

    def _find_place_for(self, new: FetchSession) -> FetchSession | None:
        """The session of a full cache that has to go; None if there is none that may go and is worth less."""
        oldest = next(iter(self._sessions.values()), None)
        if oldest is None:
            return None
        if new.created - oldest.last_used > EVICTION_AFTER_SECONDS:
            return oldest
        evictable = self._evictable_by_privileged if new.privileged else self._evictable_by_all
        if not evictable or evictable[0][:2] >= (new.privileged, len(new)):
            return None
        return self._sessions[evictable[0][-1]]

    def _touch(self, session: FetchSession, now: float) -> None:
        """The session is used: it goes last, and its age and size are what they are now."""
        was_old = session.is_old
        session.last_used = now
        self._sessions.move_to_end(session.session_id)
        worth = (session.privileged, len(session), session.session_id)
        if (worth, session.is_old) == (session.worth, was_old):
            return
        self._unlist(session)
        session.worth = worth
        if session.is_old:
            insort(self._evictable_by_all, worth)
        if session.is_old or not session.privileged:
            insort(self._evictable_by_privileged, worth)

    def _remove(self, session: FetchSession) -> None:
        del self._sessions[session.session_id]
        self._unlist(session)

    def _unlist(self, session: FetchSession) -> None:
        for evictable in (self._evictable_by_all, self._evictable_by_privileged):
            position = bisect_left(evictable, session.worth)
            if position < len(evictable) and evictable[position] == session.worth:
                del evictable[position]
