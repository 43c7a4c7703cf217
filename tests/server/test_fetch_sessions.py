"""Fetch sessions say what is new and nothing else, and never outgrow their cache."""

from random import Random
from uuid import UUID

import pytest

from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic, ForgottenTopic, PartitionData
from kpy.server.fetch_sessions import EVICTION_AFTER_SECONDS, FetchSession, FetchSessions

VERSION = 12
NO_ID = UUID(int=0)
TOPIC = ("t", NO_ID)


def asked(index: int, offset: int = 0) -> FetchPartition:
    return FetchPartition(partition=index, fetch_offset=offset, partition_max_bytes=1000)


def request(
    *partitions: FetchPartition, session_id: int = 0, epoch: int = 0, forgotten: tuple[int, ...] = ()
) -> FetchRequest:
    return FetchRequest(
        max_wait_ms=0,
        min_bytes=0,
        session_id=session_id,
        session_epoch=epoch,
        topics=[FetchTopic(topic="t", partitions=list(partitions))] if partitions else [],
        forgotten_topics_data=[ForgottenTopic(topic="t", partitions=list(forgotten))] if forgotten else [],
    )


def data(index: int, high_watermark: int = 5, records: bytes = b"", error: int = 0) -> PartitionData:
    return PartitionData(
        partition_index=index,
        error_code=error,
        high_watermark=high_watermark,
        log_start_offset=0,
        aborted_transactions=None,
        records=records,
    )


def sessions(slots: int = 10) -> FetchSessions:
    return FetchSessions(slots=slots, random_source=Random(1))


def opening(
    cache: FetchSessions, *partitions: FetchPartition, now: float = 0.0, privileged: bool = False
) -> FetchSession | None:
    asking = request(*partitions)
    assert cache.resume(asking, VERSION, now) is None
    return cache.open(asking, VERSION, now, privileged=privileged)


def opened(
    cache: FetchSessions, *partitions: FetchPartition, now: float = 0.0, privileged: bool = False
) -> FetchSession:
    session = opening(cache, *partitions, now=now, privileged=privileged)
    assert session is not None
    return session


def used(cache: FetchSessions, session: FetchSession, now: float, *more: FetchPartition) -> None:
    going_on = request(*more, session_id=session.session_id, epoch=session.epoch)
    assert cache.resume(going_on, VERSION, now) is session


def is_there(cache: FetchSessions, session: FetchSession) -> bool:
    """Does the cache know it? Asking leaves it as it is."""
    with pytest.raises(KafkaError) as caught:
        cache.resume(request(session_id=session.session_id, epoch=session.epoch + 1), VERSION, 0.0)
    return caught.value.code is not ErrorCode.FETCH_SESSION_ID_NOT_FOUND


def indexes(session: FetchSession) -> list[int]:
    return [partition.partition for topic in session.topics() for partition in topic.partitions]


def test_a_session_remembers_its_partitions_and_takes_changes() -> None:
    """An incremental request adds, moves and forgets partitions; the rest is as it was."""
    cache = sessions()
    session = opened(cache, asked(0), asked(1), asked(2))

    again = cache.resume(
        request(asked(1, offset=7), asked(3), session_id=session.session_id, epoch=1, forgotten=(2,)), VERSION, 1.0
    )

    assert again is session
    assert indexes(session) == [0, 1, 3]
    assert [partition.fetch_offset for partition in session.topics()[0].partitions] == [0, 7, 0]


def test_a_name_is_forgotten_with_the_last_partition_of_its_topic() -> None:
    """What a session remembers of topics is bounded by what is asked for in it."""
    cache = sessions()
    topic_id = UUID(int=5)
    asking = FetchRequest(
        max_wait_ms=0,
        min_bytes=0,
        session_epoch=0,
        topics=[
            FetchTopic(topic_id=topic_id, partitions=[asked(0), asked(1)]),
            FetchTopic(topic_id=UUID(int=6), partitions=[asked(0)]),
        ],
    )
    session = cache.open(asking, 13, 0.0, privileged=False)
    assert session is not None
    session.topic_names = {topic_id: "t", UUID(int=6): "u"}
    for index, names in ((0, {"t", "u"}), (1, {"u"})):
        forgetting = request(session_id=session.session_id, epoch=index + 1)
        forgetting.forgotten_topics_data = [ForgottenTopic(topic_id=topic_id, partitions=[index])]
        assert cache.resume(forgetting, 13, 0.0) is session
        assert set(session.topic_names.values()) == names


def test_only_news_is_sent() -> None:
    """Records, another high watermark and errors are news, each time; silence is not."""
    session = opened(sessions(), asked(0), asked(1))

    def news(*answers: PartitionData) -> list[int]:
        return [answer.partition_index for answer in session.select_news(TOPIC, list(answers))]

    assert news(data(0), data(1)) == [0, 1]
    assert news(data(0), data(1)) == []
    assert news(data(0), data(1, high_watermark=6)) == [1]
    assert news(data(0, error=ErrorCode.NOT_LEADER_OR_FOLLOWER), data(1, high_watermark=6)) == [0]
    assert news(data(0), data(1, high_watermark=6)) == [0]
    assert news(data(0, records=b"x"), data(1, high_watermark=6)) == [0]


def test_who_gave_records_is_read_last_next_time() -> None:
    """No partition starves behind one that always has records. The first answer leaves the order as it was asked."""
    session = opened(sessions(), asked(0), asked(1), asked(2))
    answers = [data(0, records=b"x"), data(1), data(2)]

    session.learn(TOPIC, answers)
    assert indexes(session) == [0, 1, 2]
    assert session.select_news(TOPIC, answers) == answers[:1]
    assert indexes(session) == [1, 2, 0]


def test_what_a_session_has_dropped_is_no_news() -> None:
    """An answer that was read before another connection took its partition out of the session does not name it."""
    cache = sessions()
    session = opened(cache, asked(0), asked(1))
    assert cache.resume(request(session_id=session.session_id, epoch=1, forgotten=(0,)), VERSION, 0.0) is session

    assert session.select_news(TOPIC, [data(0, records=b"x")]) == []


def test_a_session_moves_on_with_each_request() -> None:
    """Whoever waited meanwhile can tell; the request that ends a session moves nothing."""
    cache = sessions()
    session = opened(cache, asked(0))
    first = request(session_id=session.session_id, epoch=1)
    second = request(session_id=session.session_id, epoch=2)

    assert cache.resume(first, VERSION, 0.0) is session
    assert not session.has_moved_on(first)
    assert cache.resume(second, VERSION, 0.0) is session
    assert session.has_moved_on(first)
    assert cache.resume(request(session_id=session.session_id, epoch=3, forgotten=(0,)), VERSION, 0.0) is None
    assert not session.has_moved_on(second)


@pytest.mark.parametrize(
    ("session_id", "epoch", "version", "code"),
    [
        (999, 1, VERSION, ErrorCode.FETCH_SESSION_ID_NOT_FOUND),
        (None, 2, VERSION, ErrorCode.INVALID_FETCH_SESSION_EPOCH),
        (None, 1, 13, ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR),
        (None, 2, 13, ErrorCode.INVALID_FETCH_SESSION_EPOCH),
    ],
)
def test_a_request_that_does_not_fit_its_session_is_refused(
    session_id: int | None, epoch: int, version: int, code: ErrorCode
) -> None:
    """An unknown session, a skipped epoch, and ids in a session of names; of both, the epoch is what is told."""
    cache = sessions()
    session = opened(cache, asked(0))

    with pytest.raises(KafkaError) as caught:
        cache.resume(request(session_id=session_id or session.session_id, epoch=epoch), version, 0.0)

    assert caught.value.code is code


@pytest.mark.parametrize("epoch", [0, -1])
def test_a_full_request_ends_the_old_session(epoch: int) -> None:
    """Epochs 0 and -1 name everything, so that the session of before is of no use."""
    cache = sessions()
    session = opened(cache, asked(0))

    assert cache.resume(request(asked(0), session_id=session.session_id, epoch=epoch), VERSION, 0.0) is None
    assert len(cache) == 0


def test_a_session_without_partitions_ends() -> None:
    """Forgetting the last partition leaves nothing to remember."""
    cache = sessions()
    session = opened(cache, asked(0))

    assert cache.resume(request(session_id=session.session_id, epoch=1, forgotten=(0,)), VERSION, 0.0) is None
    assert len(cache) == 0


def test_a_full_cache_gives_a_place_for_a_session_long_unused() -> None:
    """The cache holds its bound, and its places are not taken for ever; who finds none goes on without a session."""
    cache = sessions(slots=1)
    first = opened(cache, asked(0))

    assert opening(cache, asked(0), now=EVICTION_AFTER_SECONDS) is None
    second = opened(cache, asked(0), now=EVICTION_AFTER_SECONDS + 1)

    assert not is_there(cache, first)
    assert is_there(cache, second)
    assert len(cache) == 1


def test_a_cache_without_slots_has_no_sessions() -> None:
    """With max.incremental.fetch.session.cache.slots=0 everybody goes on without."""
    cache = sessions(slots=0)

    assert opening(cache, asked(0)) is None
    assert opening(cache, asked(0), now=EVICTION_AFTER_SECONDS + 1, privileged=True) is None


def test_the_session_that_was_used_last_stays() -> None:
    """Not the oldest goes, but the one that nobody has used for the longest."""
    cache = sessions(slots=2)
    first, second = opened(cache, asked(0)), opened(cache, asked(0))
    used(cache, first, 1.0)

    opened(cache, asked(0), now=EVICTION_AFTER_SECONDS + 1)

    assert is_there(cache, first)
    assert not is_there(cache, second)


def test_the_larger_session_finds_the_place_of_the_smallest_that_is_old() -> None:
    """Sessions that are used all the time make place too, once they are old, for those with more partitions."""
    cache = sessions(slots=2)
    larger, smaller = opened(cache, asked(0), asked(1), asked(2)), opened(cache, asked(0))
    used(cache, larger, EVICTION_AFTER_SECONDS + 1)
    used(cache, smaller, EVICTION_AFTER_SECONDS + 1)

    assert opening(cache, asked(0), now=EVICTION_AFTER_SECONDS + 2) is None
    new = opened(cache, asked(0), asked(1), now=EVICTION_AFTER_SECONDS + 2)

    assert is_there(cache, larger)
    assert not is_there(cache, smaller)
    assert is_there(cache, new)


def test_a_partition_named_twice_makes_no_session_larger() -> None:
    """A session is as large as it has different partitions."""
    cache = sessions(slots=1)
    used(cache, opened(cache, asked(0)), EVICTION_AFTER_SECONDS + 1)

    assert opening(cache, asked(0), asked(0), now=EVICTION_AFTER_SECONDS + 2) is None


def test_a_young_session_keeps_its_place() -> None:
    """Young is who was when last used: the place of a new session is safe for two minutes, however small it is."""
    cache = sessions(slots=1)
    session = opened(cache, asked(0))
    used(cache, session, EVICTION_AFTER_SECONDS)

    assert opening(cache, asked(0), asked(1), now=EVICTION_AFTER_SECONDS + 1) is None
    used(cache, session, EVICTION_AFTER_SECONDS + 1)
    opened(cache, asked(0), asked(1), now=EVICTION_AFTER_SECONDS + 1)
    assert not is_there(cache, session)


def test_a_session_is_worth_what_it_has_grown_to() -> None:
    """What counts are the partitions that it has, not those that it began with."""
    cache = sessions(slots=1)
    session = opened(cache, asked(0))
    used(cache, session, EVICTION_AFTER_SECONDS + 1)
    used(cache, session, EVICTION_AFTER_SECONDS + 1, asked(1))

    assert opening(cache, asked(0), asked(1), now=EVICTION_AFTER_SECONDS + 2) is None
    opened(cache, asked(0), asked(1), asked(2), now=EVICTION_AFTER_SECONDS + 2)
    assert not is_there(cache, session)


def test_followers_go_before_consumers() -> None:
    """A follower's session takes the place of the smallest consumer's at once; no consumer takes a follower's."""
    cache = sessions(slots=2)
    larger, smaller = opened(cache, asked(0), asked(1)), opened(cache, asked(0))

    follower = opened(cache, asked(0), privileged=True)
    assert is_there(cache, larger)
    assert not is_there(cache, smaller)

    another = opened(cache, asked(0), privileged=True)
    assert not is_there(cache, larger)
    for session in (follower, another):
        used(cache, session, EVICTION_AFTER_SECONDS + 1)
    assert opening(cache, *map(asked, range(5)), now=EVICTION_AFTER_SECONDS + 2) is None


def test_followers_among_themselves() -> None:
    """Between two followers it is as between two consumers: the one that is there goes if it is old and smaller."""
    cache = sessions(slots=1)
    session = opened(cache, asked(0), privileged=True)

    assert opening(cache, asked(0), asked(1), now=1.0, privileged=True) is None
    used(cache, session, EVICTION_AFTER_SECONDS + 1)
    assert opening(cache, asked(0), now=EVICTION_AFTER_SECONDS + 2, privileged=True) is None
    opened(cache, asked(0), asked(1), now=EVICTION_AFTER_SECONDS + 2, privileged=True)
    assert not is_there(cache, session)


def test_any_mixture_is_evicted_as_by_looking_at_all() -> None:
    """After any uses, the one that makes place is the one that a search of the whole cache finds, by Kafka's rule."""
    source = Random(227)
    cache = sessions(slots=8)
    known: dict[int, Modelled] = {}
    now = 0.0
    evictions = 0
    for _ in range(3000):
        now += source.choice([0.0, 1.0, 10.0, 50.0])
        if source.random() < 0.6 and known:
            session_id = source.choice(list(known))
            model = known[session_id] = known.pop(session_id)
            used(cache, model.session, now, asked(source.randrange(6)))
            model.use(now)
            continue
        privileged, size = source.random() < 0.3, source.randrange(1, 6)
        expected = evicted_of(list(known.values()), privileged, size, now) if len(known) == 8 else None
        session = opening(cache, *map(asked, range(size)), now=now, privileged=privileged)

        assert (session is not None) == (len(known) < 8 or expected is not None)
        if expected is not None:
            evictions += 1
            assert not is_there(cache, known.pop(expected.session.session_id).session)
        if session is not None:
            known[session.session_id] = Modelled(session, privileged=privileged, now=now)
        assert len(cache) == len(known)
        assert all(is_there(cache, model.session) for model in known.values())
    assert evictions > 100


class Modelled:
    """A session as a slow and obvious cache would keep it."""

    def __init__(self, session: FetchSession, *, privileged: bool, now: float) -> None:
        self.session = session
        self.privileged = privileged
        self.created = now
        self.use(now)

    def use(self, now: float) -> None:
        self.last_used = now
        self.size = len(indexes(self.session))


def evicted_of(models: list[Modelled], privileged: bool, size: int, now: float) -> Modelled | None:
    """Who of them, the least recently used first, has to go for a new session (FetchSessionCacheShard.tryEvict)."""
    if now - models[0].last_used > EVICTION_AFTER_SECONDS:
        return models[0]
    old = [model for model in models if model.last_used - model.created > EVICTION_AFTER_SECONDS]
    candidates = old + [model for model in models if privileged and not model.privileged and model not in old]
    least = min(candidates, key=lambda m: (m.privileged, m.size, m.session.session_id), default=None)
    return least if least is not None and (least.privileged, least.size) < (privileged, size) else None
