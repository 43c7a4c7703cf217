"""A broker that keeps its data in memory takes no more of it than it may, and says so."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.delete_topics import DeleteTopicsRequest, DeleteTopicsResponse, DeleteTopicState
from kpy.protocol.messages.fetch import FetchResponse
from kpy.protocol.messages.produce import PartitionProduceResponse, ProduceResponse
from tests.server.client import Client, Serving, commit_offset, fetch_request, make_broker, produce_request, running
from tests.storage.batches import sized_batch

STORAGE_ERROR = ErrorCode.KAFKA_STORAGE_ERROR
LIMIT_BYTES = 2_000_000
BATCH_BYTES = 100_000


@pytest.fixture
async def serving() -> AsyncIterator[Serving]:
    settings = {"kpy.memory.max.bytes": str(LIMIT_BYTES), "offsets.topic.num.partitions": "2"}
    async with running(make_broker(**settings)) as serving:
        yield serving


async def produce(client: Client, topic: str) -> PartitionProduceResponse:
    request = produce_request(topic, records=sized_batch(BATCH_BYTES))
    return (await client.ask(request, 9, ProduceResponse)).responses[0].partition_responses[0]


async def fill(client: Client, topic: str) -> int:
    """How many batches were taken before the first that was not."""
    count = 0
    while not (answer := await produce(client, topic)).error_code:
        count += 1
    assert answer.error_code == STORAGE_ERROR
    assert "kpy.memory.max.bytes=2000000" in (answer.error_message or "")
    return count


async def delete(client: Client, topic: str) -> int:
    request = DeleteTopicsRequest(topics=[DeleteTopicState(name=topic, topic_id=UUID(int=0))], timeout_ms=1000)
    return (await client.ask(request, 6, DeleteTopicsResponse)).responses[0].error_code


async def test_what_would_go_beyond_is_refused(serving: Serving, caplog: pytest.LogCaptureFixture) -> None:
    """With the reason, each time, and a line in the log a second; what was taken stays, and is served."""
    client = await serving.connect()
    await client.create_topic("t")
    count = await fill(client, "t")
    assert LIMIT_BYTES * 0.7 < count * BATCH_BYTES < LIMIT_BYTES
    for _ in range(20):
        assert (await produce(client, "t")).error_code == STORAGE_ERROR
    assert 1 <= sum("the memory for data is used up" in line for line in caplog.messages) < 5
    request = fetch_request("t", offset=count - 1)
    data = (await client.ask(request, 12, FetchResponse)).responses[0].partitions[0]
    assert (data.error_code, data.high_watermark) == (0, count)
    assert "Traceback" not in caplog.text


async def test_deleting_frees_it(serving: Serving) -> None:
    """Again and again; while memory is used up, too, topics are created, deleted and described."""
    client = await serving.connect()
    counts = []
    for number in range(4):
        await client.create_topic(f"t{number}")
        counts.append(await fill(client, f"t{number}"))
        await client.create_topic(f"empty{number}")
        assert await delete(client, f"t{number}") == 0
    assert len(set(counts)) == 1


async def test_offsets_are_refused_like_anything_else(serving: Serving) -> None:
    """And taken again when there is memory."""
    client = await serving.connect()
    for topic in ("t", "small"):
        await client.create_topic(topic)
    assert await commit_offset(client, "g", "t", 0) == 0
    await fill(client, "t")
    offset = 0
    while await commit_offset(client, "g", "t", offset) == 0:
        offset += 1
        assert offset < 100_000
    assert await delete(client, "t") == 0
    assert await commit_offset(client, "g", "small", offset) == 0
