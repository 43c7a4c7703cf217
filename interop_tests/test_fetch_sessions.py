"""Fetch sessions (KIP-227): in which order they are read, what ends them, and who has one when not all can.

That sessions make place when they are two minutes old, or have not been used for two minutes, no option changes: the
scenarios do without.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import pytest

from interop_tests.brokers import Broker
from interop_tests.conftest import running_with
from interop_tests.eventually import eventually
from interop_tests.kafka_python_clients import Clients
from interop_tests.wire import Dialogue, append, batch
from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.create_topics import CreatableTopic, CreateTopicsRequest, CreateTopicsResponse
from kpy.protocol.messages.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic, ForgottenTopic

BY_NAME, BY_ID = 12, 13
PARTITIONS = 3
SLOTS = 8
"""Kafka divides them by eight."""
NO_SESSION = 0
FINAL, FULL, FIRST = -1, 0, 1


def fetch_request(topic: str, offsets: dict[int, int], session_id: int, epoch: int, **changes: Any) -> FetchRequest:
    """A fetch of the partitions at these offsets, in the given epoch of a session."""
    partitions = [
        FetchPartition(partition=index, fetch_offset=offset, partition_max_bytes=1 << 20)
        for index, offset in offsets.items()
    ]
    asked = {
        "max_wait_ms": 0,
        "min_bytes": 0,
        "topics": [FetchTopic(topic=topic, partitions=partitions)] if offsets else [],
        "session_id": session_id,
        "session_epoch": epoch,
    }
    return FetchRequest(**{**asked, **changes})


class Reader:
    """A connection that fetches from one topic."""

    def __init__(self, dialogue: Dialogue, topic: str) -> None:
        self._dialogue = dialogue
        self.topic = topic

    def fetch(
        self, offsets: dict[int, int], session_id: int, epoch: int, version: int = BY_NAME, **changes: Any
    ) -> FetchResponse:
        request = fetch_request(self.topic, offsets, session_id, epoch, **changes)
        return self._dialogue.ask(request, FetchResponse, version)

    def finds_all(self) -> bool:
        """Has every partition a leader yet? Without a session."""
        [topic] = self.fetch(dict.fromkeys(range(PARTITIONS), 0), NO_SESSION, FINAL).responses
        return all(data.error_code == ErrorCode.NONE for data in topic.partitions)

    def open(self, *indexes: int, **changes: Any) -> int:
        """The session that is given to who asks for one."""
        return self.fetch(dict.fromkeys(indexes, 0), NO_SESSION, FULL, **changes).session_id

    def error(self, session_id: int, epoch: int, version: int = BY_NAME) -> ErrorCode:
        """What going on with a session is answered."""
        return ErrorCode(self.fetch({}, session_id, epoch, version).error_code)


@pytest.fixture
def reader(broker: Broker, clients: Clients) -> Iterator[Reader]:
    """Of a topic of some partitions."""
    with closing(Dialogue(broker)) as dialogue:
        reader = Reader(dialogue, clients.topic(partitions=PARTITIONS))
        eventually(reader.finds_all, "leaders")
        yield reader


@pytest.fixture(scope="module")
def few_slots_broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """A broker that keeps few sessions."""
    with running_with(request.config, {"max.incremental.fetch.session.cache.slots": f"{SLOTS}"}) as broker:
        yield broker


def indexes_with_records(response: FetchResponse) -> Sequence[int]:
    assert response.error_code == ErrorCode.NONE
    return [data.partition_index for topic in response.responses for data in topic.partitions if data.records]


def test_the_order_of_reading(broker: Broker, reader: Reader) -> None:
    """Where all is too much, the partition that gave records in a session is read last; the first answer counts not."""
    for index in range(PARTITIONS):
        for value in (b"first", b"second"):
            assert append(broker, reader.topic, batch([value]), partition=index)[0] == ErrorCode.NONE
    first = reader.fetch(dict.fromkeys(range(PARTITIONS), 0), NO_SESSION, FULL, max_bytes=1)
    seen = [indexes_with_records(first)]
    for epoch, offsets in ((1, {0: 1}), (2, {0: 2}), (3, {1: 1}), (4, {2: 1})):
        seen.append(indexes_with_records(reader.fetch(offsets, first.session_id, epoch, max_bytes=1)))

    assert seen == [[0], [0], [1], [2], [1]]


def test_what_does_not_fit_the_session(reader: Reader) -> None:
    """No session, another epoch, ids in a session of names: each has its error; of the last two, the epoch's."""
    session_id = reader.open(0)
    closed = reader.open(1)
    reader.fetch({0: 0}, closed, FINAL)

    assert reader.error(closed, FIRST) is ErrorCode.FETCH_SESSION_ID_NOT_FOUND
    assert reader.error(session_id, FIRST + 1) is ErrorCode.INVALID_FETCH_SESSION_EPOCH
    assert reader.error(session_id, FIRST, BY_ID) is ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR
    assert reader.error(session_id, FIRST + 1, BY_ID) is ErrorCode.INVALID_FETCH_SESSION_EPOCH
    assert reader.error(session_id, FIRST) is ErrorCode.NONE


def test_two_requests_of_a_session_at_once(broker: Broker, reader: Reader) -> None:
    """While one waits for records, the other may go on: the one that waited is told so, and gets nothing."""
    session_id = reader.open(0)
    with closing(Dialogue(broker)) as waiting:
        waiting.send(fetch_request(reader.topic, {}, session_id, FIRST, max_wait_ms=60_000, min_bytes=1), BY_NAME)
        eventually(lambda: reader.error(session_id, FIRST + 1) is ErrorCode.NONE, "the first request has arrived")
        append(broker, reader.topic, batch([b"news"]))
        response = waiting.receive(FetchResponse, BY_NAME)

    assert response.error_code == ErrorCode.INVALID_FETCH_SESSION_EPOCH
    assert (response.session_id, response.responses) == (session_id, [])


def test_a_session_that_ends_while_it_is_waited_for(broker: Broker, reader: Reader) -> None:
    """Its last partition is dropped elsewhere: the request that waits for records of it is answered none."""
    session_id = reader.open(0)
    with closing(Dialogue(broker)) as waiting:
        waiting.send(fetch_request(reader.topic, {}, session_id, FIRST, max_wait_ms=60_000, min_bytes=1), BY_NAME)
        dropped = [ForgottenTopic(topic=reader.topic, partitions=[0])]

        def drop() -> bool:
            answer = reader.fetch({}, session_id, FIRST + 1, forgotten_topics_data=dropped)
            return (answer.error_code, answer.session_id) == (ErrorCode.NONE, NO_SESSION)

        eventually(drop, "the first request has arrived")
        append(broker, reader.topic, batch([b"news"]))
        response = waiting.receive(FetchResponse, BY_NAME)

    assert (response.error_code, response.session_id, response.responses) == (ErrorCode.NONE, session_id, [])


def test_a_full_cache(few_slots_broker: Broker) -> None:
    """Who finds no place is answered session 0, and goes on. A follower finds one: one consumer's session is gone."""
    with closing(Dialogue(few_slots_broker)) as dialogue:
        reader = Reader(dialogue, "t")
        topic = CreatableTopic(name="t", num_partitions=PARTITIONS, replication_factor=1, assignments=[], configs=[])
        dialogue.ask(CreateTopicsRequest(topics=[topic], timeout_ms=20_000), CreateTopicsResponse, 5)
        eventually(reader.finds_all, "leaders")
        sessions = [reader.open(0) for _ in range(SLOTS)]

        assert NO_SESSION not in sessions
        assert reader.open(*range(PARTITIONS)) == NO_SESSION
        follower = reader.open(0, replica_id=7)
        assert follower not in (NO_SESSION, *sessions)
        assert reader.error(follower, FIRST) is ErrorCode.NONE
        errors = [reader.error(session_id, FIRST) for session_id in sessions]
        assert sorted(errors) == [ErrorCode.NONE] * (SLOTS - 1) + [ErrorCode.FETCH_SESSION_ID_NOT_FOUND]
