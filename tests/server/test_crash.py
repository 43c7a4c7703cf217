"""Wherever a broker's process ends, the next one has all that was answered.

A program of one client runs on a disk that freezes at its n-th change, which it does by half or not at all; whatever
the broker answers after that is an error. The next broker finds what the disk has.
"""

from pathlib import Path
from uuid import UUID

import pytest

from kpy.protocol.messages.create_topics import CreatableTopic, CreateTopicsRequest, CreateTopicsResponse
from kpy.protocol.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopic,
)
from kpy.protocol.messages.delete_topics import DeleteTopicsRequest, DeleteTopicsResponse, DeleteTopicState
from kpy.server.broker import Broker, ShutdownError, StartupError
from tests.server.client import Client, commit_offset, committed_offset, make_broker, running
from tests.server.failing_files import CHANGES, Disk
from tests.server.test_restart import idempotent, new_producer_id, topic_of, values

FREEZES_EVERY = 3
"""Each third change, in turn with a tear and without."""

NO_ID = UUID(int=0)


def small_broker(directory: Path) -> Broker:
    return make_broker(directory, offsets_topic_num_partitions="2", log_index_interval_bytes="0")


class Answered:
    """What the broker has said that it did."""

    def __init__(self) -> None:
        self.topic_id: UUID | None = None
        self.producer_ids: list[int] = []
        self.stored: dict[int, str] = {}
        self.committed = -1
        self.log_start = 0
        self.old_is_deleted = False
        self.new_is_stored = False


async def program(client: Client, answered: Answered) -> None:
    """Create, produce, commit, delete records, delete a topic and make it again, produce and commit more."""
    topic = CreatableTopic(name="t", num_partitions=1, replication_factor=1, assignments=[], configs=[])
    created = (await client.ask(CreateTopicsRequest(topics=[topic]), 7, CreateTopicsResponse)).topics[0]
    answered.topic_id = None if created.error_code else created.topic_id
    await client.create_topic("old")
    answered.producer_ids.append(await new_producer_id(client))
    await produce(client, answered, 3)
    await client.produce("old", "old")
    await commit(client, answered, 2)
    asked = DeleteRecordsPartition(partition_index=0, offset=1)
    delete = DeleteRecordsRequest(topics=[DeleteRecordsTopic(name="t", partitions=[asked])], timeout_ms=1000)
    partition = (await client.ask(delete, 2, DeleteRecordsResponse)).topics[0].partitions[0]
    answered.log_start = 0 if partition.error_code else 1
    doomed = DeleteTopicsRequest(topics=[DeleteTopicState(name="old", topic_id=NO_ID)], timeout_ms=1000)
    deleted = await client.ask(doomed, 6, DeleteTopicsResponse)
    answered.old_is_deleted = not deleted.responses[0].error_code
    await client.create_topic("old")
    answered.new_is_stored = not (await client.produce("old", "new")).error_code
    answered.producer_ids.append(await new_producer_id(client))
    await produce(client, answered, 2)
    await commit(client, answered, 4)


async def produce(client: Client, answered: Answered, count: int) -> None:
    """With the first producer id, a record at a time, until one fails."""
    for _ in range(count):
        value = f"{len(answered.stored)}"
        error, offset = await idempotent(client, answered.producer_ids[0], len(answered.stored), value)
        if error:
            return
        answered.stored[offset] = value


async def commit(client: Client, answered: Answered, offset: int) -> None:
    if not await commit_offset(client, "g", "t", offset):
        answered.committed = offset


async def check(client: Client, answered: Answered) -> None:
    """What was answered is there; what was not may be there, whole."""
    assert await new_producer_id(client) not in answered.producer_ids
    if answered.topic_id is not None:
        assert (await topic_of(client, "t"))[1] == answered.topic_id
    if answered.stored:
        found = await values(client, "t", 1)
        assert found[: len(answered.stored) - 1] == [value.encode() for value in list(answered.stored.values())[1:]]
        last = max(answered.stored)
        again = await idempotent(client, answered.producer_ids[0], last, answered.stored[last])
        assert again == (0, last)
        assert (await idempotent(client, answered.producer_ids[0], last + 1, "more"))[0] == 0
    assert await committed_offset(client, "g", "t") >= answered.committed
    if answered.old_is_deleted and not (await topic_of(client, "old"))[0]:
        assert b"old" not in await values(client, "old")
    if answered.new_is_stored:
        assert await values(client, "old") == [b"new"]
    await client.create_topic("after")
    assert not (await client.produce("after", "v")).error_code


def freeze_after(disk: Disk, changes: int) -> None:
    left = changes

    def refuses(operation: str, path: str) -> bool:
        nonlocal left
        left -= operation in CHANGES and left > 0
        return left == 0 and operation in CHANGES

    disk.refuses = refuses


async def run_until_frozen(broker: Broker, answered: Answered) -> bool:
    """Whether the disk froze before the broker had stopped in order."""
    frozen = False
    try:
        async with running(broker) as serving:
            await program(await serving.connect(), answered)
    except* (StartupError, ShutdownError):
        frozen = True
    return frozen


@pytest.mark.parametrize("tears", [True, False])
async def test_what_was_answered_is_there_after_a_crash_at_any_change(tmp_path: Path, disk: Disk, tears: bool) -> None:
    """Topics, records, producers, committed offsets, log starts, deletions."""
    disk.tears = tears
    frozen = True
    for changes in range(1 + tears, 1000, FREEZES_EVERY):
        directory = tmp_path / str(changes)
        answered = Answered()
        freeze_after(disk, changes)
        frozen = await run_until_frozen(small_broker(directory), answered)
        disk.refuses = lambda operation, path: False
        async with running(small_broker(directory)) as serving:
            await check(await serving.connect(), answered)
        if not frozen:
            break
    assert not frozen
    assert answered.committed == 4
