"""What is asked of a log and is not in memory waits in a worker; what the disk refuses is its partition's error."""

import errno
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import trio

from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic, PartitionData
from kpy.protocol.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
)
from kpy.protocol.records import read_batches
from kpy.server.cold_reads import readable_bytes
from kpy.server.handlers.list_offsets import MAX_TIMESTAMP
from tests.server.client import Client, Serving, make_broker, produce_request, running
from tests.server.failing_files import Disk, FailingFiles
from tests.storage.batches import NOW_MS, sized_batch

BATCH_BYTES = 10_000
BATCHES = 10


@pytest.fixture
async def serving(tmp_path: Path, disk: Disk) -> AsyncIterator[Serving]:
    """A broker with the topics cold and warm of ten batches."""
    async with running(make_broker(tmp_path)) as serving:
        client = await serving.connect()
        for topic in ("cold", "warm"):
            await client.create_topic(topic)
            for _ in range(BATCHES):
                await client.ask(produce_request(topic, records=sized_batch(BATCH_BYTES)), 9, FetchResponse)
        disk.is_cold = lambda path: "cold-0" in path
        yield serving
        disk.refuses = lambda operation, path: False


async def fetch(client: Client, *topics: str, offset: int = 0, max_bytes: int = 1 << 20) -> list[PartitionData]:
    asked = [FetchPartition(partition=0, fetch_offset=offset, partition_max_bytes=max_bytes)]
    request = FetchRequest(
        max_wait_ms=60_000,
        min_bytes=1,
        topics=[FetchTopic(topic=topic, partitions=asked) for topic in topics],
        forgotten_topics_data=[],
    )
    response = await client.ask(request, 12, FetchResponse)
    return [topic.partitions[0] for topic in response.responses]


def offsets(data: PartitionData) -> list[int]:
    assert data.error_code == 0
    return [batch.header.base_offset for batch in read_batches(bytes(data.records))]


async def test_a_cold_partition(serving: Serving, disk: Disk) -> None:
    """It is answered with those that are warm, whole."""
    client = await serving.connect()
    for data in await fetch(client, "cold", "warm"):
        assert offsets(data) == list(range(BATCHES))
    assert disk.brought
    assert all("cold-0" in path for path, _position, _size in disk.brought)


async def offset_at(client: Client, topic: str, timestamp: int) -> ListOffsetsPartitionResponse:
    asked = ListOffsetsPartition(partition_index=0, timestamp=timestamp)
    request = ListOffsetsRequest(replica_id=-1, topics=[ListOffsetsTopic(name=topic, partitions=[asked])])
    response = await client.ask(request, 7, ListOffsetsResponse)
    return response.topics[0].partitions[0]


async def fetch_cold(client: Client) -> object:
    return await fetch(client, "cold")


async def look_up_time(client: Client) -> object:
    return await offset_at(client, "cold", NOW_MS)


async def look_up_largest(client: Client) -> object:
    return await offset_at(client, "cold", MAX_TIMESTAMP)


@pytest.mark.parametrize("ask", [fetch_cold, look_up_time, look_up_largest])
async def test_others_are_served_while_the_disk_is_waited_for(
    serving: Serving, disk: Disk, ask: Callable[[Client], Awaitable[object]]
) -> None:
    """However long that takes."""
    slow, other = await serving.connect(), await serving.connect()
    reading, may_read = threading.Event(), threading.Event()

    def refuses(operation: str, path: str) -> bool:
        if operation == "bring":
            reading.set()
            may_read.wait(timeout=10)
        return False

    disk.refuses = refuses
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, slow)
            while not reading.is_set():
                await trio.lowlevel.checkpoint()
            for _ in range(3):
                assert (await other.produce("warm", "v")).error_code == 0
            may_read.set()
    finally:
        may_read.set()


async def test_memory_too_short_to_prepare_anything(
    serving: Serving, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is brought is gone at once: the fetch is answered with what is ready; a later one gets the rest."""
    client = await serving.connect()
    with monkeypatch.context() as patch:
        patch.setattr(disk, "has", lambda path, position, size: "cold-0" not in path)
        cold, warm = await fetch(client, "cold", "warm")
        assert offsets(cold) == []
        assert cold.high_watermark == BATCHES
        assert offsets(warm) == list(range(BATCHES))
        assert offsets((await fetch(client, "cold"))[0]) == []
    assert offsets((await fetch(client, "cold"))[0]) == list(range(BATCHES))


async def test_offsets_of_a_cold_partition(serving: Serving, disk: Disk) -> None:
    """By time they are looked up when a worker has been there."""
    client = await serving.connect()
    for timestamp, offset in ((NOW_MS, 0), (NOW_MS + 1, -1), (MAX_TIMESTAMP, 0)):
        answer = await offset_at(client, "cold", timestamp)
        assert (answer.error_code, answer.offset) == (0, offset)
    assert disk.brought


async def test_what_is_looked_for_cannot_be_read(serving: Serving, disk: Disk) -> None:
    """An error of the partition, in either answer; and when the disk can, it is found."""
    client = await serving.connect()
    disk.error = errno.EIO
    disk.refuses = lambda operation, path: operation == "bring" and "cold-0" in path
    assert (await offset_at(client, "cold", NOW_MS)).error_code == ErrorCode.KAFKA_STORAGE_ERROR
    cold, warm = await fetch(client, "cold", "warm")
    assert cold.error_code == ErrorCode.KAFKA_STORAGE_ERROR
    assert offsets(warm) == list(range(BATCHES))
    disk.refuses = lambda operation, path: False
    assert (await offset_at(client, "cold", NOW_MS)).offset == 0
    assert offsets((await fetch(client, "cold"))[0]) == list(range(BATCHES))


def refuse_bytes(disk: Disk, first: int, last: int) -> Callable[[str, str], bool]:
    """These bytes of the cold log cannot be read."""

    def refuses(operation: str, path: str) -> bool:
        if operation != "bring" or "cold-0" not in path:
            return False
        position, size = disk.bringing
        return position <= last and first < position + size

    return refuses


async def test_bytes_that_the_disk_does_not_give(serving: Serving, disk: Disk) -> None:
    """The connection that was promised them ends; then batches before them are served, their own offset is an error."""
    disk.error = errno.EIO
    disk.refuses = refuse_bytes(disk, 3 * BATCH_BYTES + 5000, 3 * BATCH_BYTES + 5100)
    client = await serving.connect()
    with pytest.raises(EOFError):
        await fetch(client, "cold")
    client = await serving.connect()
    cold, warm = await fetch(client, "cold", "warm")
    assert offsets(cold) == [0, 1, 2]
    assert offsets(warm) == list(range(BATCHES))
    cold, warm = await fetch(client, "cold", "warm", offset=3)
    assert cold.error_code == ErrorCode.KAFKA_STORAGE_ERROR
    assert offsets(warm) == list(range(3, BATCHES))
    assert offsets((await fetch(client, "cold", offset=4))[0]) == list(range(4, BATCHES))
    disk.refuses = lambda operation, path: False
    assert offsets((await fetch(client, "cold", offset=3))[0]) == list(range(3, BATCHES))


def test_how_many_bytes_can_be_read(tmp_path: Path, disk: Disk) -> None:
    """Up to the page that cannot."""
    disk.error = errno.EIO
    file = FailingFiles(tmp_path).open("cold-0")
    file.append(bytes(1 << 20))
    assert readable_bytes(file.range(100, 900_000)) == 900_000
    disk.refuses = refuse_bytes(disk, 500_000, 500_001)
    assert readable_bytes(file.range(0, 900_000)) == 500_000 // 4096 * 4096
    assert readable_bytes(file.range(499_999, 10)) == 0
