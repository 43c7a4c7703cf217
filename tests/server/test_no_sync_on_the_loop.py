"""Whatever clients ask for and however fast, the event loop's thread never waits for a sync: a worker's does.

No worker's sync ends while requests come, so that nothing is on the disk in time by luck.
"""

import os
import threading
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest

from kpy.cluster.topic_names import CONSUMER_OFFSETS
from kpy.groups.partitioning import partition_for
from kpy.protocol.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopic,
)
from kpy.protocol.messages.delete_topics import DeleteTopicsRequest, DeleteTopicsResponse, DeleteTopicState
from kpy.protocol.messages.produce import ProduceRequest, ProduceResponse
from kpy.server.flushing import Flusher
from kpy.storage.partition_log import PartitionLog
from tests.server.client import (
    PRODUCE_VERSION,
    Client,
    Serving,
    commit_offset,
    committed_offset,
    make_broker,
    produce_request,
    running,
)
from tests.server.test_damage import point_on_disk
from tests.server.test_flushing import until
from tests.server.test_restart import idempotent, new_producer_id
from tests.server.test_retention import TOPIC

SEGMENT_BYTES = 1000
SMALL_SEGMENTS = {"internal.segment.bytes": str(SEGMENT_BYTES), "file.delete.delay.ms": "0"}


class Syncs:
    """Where the loop's thread has waited for one, and whether those of workers end."""

    def __init__(self) -> None:
        self.on_the_loop: list[str] = []
        self.gate = threading.Event()
        self.gate.set()

    def watched(self, sync: Callable[[int], None]) -> Callable[[int], None]:
        loop = threading.get_ident()

        def watch(descriptor: int) -> None:
            if threading.get_ident() == loop:
                self.on_the_loop.append("".join(traceback.format_stack(limit=8)))
            else:
                self.gate.wait(timeout=10)
            sync(descriptor)

        return watch


@asynccontextmanager
async def watched(
    directory: Path, monkeypatch: pytest.MonkeyPatch, **settings: str
) -> AsyncIterator[tuple[Serving, Syncs]]:
    """A broker, and its syncs from when it serves until it stops; none of them may be on the loop."""
    syncs = Syncs()
    async with running(make_broker(directory, **settings)) as serving:
        with monkeypatch.context() as patches:
            for name in ("fsync", "fdatasync"):
                if hasattr(os, name):
                    patches.setattr(os, name, syncs.watched(getattr(os, name)))
            try:
                yield serving, syncs
            finally:
                syncs.gate.set()
        assert not syncs.on_the_loop, "\n\n".join(syncs.on_the_loop)


def log_of(serving: Serving, topic: str, partition: int = 0) -> PartitionLog:
    return serving.broker.services.partitions.find(topic, partition).log


async def received(client: Client, count: int) -> list[tuple[int, int]]:
    """The error and the offset in each of so many answers to Produce."""
    answers = []
    for _ in range(count):
        response = await client.receive(ProduceRequest, PRODUCE_VERSION)
        assert isinstance(response, ProduceResponse)
        answer = response.responses[0].partition_responses[0]
        answers.append((answer.error_code, answer.base_offset))
    return answers


async def pipeline(client: Client, topic: str, count: int, value_bytes: int) -> None:
    """Send so many batches at once."""
    frames = [client.frame(produce_request(topic, "v" * value_bytes), PRODUCE_VERSION) for _ in range(count)]
    await client.stream.send_all(b"".join(frames))


@pytest.mark.parametrize("timestamps", ["CreateTime", "LogAppendTime"])
@pytest.mark.parametrize("value_bytes", [20, 800])
async def test_a_producer_waits_for_the_first_roll_and_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value_bytes: int, timestamps: str
) -> None:
    """Batches that fill the first segment at once, few or many: other partitions are served while theirs waits."""
    count = 4 * SEGMENT_BYTES // (value_bytes + 70)
    async with watched(tmp_path, monkeypatch) as (serving, syncs):
        client, other = await serving.connect(), await serving.connect()
        await client.create_topic("t", 1, {**SMALL_SEGMENTS, "message.timestamp.type": timestamps})
        await client.create_topic("other")
        partition = serving.broker.services.partitions.find("t", 0)
        syncs.gate.clear()
        await pipeline(client, "t", count, value_bytes)
        await until(lambda: partition.taking_turns > 0)
        assert (await other.produce("other", "v")).error_code == 0
        assert list(partition.log.segments.base_offsets) == [0]
        syncs.gate.set()
        assert await received(client, count) == [(0, offset) for offset in range(count)]
        assert max(segment.size for segment in partition.log.segments) <= SEGMENT_BYTES
        assert len(partition.log.segments.base_offsets) > 2


async def test_a_producer_waits_for_a_first_roll_by_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """segment.ms and LogAppendTime, too: the segment is as old as it may be when the next batch comes."""
    configs = {"internal.segment.bytes": "100000", "segment.ms": "1", "message.timestamp.type": "LogAppendTime"}
    async with watched(tmp_path, monkeypatch) as (serving, _):
        client = await serving.connect()
        await client.create_topic("t", 1, configs)
        log = log_of(serving, "t")
        while log.segments.active.base_offset == 0:
            assert (await client.produce("t", "v")).error_code == 0


async def test_the_first_roll_after_a_start_waits_for_a_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A segment that was full when the broker stopped is closed by the first batch, with nothing left to flush."""
    for _ in range(3):
        async with watched(tmp_path, monkeypatch) as (serving, _):
            client = await serving.connect()
            await client.create_topic("t", 1, SMALL_SEGMENTS)
            assert (await client.produce("t", "v" * 800)).error_code == 0


async def test_a_refused_sync_is_told_to_the_producer_that_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """KAFKA_STORAGE_ERROR; the batch is not stored, and taken when the disk is well again."""

    async def refuse(_self: Flusher, _log: PartitionLog) -> None:
        raise OSError(5, "no sync")

    async with watched(tmp_path, monkeypatch) as (serving, syncs):
        client = await serving.connect()
        await client.create_topic("t", 1, SMALL_SEGMENTS)
        syncs.gate.clear()
        with monkeypatch.context() as patches:
            patches.setattr(Flusher, "sync_names", refuse)
            await pipeline(client, "t", 2, 800)
            assert await received(client, 2) == [(0, 0), (56, -1)]
        syncs.gate.set()
        assert (await client.produce("t", "v" * 800)).base_offset == 1


async def test_creating_and_deleting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Topics are created, written to, shortened by DeleteRecords, deleted, and created again under the same name."""
    async with watched(tmp_path, monkeypatch) as (serving, _):
        client = await serving.connect()
        for _ in range(3):
            await client.create_topic("t", 3, SMALL_SEGMENTS)
            await pipeline(client, "t", 8, 300)
            assert await received(client, 8) == [(0, offset) for offset in range(8)]
            partition = DeleteRecordsPartition(partition_index=0, offset=7)
            topics = [DeleteRecordsTopic(name="t", partitions=[partition])]
            deleted = await client.ask(DeleteRecordsRequest(topics=topics, timeout_ms=1000), 2, DeleteRecordsResponse)
            assert deleted.topics[0].partitions[0].low_watermark == 7
            request = DeleteTopicsRequest(topics=[DeleteTopicState(name="t", topic_id=UUID(int=0))], timeout_ms=1000)
            assert (await client.ask(request, 6, DeleteTopicsResponse)).responses[0].error_code == 0


async def test_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known of producers is on the disk before a checkpoint says so, and nobody waits for it."""
    settings = {"log_flush_offset_checkpoint_interval_ms": "10"}
    async with watched(tmp_path, monkeypatch, **settings) as (serving, syncs):
        client = await serving.connect()
        await client.create_topic("t", 1, {"flush.ms": "1"})
        producer_id = await new_producer_id(client)
        syncs.gate.clear()
        for sequence in range(10):
            assert await idempotent(client, producer_id, sequence, "v") == (0, sequence)
        syncs.gate.set()
        await until(lambda: point_on_disk(tmp_path, "t") == 10)


async def test_retention_that_closes_the_only_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log of which nothing may be kept rolls for the first time, and its segment goes."""
    async with watched(tmp_path, monkeypatch) as (serving, _):
        client = await serving.connect()
        await client.create_topic("t", 1, SMALL_SEGMENTS)
        assert (await client.produce("t", "v")).error_code == 0
        log = log_of(serving, "t")
        await client.alter_config(TOPIC, "t", "retention.ms", "0")
        await until(lambda: log.segments.first_base_offset == 1)


async def test_commits_that_roll_the_offsets_topic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group waits for no disk: its journal rolls a little later, when a worker has done what that takes."""
    async with watched(tmp_path, monkeypatch) as (serving, syncs):
        client = await serving.connect()
        await client.create_topic("t")
        assert await commit_offset(client, "g", "t", 0) == 0
        await client.alter_config(TOPIC, CONSUMER_OFFSETS, "internal.segment.bytes", str(SEGMENT_BYTES))
        log = log_of(serving, CONSUMER_OFFSETS, partition_for("g", 50))
        syncs.gate.clear()
        for offset in range(1, 20):
            assert await commit_offset(client, "g", "t", offset) == 0
        assert log.segments.active.base_offset == 0
        assert log.size_bytes > SEGMENT_BYTES
        syncs.gate.set()
        await until(lambda: not log.must_flush_soon)
        assert await commit_offset(client, "g", "t", 20) == 0
        assert log.segments.active.base_offset > 0
        assert await committed_offset(client, "g", "t") == 20
