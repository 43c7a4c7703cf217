"""What a broker knows again after it was killed: a copy of the directory of a running one is what kill -9 leaves."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest

from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
)
from kpy.protocol.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopic,
)
from kpy.protocol.messages.delete_topics import DeleteTopicsRequest, DeleteTopicsResponse, DeleteTopicState
from kpy.protocol.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResponse,
)
from kpy.protocol.messages.fetch import FetchResponse
from kpy.protocol.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from kpy.protocol.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
)
from kpy.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse
from kpy.protocol.messages.offset_for_leader_epoch import (
    EpochEndOffset,
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
    OffsetForLeaderPartition,
    OffsetForLeaderTopic,
)
from kpy.protocol.messages.produce import ProduceResponse
from kpy.protocol.records import RecordBatch
from tests.server.client import (
    Client,
    Serving,
    commit_offset,
    committed_offset,
    fetch_request,
    make_broker,
    produce_request,
    running,
)
from tests.storage.batches import batch

LATEST, EARLIEST = -1, -2


class Restarts:
    """One data directory over the lives of its brokers."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._lives = 0

    @asynccontextmanager
    async def run(self, *, kill: bool = True, **settings: str) -> AsyncIterator[Serving]:
        """A broker on the directory as the one before left it; at the end it is killed, or stopped."""
        self._lives += 1
        async with running(make_broker(self.directory, **settings)) as serving:
            yield serving
            if kill:
                left = self.directory.with_name(f"after-life-{self._lives}")
                shutil.copytree(self.directory, left)
                self.directory = left


@pytest.fixture
def restarts(tmp_path: Path) -> Restarts:
    return Restarts(tmp_path / "data")


async def topic_of(client: Client, name: str) -> tuple[object, ...]:
    """Id, and each partition's leader and leader epoch."""
    request = MetadataRequest(topics=[MetadataRequestTopic(name=name)], allow_auto_topic_creation=False)
    topic = (await client.ask(request, 12, MetadataResponse)).topics[0]
    return topic.error_code, topic.topic_id, [(p.leader_id, p.leader_epoch) for p in topic.partitions]


async def delete_topic(client: Client, name: str) -> None:
    request = DeleteTopicsRequest(topics=[DeleteTopicState(name=name, topic_id=UUID(int=0))], timeout_ms=1000)
    assert not (await client.ask(request, 6, DeleteTopicsResponse)).responses[0].error_code


async def new_producer_id(client: Client) -> int:
    request = InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=0)
    return (await client.ask(request, 4, InitProducerIdResponse)).producer_id


async def list_offset(client: Client, topic: str, timestamp: int, epoch: int = -1) -> ListOffsetsPartitionResponse:
    asked = ListOffsetsPartition(partition_index=0, timestamp=timestamp, current_leader_epoch=epoch)
    request = ListOffsetsRequest(replica_id=-1, topics=[ListOffsetsTopic(name=topic, partitions=[asked])])
    return (await client.ask(request, 7, ListOffsetsResponse)).topics[0].partitions[0]


async def end_of_epoch(client: Client, topic: str, epoch: int) -> tuple[int, int]:
    asked = OffsetForLeaderPartition(partition=0, leader_epoch=epoch)
    request = OffsetForLeaderEpochRequest(topics=[OffsetForLeaderTopic(topic=topic, partitions=[asked])])
    response = await client.ask(request, 4, OffsetForLeaderEpochResponse)
    found: EpochEndOffset = response.topics[0].partitions[0]
    assert not found.error_code
    return found.leader_epoch, found.end_offset


async def values(client: Client, topic: str, offset: int = 0) -> list[bytes | None]:
    response = await client.ask(fetch_request(topic, offset=offset), 12, FetchResponse)
    data = response.responses[0].partitions[0]
    assert not data.error_code
    found, records = [], bytes(data.records or b"")
    while records:
        size = int.from_bytes(records[8:12], "big") + 12
        found += [record.value for record in RecordBatch(records[:size])]
        records = records[size:]
    return found


async def idempotent(
    client: Client, producer_id: int, sequence: int, *values: str, topic: str = "t"
) -> tuple[int, int]:
    records = batch(*values, producer_id=producer_id, producer_epoch=0, base_sequence=sequence)
    response = await client.ask(produce_request(topic, records=records), 9, ProduceResponse)
    answered = response.responses[0].partition_responses[0]
    return answered.error_code, answered.base_offset


@pytest.mark.parametrize("kill", [True, False])
async def test_what_is_kept(restarts: Restarts, kill: bool) -> None:
    """Cluster id, topic ids, configs, records and committed offsets; the leader epoch rises with each life."""
    async with restarts.run(kill=kill) as serving:
        client = await serving.connect()
        await client.create_topic("t", 2, {"max.message.bytes": "12345"})
        await client.produce("t", "one", "two")
        await commit_offset(client, "g", "t", 1)
        cluster_id = serving.broker.services.cluster.image.cluster_id
        before = await topic_of(client, "t")
    assert before[2] == [(1, 0), (1, 0)]
    for life in (1, 2):
        async with restarts.run(kill=kill) as serving:
            client = await serving.connect()
            assert serving.broker.services.cluster.image.cluster_id == cluster_id
            assert await topic_of(client, "t") == (*before[:2], [(1, life), (1, life)])
            assert await values(client, "t") == [b"one", b"two"]
            assert await committed_offset(client, "g", "t") == 1
            resource = DescribeConfigsResource(
                resource_type=2, resource_name="t", configuration_keys=["max.message.bytes"]
            )
            described = await client.ask(DescribeConfigsRequest(resources=[resource]), 4, DescribeConfigsResponse)
            assert described.results[0].configs[0].value == "12345"


@pytest.mark.parametrize("kill", [True, False])
async def test_producer_ids_are_never_given_twice(restarts: Restarts, kill: bool) -> None:
    """Also not those that the broker had ready when it ended."""
    given: list[int] = []
    for _ in range(3):
        async with restarts.run(kill=kill) as serving:
            client = await serving.connect()
            given += [await new_producer_id(client) for _ in range(3)]

    assert len(set(given)) == 9


@pytest.mark.parametrize("kill", [True, False])
async def test_a_producer_goes_on_where_it_was(restarts: Restarts, kill: bool) -> None:
    """The last five batches are known again: those that are sent again are not stored again, gaps are refused."""
    async with restarts.run(kill=kill) as serving:
        client = await serving.connect()
        await client.create_topic("t")
        producer_id = await new_producer_id(client)
        for number in range(6):
            assert await idempotent(client, producer_id, number, f"{number}") == (0, number)
    async with restarts.run(kill=kill) as serving:
        client = await serving.connect()
        for number in range(1, 6):
            assert await idempotent(client, producer_id, number, f"{number}") == (0, number)
        assert (await idempotent(client, producer_id, 7, "gap"))[0] == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
        assert await idempotent(client, producer_id, 6, "next") == (0, 6)


@pytest.mark.parametrize("kill", [True, False])
async def test_a_topic_that_was_deleted_and_made_again_has_nothing_of_the_old_one(
    restarts: Restarts, kill: bool
) -> None:
    """Neither records nor committed offsets, before and after the broker comes back."""
    async with restarts.run(kill=kill) as serving:
        client = await serving.connect()
        await client.create_topic("t")
        await client.produce("t", "old")
        await commit_offset(client, "g", "t", 1)
        old = await topic_of(client, "t")
        await delete_topic(client, "t")
        await client.create_topic("t")
        new = await topic_of(client, "t")
        assert await committed_offset(client, "g", "t") == -1
        assert await values(client, "t") == []
    assert old[1] != new[1]
    async with restarts.run(kill=kill) as serving:
        client = await serving.connect()
        assert (await topic_of(client, "t"))[1] == new[1]
        assert await committed_offset(client, "g", "t") == -1
        assert await values(client, "t") == []


async def test_no_checkpoint_speaks_of_a_topic_whose_deletion_was_answered(restarts: Restarts) -> None:
    """So making it again waits for no disk."""
    async with restarts.run() as serving:
        client = await serving.connect()
        for name in ("gone", "kept"):
            await client.create_topic(name)
            await client.produce(name, "v")
        await serving.broker.services.checkpoints.write()
        recovery_points = restarts.directory / "recovery-point-offset-checkpoint"
        assert b"gone 0 " in recovery_points.read_bytes()
        await delete_topic(client, "gone")
        assert b"gone 0 " not in recovery_points.read_bytes()
        assert b"kept 0 " in recovery_points.read_bytes()
        assert not serving.broker.services.partitions.logs.must_forget


async def test_a_deletion_that_the_kill_cut_short_is_completed(restarts: Restarts) -> None:
    """The controller had recorded it; logs and offsets were still there."""
    async with restarts.run() as serving:
        client = await serving.connect()
        await client.create_topic("t", 2)
        await client.create_topic("other")
        await client.produce("t", "old")
        await client.produce("other", "kept")
        await commit_offset(client, "g", "t", 1)
        logs = {path: path.read_bytes() for path in restarts.directory.rglob("*") if path.is_file()}
        await delete_topic(client, "t")
        for path, data in logs.items():
            if "__cluster_metadata" not in str(path):
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(data)
    async with restarts.run() as serving:
        client = await serving.connect()
        assert (await topic_of(client, "t"))[0] == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        assert serving.broker.services.partitions.logs.get("t", 0) is None
        assert not (restarts.directory / "t-0").exists()
        assert await committed_offset(client, "g", "t") == -1
        assert await values(client, "other") == [b"kept"]
        await client.create_topic("t")
        assert await values(client, "t") == []


async def test_logs_of_nobody_are_set_aside(restarts: Restarts, caplog: pytest.LogCaptureFixture) -> None:
    """If the metadata is lost, the records are not: they are not served, nor removed."""
    async with restarts.run() as serving:
        client = await serving.connect()
        await client.create_topic("t")
        await client.produce("t", "precious")
        stored = (restarts.directory / "t-0" / "00000000000000000000.log").read_bytes()
    for life in range(2):
        shutil.rmtree(restarts.directory / "__cluster_metadata-0")
        async with restarts.run() as serving:
            client = await serving.connect()
            assert (await topic_of(client, "t"))[0] == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            await client.create_topic("t")
            assert await values(client, "t") == []
            aside = restarts.directory / "t-0.0-stray" / "00000000000000000000.log"
            assert aside.read_bytes() == stored
            assert (restarts.directory / "t-0.1-stray").exists() == (life == 1)
    assert "t-0: no topic that is known has this log; it is set aside as t-0.0-stray" in caplog.text


async def test_a_log_whose_id_is_lost_is_set_aside(restarts: Restarts) -> None:
    """The topic begins anew, and what was in its directory is still there."""
    async with restarts.run() as serving:
        client = await serving.connect()
        await client.create_topic("t")
        await client.produce("t", "precious")
    (restarts.directory / "t-0" / "partition.metadata").unlink()
    async with restarts.run() as serving:
        client = await serving.connect()
        assert await values(client, "t") == []
        assert (restarts.directory / "t-0.0-stray" / "00000000000000000000.log").stat().st_size


@pytest.mark.parametrize("kill", [True, False])
async def test_deleted_records_stay_deleted(restarts: Restarts, kill: bool) -> None:
    """The log starts where it was told to; the epoch of its first record is known."""
    async with restarts.run(kill=kill) as serving:
        client = await serving.connect()
        await client.create_topic("t")
        for value in ("one", "two", "three"):
            await client.produce("t", value)
        asked = DeleteRecordsPartition(partition_index=0, offset=2)
        request = DeleteRecordsRequest(topics=[DeleteRecordsTopic(name="t", partitions=[asked])], timeout_ms=1000)
        response = await client.ask(request, 2, DeleteRecordsResponse)
        assert response.topics[0].partitions[0].low_watermark == 2
    async with restarts.run(kill=kill) as serving:
        client = await serving.connect()
        earliest, latest = await list_offset(client, "t", EARLIEST), await list_offset(client, "t", LATEST)
        assert (earliest.offset, earliest.leader_epoch) == (2, 0)
        assert (latest.offset, latest.leader_epoch) == (3, 1)
        assert await values(client, "t", 2) == [b"three"]


@pytest.mark.parametrize("kill", [True, False])
async def test_leader_epochs_of_lives_without_records(restarts: Restarts, kill: bool) -> None:
    """A consumer that was told of an epoch, in which nothing was written then, is told where that ended.

    An answer that leaves it open would make it believe that its log was truncated, and start over.
    """
    async with restarts.run(kill=kill) as serving:
        client = await serving.connect()
        await client.create_topic("t")
        await client.produce("t", "zero", "one")
        assert await end_of_epoch(client, "t", 0) == (0, 2)
    for life in (1, 2, 3):
        async with restarts.run(kill=kill) as serving:
            client = await serving.connect()
            assert (await list_offset(client, "t", LATEST)).leader_epoch == life
            for epoch in range(life):
                assert await end_of_epoch(client, "t", epoch) == (0, 2)
            assert await end_of_epoch(client, "t", life) == (life, 2)
            assert await end_of_epoch(client, "t", life + 1) == (-1, -1)
    async with restarts.run(kill=kill) as serving:
        client = await serving.connect()
        assert (await client.produce("t", "two")).base_offset == 2
        assert await end_of_epoch(client, "t", 3) == (0, 2)
        assert await end_of_epoch(client, "t", 4) == (4, 3)


async def test_who_knows_an_older_leader_is_told_so(restarts: Restarts) -> None:
    """KIP-320: with the epoch of the life before, a client looks for metadata again."""
    async with restarts.run() as serving:
        await (await serving.connect()).create_topic("t")
    async with restarts.run() as serving:
        client = await serving.connect()
        assert (await list_offset(client, "t", LATEST, epoch=0)).error_code == ErrorCode.FENCED_LEADER_EPOCH
        assert (await list_offset(client, "t", LATEST, epoch=1)).error_code == ErrorCode.NONE
        assert (await list_offset(client, "t", LATEST, epoch=2)).error_code == ErrorCode.UNKNOWN_LEADER_EPOCH


async def test_a_group_notices_that_its_topic_stands_in_another_rack(restarts: Restarts) -> None:
    """KIP-1101: a broker that comes back with another rack has the groups that read its topics come to a new epoch."""

    async def beat(client: Client, epoch: int) -> int:
        joining = {"rebalance_timeout_ms": 60_000, "subscribed_topic_names": ["t"], "topic_partitions": []}
        request = ConsumerGroupHeartbeatRequest(
            group_id="g", member_id="m", member_epoch=epoch, **(joining if epoch == 0 else {})
        )
        response = await client.ask(request, 1, ConsumerGroupHeartbeatResponse)
        assert response.error_code == ErrorCode.NONE
        return response.member_epoch

    settings = {"group_consumer_assignment_interval_ms": "0"}
    async with restarts.run(broker_rack="east", **settings) as serving:
        client = await serving.connect()
        await client.create_topic("t")
        epoch = await beat(client, 0)
        assert await beat(client, epoch) == epoch
    async with restarts.run(broker_rack="east", **settings) as serving:
        assert await beat(await serving.connect(), epoch) == epoch
    async with restarts.run(broker_rack="west", **settings) as serving:
        assert await beat(await serving.connect(), epoch) == epoch + 1
