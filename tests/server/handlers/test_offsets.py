"""Where a log starts and ends, which offset belongs to a time or an epoch, and moving the start."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopic,
)
from kpy.protocol.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
)
from kpy.protocol.messages.offset_for_leader_epoch import (
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
    OffsetForLeaderPartition,
    OffsetForLeaderTopic,
)
from kpy.protocol.messages.produce import ProduceResponse
from tests.server.client import PRODUCE_VERSION, Client, make_broker, produce_request, running
from tests.storage.batches import NOW_MS, batch

LATEST, EARLIEST, MAX_TIMESTAMP, EARLIEST_LOCAL, LATEST_TIERED, EARLIEST_PENDING = -1, -2, -3, -4, -5, -6
NEWEST = 11


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """A client of a broker whose topic t has records at NOW, NOW + 1 s and NOW + 0.5 s, out of order on purpose."""
    async with running(make_broker()) as serving:
        client = await serving.connect()
        await client.create_topic("t")
        for delta in (0, 1000, 500):
            records = batch("v", timestamp=NOW_MS + delta)
            await client.ask(produce_request("t", records=records), PRODUCE_VERSION, ProduceResponse)
        yield client


async def look_up(
    client: Client, timestamp: int, *, version: int = NEWEST, topic: str = "t", partition: int = 0, epoch: int = -1
) -> ListOffsetsPartitionResponse:
    asked = ListOffsetsPartition(partition_index=partition, timestamp=timestamp)
    if version >= 4:
        asked.current_leader_epoch = epoch
    request = ListOffsetsRequest(replica_id=-1, topics=[ListOffsetsTopic(name=topic, partitions=[asked])])
    response = await client.ask(request, version, ListOffsetsResponse)
    return response.topics[0].partitions[0]


@pytest.mark.parametrize(
    ("timestamp", "offset", "found"),
    [
        (LATEST, 3, -1),
        (EARLIEST, 0, -1),
        (EARLIEST_LOCAL, 0, -1),
        (MAX_TIMESTAMP, 1, NOW_MS + 1000),
        (LATEST_TIERED, -1, -1),
        (EARLIEST_PENDING, -1, -1),
        (0, 0, NOW_MS),
        (NOW_MS, 0, NOW_MS),
        (NOW_MS + 1, 1, NOW_MS + 1000),
        (NOW_MS + 1000, 1, NOW_MS + 1000),
        (NOW_MS + 1001, -1, -1),
    ],
)
async def test_offsets_by_timestamp(client: Client, timestamp: int, offset: int, found: int) -> None:
    """The first record at or after a time, and what the negative numbers stand for."""
    answer = await look_up(client, timestamp)

    assert (answer.error_code, answer.offset, answer.timestamp) == (0, offset, found)


@pytest.mark.parametrize(
    ("timestamp", "since"),
    [(MAX_TIMESTAMP, 7), (EARLIEST_LOCAL, 8), (LATEST_TIERED, 9), (EARLIEST_PENDING, 11), (-7, 12)],
)
async def test_a_negative_timestamp_is_refused_before_its_version(client: Client, timestamp: int, since: int) -> None:
    """Each came with a version; in those before it nobody could have meant it."""
    for version in range(1, NEWEST + 1):
        expected = ErrorCode.NONE if version >= since else ErrorCode.UNSUPPORTED_VERSION
        assert (await look_up(client, timestamp, version=version)).error_code == expected


async def test_offsets_of_what_is_not_there(client: Client) -> None:
    """Unknown topics and partitions, and leaders of other times."""
    assert (await look_up(client, LATEST, topic="nope")).error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert (await look_up(client, LATEST, partition=7)).error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert (await look_up(client, LATEST, epoch=5)).error_code == ErrorCode.UNKNOWN_LEADER_EPOCH
    assert (await look_up(client, LATEST, epoch=-2)).error_code == ErrorCode.FENCED_LEADER_EPOCH
    assert (await look_up(client, LATEST, epoch=0)).error_code == ErrorCode.NONE


async def test_a_partition_named_twice_is_refused(client: Client) -> None:
    """One answer for a partition that is asked for twice, and it is a refusal."""
    asked = [ListOffsetsPartition(partition_index=0, timestamp=timestamp) for timestamp in (LATEST, EARLIEST)]
    request = ListOffsetsRequest(replica_id=-1, topics=[ListOffsetsTopic(name="t", partitions=asked)])

    response = await client.ask(request, NEWEST, ListOffsetsResponse)

    assert [answer.error_code for answer in response.topics[0].partitions] == [ErrorCode.INVALID_REQUEST]


async def delete_before(client: Client, offset: int, *, topic: str = "t") -> tuple[ErrorCode, int]:
    request = DeleteRecordsRequest(
        topics=[DeleteRecordsTopic(name=topic, partitions=[DeleteRecordsPartition(partition_index=0, offset=offset)])],
        timeout_ms=1000,
    )
    response = await client.ask(request, 2, DeleteRecordsResponse)
    (result,) = response.topics[0].partitions
    return ErrorCode(result.error_code), result.low_watermark


async def test_deleting_records_moves_the_start(client: Client) -> None:
    """To an offset, to the high watermark with -1, never back and never beyond the end."""
    assert await delete_before(client, 2) == (ErrorCode.NONE, 2)
    assert (await look_up(client, EARLIEST)).offset == 2
    assert await delete_before(client, 1) == (ErrorCode.NONE, 2)
    assert await delete_before(client, 4) == (ErrorCode.OFFSET_OUT_OF_RANGE, -1)
    assert await delete_before(client, -2) == (ErrorCode.OFFSET_OUT_OF_RANGE, -1)
    assert await delete_before(client, -1) == (ErrorCode.NONE, 3)
    assert await delete_before(client, 0, topic="nope") == (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, -1)
    assert await delete_before(client, 0, topic="__consumer_offsets") == (ErrorCode.INVALID_TOPIC_EXCEPTION, -1)


async def epoch_end(client: Client, epoch: int, *, known: int = -1, partition: int = 0) -> tuple[ErrorCode, int, int]:
    asked = OffsetForLeaderPartition(partition=partition, current_leader_epoch=known, leader_epoch=epoch)
    request = OffsetForLeaderEpochRequest(topics=[OffsetForLeaderTopic(topic="t", partitions=[asked])])
    response = await client.ask(request, 4, OffsetForLeaderEpochResponse)
    (answer,) = response.topics[0].partitions
    return ErrorCode(answer.error_code), answer.leader_epoch, answer.end_offset


async def test_the_end_of_an_epoch(client: Client) -> None:
    """The present epoch ends at the end of the log; of later ones nothing is known."""
    assert await epoch_end(client, 0) == (ErrorCode.NONE, 0, 3)
    assert await epoch_end(client, 5) == (ErrorCode.NONE, -1, -1)
    assert await epoch_end(client, -1) == (ErrorCode.NONE, -1, -1)
    assert await epoch_end(client, 0, known=7) == (ErrorCode.UNKNOWN_LEADER_EPOCH, -1, -1)
    assert await epoch_end(client, 0, partition=9) == (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, -1, -1)


async def test_epochs_rise_with_each_start(tmp_path: Path) -> None:
    """After a restart the records of before are of an older epoch, which ends where the new one begins."""
    for _ in range(2):
        async with running(make_broker(tmp_path)) as serving:
            client = await serving.connect()
            await client.create_topic("t")
            await client.produce("t", "a", "b")
    async with running(make_broker(tmp_path)) as serving:
        client = await serving.connect()
        assert await epoch_end(client, 0) == (ErrorCode.NONE, 0, 2)
        assert await epoch_end(client, 1) == (ErrorCode.NONE, 1, 4)
        assert await epoch_end(client, 2) == (ErrorCode.NONE, 2, 4)
        assert await epoch_end(client, 0, known=1) == (ErrorCode.FENCED_LEADER_EPOCH, -1, -1)
