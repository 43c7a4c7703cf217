"""What a failing disk does to requests: their partition says KAFKA_STORAGE_ERROR, and everything else goes on."""

import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest
import trio

from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.create_topics import CreatableTopic, CreateTopicsRequest, CreateTopicsResponse
from kpy.protocol.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopic,
)
from kpy.protocol.messages.delete_topics import DeleteTopicsRequest, DeleteTopicsResponse, DeleteTopicState
from kpy.protocol.messages.describe_log_dirs import DescribeLogDirsRequest, DescribeLogDirsResponse
from kpy.protocol.messages.fetch import FetchResponse
from kpy.protocol.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from kpy.protocol.messages.list_groups import ListGroupsRequest, ListGroupsResponse
from kpy.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse
from kpy.protocol.messages.offset_commit import OffsetCommitResponse
from kpy.protocol.messages.offset_fetch import OffsetFetchResponse
from kpy.protocol.messages.produce import ProduceRequest, ProduceResponse, TopicProduceData
from tests.server.client import (
    Client,
    Serving,
    commit_request,
    committed_request,
    fetch_request,
    make_broker,
    produce_request,
    running,
)
from tests.server.failing_files import Disk
from tests.server.test_restart import values
from tests.storage.batches import NOW_MS

STORAGE_ERROR = ErrorCode.KAFKA_STORAGE_ERROR
NO_ID = UUID(int=0)


@pytest.fixture
async def serving(tmp_path: Path, disk: Disk, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Serving]:
    """A broker with the topics bad and good, on a disk that can be told to fail; no error may be a bug to it."""
    async with running(make_broker(tmp_path)) as serving:
        client = await serving.connect()
        await client.create_topic("bad", 2)
        await client.create_topic("good")
        yield serving
        disk.refuses = lambda operation, path: False
    assert "Traceback" not in caplog.text
    assert "bug" not in caplog.text


def refuse(disk: Disk, *operations: str, path: str = "bad-", error: int = errno.EIO) -> None:
    disk.refuses = lambda operation, asked: operation in operations and path in asked
    disk.error = error


def both(*partitions: int) -> ProduceRequest:
    """A batch for each of these partitions of `bad`, and one for `good`."""
    bad = [produce_request("bad", "v", partition=index).topic_data[0].partition_data[0] for index in partitions]
    request = produce_request("good", "v")
    request.topic_data.insert(0, TopicProduceData(name="bad", partition_data=bad))
    return request


async def all_values(client: Client, topic: str) -> list[bytes]:
    """Of every segment."""
    found: list[bytes] = []
    while more := await values(client, topic, len(found)):
        found += more
    return found


async def produced(client: Client, request: ProduceRequest) -> list[int]:
    response = await client.ask(request, 9, ProduceResponse)
    return [data.error_code for topic in response.responses for data in topic.partition_responses]


@pytest.mark.parametrize("operation", ["append", "create", "replace"])
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EMFILE])
async def test_produce_to_a_partition_that_cannot_be_written(
    serving: Serving, disk: Disk, operation: str, error: int
) -> None:
    """That partition fails, with each attempt, the other one in the request does not; later it works as if new."""
    client = await serving.connect()
    refuse(disk, operation, path="bad-0", error=error)
    for _attempt in range(2):
        assert await produced(client, both(0, 1)) == [STORAGE_ERROR, 0, 0]
    disk.refuses = lambda operation, path: False
    assert (await client.produce("bad", "v")).base_offset == 0


async def test_a_batch_that_cannot_be_flushed(serving: Serving, disk: Disk) -> None:
    """flush.messages promises that it is on the disk: what cannot keep that is an error."""
    client = await serving.connect()
    await client.create_topic("bad-flushed", 1, {"flush.messages": "1"})
    assert (await client.produce("bad-flushed", "v")).error_code == 0
    refuse(disk, "sync")
    assert (await client.produce("bad-flushed", "v")).error_code == STORAGE_ERROR
    assert (await client.produce("good", "v")).error_code == 0


class SteppedClock:
    """Wall time that goes on when a test says so."""

    def __init__(self) -> None:
        self.time_ms = NOW_MS

    def now_ms(self) -> int:
        return self.time_ms


async def test_a_directory_that_vanishes_and_comes_back(tmp_path: Path) -> None:
    """Within a second what is appended is refused, other partitions go on, and all that was answered comes back."""
    broker = make_broker(tmp_path / "data")
    clock = broker.clock = SteppedClock()
    async with running(broker) as serving:
        client = await serving.connect()
        await client.create_topic("bad", 2)
        await client.create_topic("good")
        for number in range(3):
            assert (await client.produce("bad", f"{number}")).base_offset == number
        (tmp_path / "data" / "bad-0").rename(tmp_path / "away")
        clock.time_ms += 1000
        for _ in range(2):
            assert await produced(client, both(0, 1)) == [STORAGE_ERROR, 0, 0]
        assert not (tmp_path / "data" / "bad-0").exists()
        (tmp_path / "away").rename(tmp_path / "data" / "bad-0")
        assert (await client.produce("bad", "3")).base_offset == 3
    async with running(make_broker(tmp_path / "data")) as serving:
        client = await serving.connect()
        assert await values(client, "bad") == [b"0", b"1", b"2", b"3"]


@pytest.mark.parametrize(
    ("operation", "path"),
    [
        ("create", ".log"),
        ("replace", ".index"),
        ("replace", ".timeindex"),
        ("replace", ".snapshot"),
        ("append", ".log"),
    ],
)
@pytest.mark.parametrize("tears", [True, False])
async def test_a_log_that_cannot_roll(tmp_path: Path, disk: Disk, operation: str, path: str, tears: bool) -> None:
    """What would begin a segment is refused until the disk has room; then nothing is missing, also after a start."""
    stored: list[bytes] = []
    refused = 0
    async with running(make_broker(tmp_path)) as serving:
        client = await serving.connect()
        await client.create_topic("bad", 1, {"internal.segment.bytes": "300"})
        await client.create_topic("good")
        disk.tears, disk.error = tears, errno.ENOSPC
        for number in range(12):
            value = f"{number}-" + "x" * 50
            if number % 3 == 2:
                disk.refuses = lambda asked, where: asked == operation and "bad-0" in where and path in where
                error = (await client.produce("bad", value)).error_code
                assert error in (0, STORAGE_ERROR)
                assert (await client.produce("good", "v")).error_code == 0
                if error:
                    refused += 1
                    assert (await client.produce("bad", value)).error_code == STORAGE_ERROR
                disk.refuses = lambda asked, where: False
                if not error:
                    stored.append(value.encode())
                    continue
            assert (await client.produce("bad", value)).error_code == 0
            stored.append(value.encode())
        assert refused > 1
        assert await all_values(client, "bad") == stored
        assert len(serving.broker.services.partitions.find("bad", 0).log.segments.base_offsets) > 3
    async with running(make_broker(tmp_path)) as serving:
        assert await all_values(await serving.connect(), "bad") == stored


async def test_a_new_epoch_that_cannot_be_written_down(tmp_path: Path, disk: Disk) -> None:
    """The batch is refused, for its epoch would be forgotten; later both are there."""
    async with running(make_broker(tmp_path)) as serving:
        client = await serving.connect()
        await client.create_topic("bad")
        refuse(disk, "replace", path="leader-epoch-checkpoint", error=errno.ENOSPC)
        for _ in range(2):
            assert (await client.produce("bad", "v")).error_code == STORAGE_ERROR
        disk.refuses = lambda operation, path: False
        assert (await client.produce("bad", "v")).base_offset == 0
        assert (tmp_path / "bad-0" / "leader-epoch-checkpoint").read_text() == "0\n1\n0 0\n"


async def test_checkpoints_that_cannot_be_written(tmp_path: Path, disk: Disk, caplog: pytest.LogCaptureFixture) -> None:
    """It is said, nothing else suffers, and the next ones are written."""
    disk.error = errno.ENOSPC
    async with running(make_broker(tmp_path, log_flush_offset_checkpoint_interval_ms="1")) as serving:
        client = await serving.connect()
        await client.create_topic("t")
        disk.refuses = lambda operation, path: operation == "replace" and path.endswith("offset-checkpoint")
        while "cannot write the checkpoints" not in caplog.text:
            await trio.lowlevel.checkpoint()
        disk.refuses = lambda operation, path: False
        assert (await client.produce("t", "v")).error_code == 0
        written = tmp_path / "replication-offset-checkpoint"
        while not written.exists() or b"t 0 1" not in written.read_bytes():
            await trio.lowlevel.checkpoint()


async def test_fetch_from_a_partition_that_cannot_be_opened(serving: Serving, disk: Disk) -> None:
    """The fetch is answered at once, with the error for that partition."""
    client = await serving.connect()
    refuse(disk, "create", error=errno.EMFILE)
    response = await client.ask(fetch_request("bad", max_wait_ms=60_000), 12, FetchResponse)
    assert response.responses[0].partitions[0].error_code == STORAGE_ERROR


async def test_fetch_of_what_cannot_be_read(serving: Serving, disk: Disk) -> None:
    """An error of the disk while batches are looked for is one of the partition."""
    client = await serving.connect()
    for _ in range(3):
        await client.produce("bad", "v")
    refuse(disk, "read")
    response = await client.ask(fetch_request("bad", offset=1, max_wait_ms=60_000), 12, FetchResponse)
    assert response.responses[0].partitions[0].error_code == STORAGE_ERROR


async def test_delete_records_that_cannot_be_removed(serving: Serving, disk: Disk) -> None:
    """The answer is the error."""
    client = await serving.connect()
    await client.produce("bad", "v")
    refuse(disk, "replace", path="")
    asked = DeleteRecordsPartition(partition_index=0, offset=1)
    request = DeleteRecordsRequest(topics=[DeleteRecordsTopic(name="bad", partitions=[asked])], timeout_ms=1000)
    response = await client.ask(request, 2, DeleteRecordsResponse)
    assert response.topics[0].partitions[0].error_code == STORAGE_ERROR


async def test_a_deletion_that_the_disk_refuses(serving: Serving, disk: Disk, tmp_path: Path) -> None:
    """The topic is gone all the same, and one of that name begins anew; what is left goes at the next start."""
    client = await serving.connect()
    await client.produce("bad", "old")
    refuse(disk, "rename", path="bad")
    request = DeleteTopicsRequest(topics=[DeleteTopicState(name="bad", topic_id=NO_ID)], timeout_ms=1000)
    assert (await client.ask(request, 6, DeleteTopicsResponse)).responses[0].error_code == 0
    disk.refuses = lambda operation, path: False
    await client.create_topic("bad")
    assert (await client.produce("bad", "new")).base_offset == 0


async def test_the_controller_cannot_write(serving: Serving, disk: Disk) -> None:
    """Changes are refused with the error and leave no trace; what needs no change is served."""
    client = await serving.connect()
    refuse(disk, "append", path="__cluster_metadata", error=errno.ENOSPC)
    image = serving.broker.services.cluster.image
    topic = CreatableTopic(name="new", num_partitions=1, replication_factor=1, assignments=[], configs=[])
    created = await client.ask(CreateTopicsRequest(topics=[topic]), 7, CreateTopicsResponse)
    assert created.topics[0].error_code == STORAGE_ERROR
    delete = DeleteTopicsRequest(topics=[DeleteTopicState(name="bad", topic_id=NO_ID)], timeout_ms=1000)
    assert (await client.ask(delete, 6, DeleteTopicsResponse)).responses[0].error_code == STORAGE_ERROR
    ask_id = InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=0)
    assert (await client.ask(ask_id, 4, InitProducerIdResponse)).error_code == STORAGE_ERROR
    named = MetadataRequest(topics=[MetadataRequestTopic(name="auto")], allow_auto_topic_creation=True)
    described = await client.ask(named, 9, MetadataResponse)
    assert described.topics[0].error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert serving.broker.services.cluster.image is image
    assert (await client.produce("good", "v")).error_code == 0
    disk.refuses = lambda operation, path: False
    created = await client.ask(CreateTopicsRequest(topics=[topic]), 7, CreateTopicsResponse)
    assert created.topics[0].error_code == 0


@pytest.mark.parametrize("operation", ["append", "create"])
async def test_a_group_cannot_write(serving: Serving, disk: Disk, operation: str) -> None:
    """A commit that cannot be stored is refused so that clients try again; then it works."""
    client = await serving.connect()
    request = commit_request("g", "good", 5)

    async def commit() -> int:
        response = await client.ask(request, 8, OffsetCommitResponse)
        return response.topics[0].partitions[0].error_code

    refuse(disk, operation, path="__consumer_offsets-")
    assert ErrorCode(await commit()) in {ErrorCode.NOT_COORDINATOR, ErrorCode.COORDINATOR_NOT_AVAILABLE}
    disk.refuses = lambda operation, path: False
    assert await commit() == 0


async def test_a_group_that_cannot_be_read_after_the_start(tmp_path: Path, disk: Disk) -> None:
    """The broker serves everything else, and the group when it can be read again."""
    commit, fetch = commit_request("g", "t", 5), committed_request("g", "t")
    async with running(make_broker(tmp_path)) as serving:
        client = await serving.connect()
        await client.create_topic("t")
        assert (await client.ask(commit, 8, OffsetCommitResponse)).topics[0].partitions[0].error_code == 0
    has_started = False

    def refuses(operation: str, path: str) -> bool:
        nonlocal has_started
        has_started |= operation == "append"  # the registration of the broker, after all logs were loaded
        return has_started and operation == "read" and "__consumer_offsets" in path

    disk.refuses = refuses
    async with running(make_broker(tmp_path)) as serving:
        client = await serving.connect()
        answer = (await client.ask(fetch, 8, OffsetFetchResponse)).groups[0]
        assert ErrorCode(answer.error_code) is ErrorCode.NOT_COORDINATOR
        listed = await client.ask(ListGroupsRequest(states_filter=[], types_filter=[]), 5, ListGroupsResponse)
        assert (ErrorCode(listed.error_code), listed.groups) == (ErrorCode.NONE, [])
        assert (await client.produce("t", "v")).error_code == 0
        disk.refuses = lambda operation, path: False
        answer = (await client.ask(fetch, 8, OffsetFetchResponse)).groups[0]
        assert answer.topics[0].partitions[0].committed_offset == 5


async def test_a_deletion_of_which_the_disk_refuses_a_part(serving: Serving, disk: Disk, tmp_path: Path) -> None:
    """What can be removed of a topic is."""
    client = await serving.connect()
    await client.create_topic("three", 3)
    for partition in range(3):
        await client.produce("three", "v", partition=partition)
    disk.refuses = lambda operation, path: operation == "rename" and path == "three-0"
    await client.ask(DeleteTopicsRequest(topic_names=["three"], timeout_ms=1000), 5, DeleteTopicsResponse)
    assert set(os.listdir(tmp_path)) & {"three-0", "three-1", "three-2"} == {"three-0"}


async def test_log_dirs_of_a_directory_that_has_vanished(serving: Serving, tmp_path: Path) -> None:
    """It is described as failed, and the connection lives."""
    client = await serving.connect()
    os.rename(tmp_path, f"{tmp_path}-away")
    response = await client.ask(DescribeLogDirsRequest(topics=None), 4, DescribeLogDirsResponse)
    os.rename(f"{tmp_path}-away", tmp_path)
    assert [result.error_code for result in response.results] == [STORAGE_ERROR]
