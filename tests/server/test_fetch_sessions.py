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


def opened(cache: FetchSessions, *partitions: FetchPartition, now: float = 0.0) -> FetchSession:
    asking = request(*partitions)
    assert cache.resume(asking, VERSION, now) is None
    session = cache.open(asking, VERSION, now)
    assert session is not None
    return session


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
    session = cache.open(asking, 13, 0.0)
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
    """No partition starves behind one that always has records."""
    session = opened(sessions(), asked(0), asked(1), asked(2))

    session.select_news(TOPIC, [data(0, records=b"x"), data(1), data(2)])

    assert indexes(session) == [1, 2, 0]


@pytest.mark.parametrize(
    ("session_id", "epoch", "version", "code"),
    [
        (999, 1, VERSION, ErrorCode.FETCH_SESSION_ID_NOT_FOUND),
        (None, 2, VERSION, ErrorCode.INVALID_FETCH_SESSION_EPOCH),
        (None, 1, 13, ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR),
    ],
)
def test_a_request_that_does_not_fit_its_session_is_refused(
    session_id: int | None, epoch: int, version: int, code: ErrorCode
) -> None:
    """An unknown session, a skipped epoch, and ids in a session of names."""
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


def test_a_full_cache_gives_a_place_only_for_a_session_long_unused() -> None:
    """The cache holds its bound; who finds no place goes on without a session."""
    cache = sessions(slots=1)
    first = opened(cache, asked(0))

    assert cache.open(request(asked(0)), VERSION, EVICTION_AFTER_SECONDS - 1) is None
    second = cache.open(request(asked(0)), VERSION, EVICTION_AFTER_SECONDS)

    assert second is not None
    assert second.session_id != first.session_id
    assert len(cache) == 1


def test_the_session_that_was_used_last_stays() -> None:
    """Not the oldest goes, but the one that nobody has used for the longest."""
    cache = sessions(slots=2)
    first, second = opened(cache, asked(0)), opened(cache, asked(0))
    assert cache.resume(request(session_id=first.session_id, epoch=1), VERSION, 1.0) is first
    assert cache.open(request(asked(0)), VERSION, EVICTION_AFTER_SECONDS) is not None

    assert cache.resume(request(session_id=first.session_id, epoch=2), VERSION, EVICTION_AFTER_SECONDS) is first
    with pytest.raises(KafkaError) as raised:
        cache.resume(request(session_id=second.session_id, epoch=1), VERSION, EVICTION_AFTER_SECONDS)
    assert raised.value.code is ErrorCode.FETCH_SESSION_ID_NOT_FOUND
