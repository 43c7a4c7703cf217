"""Old data is deleted in time, at once when a topic is altered, and its files a while later."""

import logging
import threading
from pathlib import Path
from uuid import UUID

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.delete_topics import DeleteTopicsRequest, DeleteTopicsResponse, DeleteTopicState
from kpy.protocol.messages.fetch import FetchResponse, PartitionData
from kpy.server.file_removal import FileRemoval
from kpy.server.workers import Workers
from kpy.storage.memory_files import MemoryFiles
from tests.server.client import FETCH_VERSION, Client, fetch_request, make_broker, running
from tests.server.failing_files import Disk
from tests.server.test_flushing import until

KEEPS_ALL = {"retention.ms": "-1", "internal.segment.bytes": "100"}
TOPIC, BROKER = 2, 4
LONG_MS = 15_000


async def fetch(client: Client, topic: str, offset: int) -> PartitionData:
    response = await client.ask(fetch_request(topic, offset=offset), FETCH_VERSION, FetchResponse)
    return response.responses[0].partitions[0]


async def topic_of_three_segments(client: Client, name: str) -> None:
    await client.create_topic(name, configs=KEEPS_ALL)
    for value in ("a", "b", "c"):
        await client.produce(name, value)


async def test_altering_a_topic_starts_a_check_at_once() -> None:
    """What the new setting does not keep is gone; a fetch that waits there learns it; other topics are left alone."""
    async with running(make_broker()) as serving:
        client, waiting = await serving.connect(), await serving.connect()
        for name in ("one", "other"):
            await topic_of_three_segments(client, name)
        await waiting.send(fetch_request("one", max_wait_ms=LONG_MS, min_bytes=1 << 20), FETCH_VERSION)
        await client.alter_config(TOPIC, "one", "retention.ms", "1000")
        answer = await waiting.receive(type(fetch_request("one")), FETCH_VERSION)

        assert isinstance(answer, FetchResponse)
        assert answer.responses[0].partitions[0].error_code == ErrorCode.OFFSET_OUT_OF_RANGE
        assert (await fetch(client, "one", 3)).log_start_offset == 3
        assert (await fetch(client, "other", 0)).log_start_offset == 0


async def test_altering_the_broker_starts_a_check_of_all() -> None:
    """The broker's options are the defaults of its topics."""
    async with running(make_broker()) as serving:
        client = await serving.connect()
        await client.create_topic("t", configs={"internal.segment.bytes": "100", "retention.ms": "-1"})
        for value in ("a", "b", "c"):
            await client.produce("t", value)
        await client.alter_config(BROKER, "", "log.retention.bytes", "70")
        await wait_all_tasks_blocked()

        assert (await fetch(client, "t", 3)).log_start_offset == 2


async def test_all_logs_are_checked_in_time() -> None:
    """Data that grows too old is deleted at the next check, with nobody doing anything."""
    broker = make_broker(log_initial_task_delay_ms="50", log_retention_check_interval_ms="50")
    async with running(broker) as serving:
        client, waiting = await serving.connect(), await serving.connect()
        await client.create_topic("t", configs={"retention.ms": "0", "message.timestamp.type": "LogAppendTime"})
        await client.produce("t", "a")
        await waiting.send(fetch_request("t", max_wait_ms=LONG_MS, min_bytes=1 << 20), FETCH_VERSION)
        answer = await waiting.receive(type(fetch_request("t")), FETCH_VERSION)

        assert isinstance(answer, FetchResponse)
        assert answer.responses[0].partitions[0].error_code == ErrorCode.OFFSET_OUT_OF_RANGE


async def test_what_is_old_at_the_start_waits_for_the_first_check(tmp_path: Path) -> None:
    """A broker that was off for a week has its data when it starts, until `log.initial.task.delay.ms` has passed."""
    async with running(make_broker(tmp_path)) as serving:
        client = await serving.connect()
        await client.create_topic("t", configs={"retention.ms": "1000000000000"})
        await client.produce("t", "a")
        await client.alter_config(BROKER, "", "log.retention.ms", "5")
    async with running(make_broker(tmp_path)) as serving:
        client = await serving.connect()
        await wait_all_tasks_blocked()

        assert (await fetch(client, "t", 0)).log_start_offset == 0


async def test_deleted_files_stay_a_while(tmp_path: Path) -> None:
    """On the disk a deleted segment has another name until its time is up; the next start removes what is left."""

    def names() -> list[str]:
        return sorted(path.name for path in (tmp_path / "t-0").glob("*.log*"))

    async with running(make_broker(tmp_path)) as serving:
        client = await serving.connect()
        await topic_of_three_segments(client, "t")
        await client.alter_config(TOPIC, "t", "retention.bytes", "70")
        left = ["00000000000000000000.log.deleted", "00000000000000000001.log.deleted", "00000000000000000002.log"]
        await until(lambda: names() == left)
    async with running(make_broker(tmp_path)) as serving:
        assert (await fetch(await serving.connect(), "t", 2)).log_start_offset == 2
        assert names() == ["00000000000000000002.log"]


async def test_cold_segments_hold_nobody_up(tmp_path: Path, disk: Disk) -> None:
    """After a start, a worker reads how old they are, nobody else does, and others are served meanwhile."""
    async with running(make_broker(tmp_path)) as serving:
        client = await serving.connect()
        await topic_of_three_segments(client, "t")
        await client.create_topic("other")
    async with running(make_broker(tmp_path)) as serving:
        client, other = await serving.connect(), await serving.connect()
        assert (await fetch(client, "t", 3)).log_start_offset == 0
        reading, may_read = threading.Event(), threading.Event()
        readers: set[threading.Thread] = set()

        def refuses(operation: str, path: str) -> bool:
            if "t-0/" in path and operation in {"read", "read whole"}:
                readers.add(threading.current_thread())
                reading.set()
                may_read.wait(timeout=10)
            return False

        disk.refuses = refuses
        try:
            await client.alter_config(TOPIC, "t", "retention.ms", "1000")
            await until(reading.is_set)
            for _ in range(3):
                assert (await other.produce("other", "v")).error_code == ErrorCode.NONE
            assert (await fetch(client, "t", 3)).log_start_offset == 0
        finally:
            may_read.set()
        log = serving.broker.services.partitions.find("t", 0).log
        await until(lambda: log.log_start_offset == 3)

        assert threading.current_thread() not in readers


async def test_a_topic_that_is_deleted_while_its_age_is_read(
    tmp_path: Path, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is said of it, and nothing is made anew in its place."""
    async with running(make_broker(tmp_path)) as serving:
        await topic_of_three_segments(await serving.connect(), "t")
    async with running(make_broker(tmp_path)) as serving:
        client = await serving.connect()
        await fetch(client, "t", 3)
        reading, may_read = threading.Event(), threading.Event()

        def refuses(operation: str, path: str) -> bool:
            if "t-0/" in path and operation == "read whole":
                reading.set()
                may_read.wait(timeout=10)
                return True
            return False

        disk.refuses = refuses
        try:
            await client.alter_config(TOPIC, "t", "retention.ms", "1000")
            await until(reading.is_set)
            request = DeleteTopicsRequest(topics=[DeleteTopicState(name="t", topic_id=UUID(int=0))], timeout_ms=1000)
            await client.ask(request, 6, DeleteTopicsResponse)
        finally:
            may_read.set()
        await wait_all_tasks_blocked()

        assert not (tmp_path / "t-0").exists()
        assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_deleted_files_go(tmp_path: Path) -> None:
    """Of segments and of topics, when `file.delete.delay.ms` of the topic has passed, while the broker runs."""

    def names(directory: Path) -> list[str]:
        return sorted(path.name for path in directory.glob("*.log*"))

    async with running(make_broker(tmp_path)) as serving:
        client = await serving.connect()
        for name in ("t", "doomed"):
            await client.create_topic(name, configs={**KEEPS_ALL, "file.delete.delay.ms": "1"})
            for value in ("a", "b", "c"):
                await client.produce(name, value)
        await client.alter_config(TOPIC, "t", "retention.bytes", "70")
        await until(lambda: names(tmp_path / "t-0") == ["00000000000000000002.log"])
        request = DeleteTopicsRequest(topics=[DeleteTopicState(name="doomed", topic_id=UUID(int=0))], timeout_ms=1000)
        await client.ask(request, 6, DeleteTopicsResponse)
        await until(lambda: not list(tmp_path.glob("doomed*")))


class Announcing(MemoryFiles):
    """Says from its worker thread what is removed, and when."""

    __slots__ = ("removed", "times")

    def __init__(self) -> None:
        super().__init__()
        self.removed: list[str] = []
        self.times: list[float] = []

    def remove(self, path: str) -> None:
        trio.from_thread.run_sync(self._note, path)

    def remove_directory(self, path: str) -> None:
        trio.from_thread.run_sync(self._note, path)

    def _note(self, path: str) -> None:
        self.removed.append(path)
        self.times.append(trio.current_time())


async def test_files_are_removed_when_their_time_is_up(mock_clock: MockClock) -> None:
    """In the order of their times, whatever the order they came in; directories, too."""
    files = Announcing()
    removal = FileRemoval(files, Workers(1))
    async with trio.open_nursery() as nursery:
        removal.later(["t-0/late.deleted"], 60_000)
        nursery.start_soon(removal.run)
        await wait_all_tasks_blocked()
        removal.later(["t-0/soon.deleted", "gone-0.x-delete"], 1000)
        mock_clock.jump(0.999)
        await wait_all_tasks_blocked()
        assert files.removed == []
        mock_clock.jump(0.001)
        while len(files.removed) < 2:
            await trio.lowlevel.checkpoint()
        mock_clock.jump(59)
        while len(files.removed) < 3:
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()

    assert files.removed == ["t-0/soon.deleted", "gone-0.x-delete", "t-0/late.deleted"]
