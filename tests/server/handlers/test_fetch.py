"""Fetch waits for as long as it should and no longer."""

from collections.abc import AsyncIterator, Awaitable
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest
import trio

from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.delete_topics import DeleteTopicsRequest, DeleteTopicsResponse, DeleteTopicState
from kpy.protocol.messages.fetch import FetchRequest, FetchResponse, ForgottenTopic, ReplicaState
from kpy.server.context import RequestContext
from kpy.server.handlers.fetch import fetch
from tests.server.client import FETCH_VERSION, Serving, fetch_request, make_broker, running
from tests.storage.batches import batch
from tests.storage.transactions import abort, send


@pytest.fixture
async def serving() -> AsyncIterator[Serving]:
    async with running(make_broker(num_partitions="2")) as serving:
        client = await serving.connect()
        await client.create_topic("t", 2)
        yield serving


def ask(
    serving: Serving, request: FetchRequest, version: int = FETCH_VERSION
) -> FetchResponse | Awaitable[FetchResponse]:
    connection = SimpleNamespace(listener="PLAINTEXT", peer="127.0.0.1")
    return fetch(request, RequestContext(serving.broker.services, cast("Any", connection), version, "test"))


async def test_an_append_before_the_wait_begins_is_not_missed(serving: Serving) -> None:
    """A connection may be busy sending for a while before it waits for the answer: what comes meanwhile counts."""
    answer = ask(serving, fetch_request("t", max_wait_ms=3_600_000))
    assert isinstance(answer, Awaitable)

    serving.broker.services.partitions.find("t", 0).append(batch("v"))

    with trio.fail_after(1):
        response = await answer
    assert response.responses[0].partitions[0].high_watermark == 1


@pytest.mark.parametrize("waited", [True, False])
async def test_a_fetch_that_is_cancelled_leaves_nothing_behind(serving: Serving, waited: bool) -> None:
    """No partition remembers the waiter of a connection that is gone, had it begun to wait or not."""
    partition = serving.broker.services.partitions.find("t", 0)
    answer = ask(serving, fetch_request("t", max_wait_ms=3_600_000))
    assert isinstance(answer, Awaitable)
    assert len(partition.waiters) == 1

    with trio.move_on_after(0.01 if waited else 0):
        await answer

    assert len(partition.waiters) == 0


async def open_session(serving: Serving, request: FetchRequest, version: int = FETCH_VERSION) -> int:
    """The id of the session that the request, which asks for one, is answered with; 0 is none."""
    request.session_epoch = 0
    opened = ask(serving, request, version)
    assert isinstance(opened, FetchResponse)
    return opened.session_id


async def park_in_session(serving: Serving, session_id: int) -> Awaitable[FetchResponse]:
    """A request of a session of t-0 in its first epoch, which waits for records."""
    parked = fetch_request("t", max_wait_ms=3_600_000)
    parked.topics = []
    parked.session_id, parked.session_epoch = session_id, 1
    answer = ask(serving, parked)
    assert isinstance(answer, Awaitable)
    return answer


async def test_a_session_that_goes_on_elsewhere_refuses_a_parked_fetch(serving: Serving) -> None:
    """A session is for one request at a time: the one that waited is told that its epoch is over, when it would end."""
    session_id = await open_session(serving, fetch_request("t"))
    answer = await park_in_session(serving, session_id)
    other = fetch_request("t", partition=1)
    other.session_id, other.session_epoch = session_id, 2
    assert isinstance(ask(serving, other), FetchResponse)

    serving.broker.services.partitions.find("t", 0).append(batch("v"))

    response = await answer
    assert ErrorCode(response.error_code) is ErrorCode.INVALID_FETCH_SESSION_EPOCH
    assert (response.session_id, response.responses) == (session_id, [])


async def test_a_session_that_ends_elsewhere_leaves_a_parked_fetch_nothing_to_say(serving: Serving) -> None:
    """With the last partition the session ends; no records come of what its client has dropped."""
    session_id = await open_session(serving, fetch_request("t"))
    answer = await park_in_session(serving, session_id)
    other = fetch_request("t")
    other.topics = []
    other.session_id, other.session_epoch = session_id, 2
    other.forgotten_topics_data = [ForgottenTopic(topic="t", partitions=[0])]
    assert isinstance(ask(serving, other), FetchResponse)

    serving.broker.services.partitions.find("t", 0).append(batch("v"))

    response = await answer
    assert (response.error_code, response.session_id, response.responses) == (0, session_id, [])


@pytest.mark.parametrize("version", [14, 15])
async def test_who_says_that_it_is_a_follower_finds_a_session(version: int) -> None:
    """In a full cache it takes a consumer's place, and no consumer takes its (KIP-227; KIP-903 moved the field)."""
    async with running(make_broker(max_incremental_fetch_session_cache_slots="1")) as serving:
        await (await serving.connect()).create_topic("t", 1)
        consumer = await open_session(serving, fetch_request("t"))
        assert consumer != 0
        assert await open_session(serving, fetch_request("t")) == 0
        request = fetch_request("t")
        if version < 15:
            request.replica_id = 7
        else:
            request.replica_state = ReplicaState(replica_id=7)

        assert await open_session(serving, request, version) != 0
        assert await open_session(serving, fetch_request("t")) == 0


async def test_a_parked_fetch_never_reads_the_next_topic_of_the_name(serving: Serving) -> None:
    """Deleted and made again before the fetch could look, the topic is another one to whom asked for its id."""
    partitions = serving.broker.services.partitions
    request = fetch_request("t", max_wait_ms=3_600_000)
    request.topics[0].topic_id = partitions.image.topics["t"].topic_id
    answer = ask(serving, request, version=13)
    assert isinstance(answer, Awaitable)
    client = await serving.connect()
    doomed = DeleteTopicState(name="t", topic_id=UUID(int=0))
    await client.ask(DeleteTopicsRequest(topics=[doomed], timeout_ms=1000), 6, DeleteTopicsResponse)
    await client.create_topic("t")
    partitions.find("t", 0).append(batch("not for you"))

    data = (await answer).responses[0].partitions[0]

    assert ErrorCode(data.error_code) is ErrorCode.INCONSISTENT_TOPIC_ID
    assert not data.records


async def test_a_session_remembers_the_name_of_a_deleted_topic(serving: Serving) -> None:
    """Asked for by its id in a session, a topic that is gone is missed by its name; outside nobody knows the id."""
    request = fetch_request("t")
    request.topics[0].topic_id = serving.broker.services.partitions.image.topics["t"].topic_id
    request.session_epoch = 0
    opened = ask(serving, request, version=13)
    assert isinstance(opened, FetchResponse)
    client = await serving.connect()

    def error(session_id: int, epoch: int) -> ErrorCode:
        going_on = fetch_request("t")
        going_on.topics = request.topics if epoch < 0 else []
        going_on.session_id, going_on.session_epoch = session_id, epoch
        response = ask(serving, going_on, version=13)
        assert isinstance(response, FetchResponse)
        return ErrorCode(response.responses[0].partitions[0].error_code)

    doomed = DeleteTopicState(name="t", topic_id=UUID(int=0))
    await client.ask(DeleteTopicsRequest(topics=[doomed], timeout_ms=1000), 6, DeleteTopicsResponse)
    assert error(opened.session_id, 1) is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    await client.create_topic("t")
    assert error(opened.session_id, 2) is ErrorCode.INCONSISTENT_TOPIC_ID
    assert error(0, -1) is ErrorCode.UNKNOWN_TOPIC_ID


@pytest.mark.parametrize(("isolation_level", "expected"), [(0, None), (1, [(5, 0)])])
async def test_aborted_transactions(
    serving: Serving, isolation_level: int, expected: list[tuple[int, int]] | None
) -> None:
    """Who reads committed records is told what to drop and sees nothing of an open transaction; others are not."""
    log = serving.broker.services.partitions.find("t", 0).log
    send(log, 5, 0)
    abort(log, 5)
    decided_bytes = log.size_bytes
    send(log, 6, 0)
    serving.broker.services.partitions.find("t", 0).append(batch("v"))
    request = fetch_request("t")
    request.isolation_level = isolation_level
    answer = ask(serving, request)
    assert isinstance(answer, FetchResponse)
    data = answer.responses[0].partitions[0]
    aborted = data.aborted_transactions
    assert (aborted and [(entry.producer_id, entry.first_offset) for entry in aborted]) == expected
    assert (data.last_stable_offset, data.high_watermark) == (2, 4)
    assert sum(part.size_bytes for part in data.records) == (decided_bytes if isolation_level else log.size_bytes)
