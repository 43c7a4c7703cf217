"""What has to be on the disk before it is answered is; who does not wait for that is served meanwhile."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from kpy.cluster.image import ResourceType
from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.create_topics import CreatableTopic, CreateTopicsRequest, CreateTopicsResponse
from kpy.protocol.messages.fetch import FetchResponse
from kpy.protocol.messages.fetch import PartitionData as FetchPartitionData
from kpy.protocol.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from kpy.server.flushing import FLUSH_RETRY_MS, Flusher
from kpy.server.timers import Timers
from kpy.server.workers import inline
from kpy.storage.disk_files import DiskFiles
from kpy.storage.log_directory import LogDirectory
from kpy.storage.partition_log import LogConfig, PartitionLog
from tests.server.client import (
    FETCH_VERSION,
    PRODUCE_VERSION,
    Client,
    Serving,
    commit_offset,
    fetch_request,
    make_broker,
    produce_request,
    running,
)
from tests.server.failing_files import Disk, FailingFiles
from tests.server.test_restart import idempotent, new_producer_id
from tests.storage.batches import NOW_MS, batch

T = TypeVar("T")

STORAGE_ERROR = ErrorCode.KAFKA_STORAGE_ERROR
EACH = {"flush.messages": "1"}


@pytest.fixture
async def serving(tmp_path: Path, disk: Disk) -> AsyncIterator[Serving]:
    """A broker with the topics t, flushed for each record, and lazy, on a disk whose syncs can be held up."""
    async with running(make_broker(tmp_path)) as serving:
        client = await serving.connect()
        await client.create_topic("t", 1, EACH)
        await client.create_topic("lazy")
        yield serving
        disk.refuses = lambda operation, path: False
        disk.syncing.set()


class Answers:
    """What was answered to requests that were begun, in the order of the answers."""

    def __init__(self) -> None:
        self.codes: list[int] = []

    async def of(self, ask: Callable[[], Awaitable[int]]) -> None:
        self.codes.append(await ask())


@asynccontextmanager
async def held_up(disk: Disk) -> AsyncIterator[trio.Nursery]:
    """No sync ends within the block; at the end of it, all that was started in the nursery does."""
    disk.syncing.clear()
    async with trio.open_nursery() as nursery:
        try:
            yield nursery
        finally:
            disk.syncing.set()


async def produced(client: Client, topic: str = "t", acks: int = -1) -> int:
    return (await client.produce(topic, "v", acks=acks)).error_code


async def until(condition: Callable[[], bool]) -> None:
    """Threads are at work: look again until it is so."""
    with trio.fail_after(10):
        while not condition():
            await trio.lowlevel.checkpoint()


def syncs_of(disk: Disk, topic: str) -> int:
    return sum(f"{topic}-0" in path for path in disk.synced)


@pytest.mark.parametrize("acks", [1, -1])
async def test_an_answer_waits_for_the_disk_and_nobody_else_does(serving: Serving, disk: Disk, acks: int) -> None:
    """flush.messages=1: the batch is synced before it is answered; other connections go on."""
    writer, other = await serving.connect(), await serving.connect()
    answers = Answers()
    async with held_up(disk) as nursery:
        nursery.start_soon(answers.of, lambda: produced(writer, acks=acks))
        await until(lambda: syncs_of(disk, "t") == 1)
        for _ in range(3):
            assert await produced(other, "lazy") == 0
        assert answers.codes == []
    assert answers.codes == [0]
    assert serving.broker.services.partitions.find("t", 0).log.recovery_point == 1
    assert syncs_of(disk, "lazy") == 0


async def fetched(client: Client, *, max_wait_ms: int = 0) -> FetchPartitionData:
    response = await client.ask(fetch_request("t", max_wait_ms=max_wait_ms), FETCH_VERSION, FetchResponse)
    return response.responses[0].partitions[0]


async def test_what_is_not_on_the_disk_yet_is_not_read(serving: Serving, disk: Disk) -> None:
    """flush.messages holds the high watermark back (UnifiedLog.append flushes first), and then wakes readers."""
    writer, reader, parked = [await serving.connect() for _ in range(3)]
    partition = serving.broker.services.partitions.find("t", 0)
    records: list[bytes] = []

    async def wait_for_records() -> None:
        records.append(bytes((await fetched(parked, max_wait_ms=60_000)).records))

    async with held_up(disk) as nursery:
        nursery.start_soon(wait_for_records)
        await until(lambda: len(partition.waiters) == 1)
        nursery.start_soon(produced, writer)
        await until(lambda: syncs_of(disk, "t") == 1)
        data = await fetched(reader)
        assert (data.high_watermark, data.last_stable_offset, bytes(data.records)) == (0, 0, b"")
        assert partition.log.end_offset == 1
        assert records == []
    assert len(records) == 1
    data = await fetched(reader)
    assert (data.high_watermark, bytes(data.records)) == (1, records[0])


async def test_fewer_than_flush_messages_are_read_at_once(serving: Serving, disk: Disk) -> None:
    """The one that reaches the number waits, and those behind it wait with it."""
    client = await serving.connect()
    await client.create_topic("third", 1, {"flush.messages": "3"})
    partition = serving.broker.services.partitions.find("third", 0)
    async with held_up(disk) as nursery:
        for _ in range(2):
            await produced(client, "third")
        assert partition.high_watermark == 2
        for end_offset in (3, 4):
            nursery.start_soon(produced, await serving.connect(), "third")
            await until(lambda end_offset=end_offset: partition.log.end_offset == end_offset)
        assert partition.high_watermark == 2
    assert partition.high_watermark == 4


async def test_whose_producer_has_left_is_read_all_the_same(serving: Serving, disk: Disk) -> None:
    """It is flushed although nobody waits for the answer."""
    clients = [await serving.connect() for _ in range(2)]
    partition = serving.broker.services.partitions.find("t", 0)
    disk.syncing.clear()
    for number, client in enumerate(clients, 1):
        await client.send(produce_request("t", records=batch("v")), PRODUCE_VERSION)
        await until(lambda number=number: partition.log.end_offset == number)
    for client in clients:
        await client.stream.aclose()
    disk.syncing.set()
    await until(lambda: partition.high_watermark == 2)
    assert partition.log.recovery_point == 2


async def test_what_could_not_be_synced_is_not_read_before_it_is(serving: Serving, disk: Disk) -> None:
    """Its producer was refused; with the next that is taken, the disk has both."""
    client = await serving.connect()
    partition = serving.broker.services.partitions.find("t", 0)
    disk.refuses = lambda operation, path: operation == "sync" and "t-0" in path
    assert await produced(client) == STORAGE_ERROR
    assert (partition.high_watermark, partition.log.end_offset) == (0, 1)
    disk.refuses = lambda operation, path: False
    assert await produced(client) == 0
    assert partition.high_watermark == 2


async def test_who_comes_while_a_sync_runs_shares_the_next(serving: Serving, disk: Disk) -> None:
    """Group commit: five batches, two syncs."""
    clients = [await serving.connect() for _ in range(5)]
    log = serving.broker.services.partitions.find("t", 0).log
    answers = Answers()
    async with held_up(disk) as nursery:
        nursery.start_soon(answers.of, lambda: produced(clients[0]))
        await until(lambda: syncs_of(disk, "t") == 1)
        for client in clients[1:]:
            nursery.start_soon(answers.of, lambda client=client: produced(client))
        await until(lambda: log.end_offset == 5)
    assert answers.codes == [0] * 5
    assert syncs_of(disk, "t") == 2


async def test_a_sync_that_fails_is_told_to_those_who_waited_for_it(serving: Serving, disk: Disk) -> None:
    """The next one heals it, and covers what failed."""
    first, second = await serving.connect(), await serving.connect()
    log = serving.broker.services.partitions.find("t", 0).log
    answers = Answers()
    failures = 1

    def refuses(operation: str, path: str) -> bool:
        nonlocal failures
        failing = operation == "sync" and "t-0" in path and failures > 0
        failures -= failing
        return failing

    async with held_up(disk) as nursery:
        nursery.start_soon(answers.of, lambda: produced(first))
        await until(lambda: syncs_of(disk, "t") == 1)
        nursery.start_soon(answers.of, lambda: produced(second))
        await until(lambda: log.end_offset == 2)
        disk.refuses = refuses
    assert answers.codes == [STORAGE_ERROR, 0]
    assert log.recovery_point == 2


async def test_a_duplicate_waits_as_well(serving: Serving, disk: Disk) -> None:
    """What could not be synced is in the log; to send it again is not to have it on the disk."""
    client = await serving.connect()
    producer_id = await new_producer_id(client)
    disk.refuses = lambda operation, path: operation == "sync" and "t-0" in path
    for _ in range(2):
        assert (await idempotent(client, producer_id, 0, "v"))[0] == STORAGE_ERROR
    disk.refuses = lambda operation, path: False
    assert await idempotent(client, producer_id, 0, "v") == (0, 0)
    assert serving.broker.services.partitions.find("t", 0).log.recovery_point == 1


async def test_without_acks_a_failed_sync_ends_the_connection(serving: Serving, disk: Disk) -> None:
    """It is all that the client can notice."""
    client = await serving.connect()
    disk.refuses = lambda operation, path: operation == "sync" and "t-0" in path
    await client.send(produce_request("t", "v", acks=0), 9)
    assert await client.is_closed()


async def test_a_producer_that_leaves_takes_no_sync_with_it(serving: Serving, disk: Disk) -> None:
    """Who waits for the same log is answered."""
    leaving, staying = await serving.connect(), await serving.connect()
    log = serving.broker.services.partitions.find("t", 0).log
    answers = Answers()
    async with held_up(disk) as nursery:
        await leaving.send(produce_request("t", "v"), 9)
        await until(lambda: syncs_of(disk, "t") == 1)
        nursery.start_soon(answers.of, lambda: produced(staying))
        await until(lambda: log.end_offset == 2)
        await leaving.stream.aclose()
    assert answers.codes == [0]


async def test_flush_messages_counts_over_requests(serving: Serving, disk: Disk) -> None:
    """Only the request whose records reach the number waits."""
    client = await serving.connect()
    await client.create_topic("third", 1, {"flush.messages": "3"})
    for expected in (0, 0, 1, 1, 1, 2):
        assert await produced(client, "third") == 0
        assert syncs_of(disk, "third") == expected


async def test_a_new_topic_is_on_the_disk_when_it_is_answered(serving: Serving, disk: Disk) -> None:
    """Nor is a producer id of an unsynced block given to anyone; what tells of no change is answered meanwhile."""
    creating, asking, other = [await serving.connect() for _ in range(3)]
    topic = CreatableTopic(name="new", num_partitions=1, replication_factor=1, assignments=[], configs=[])
    answers = Answers()

    async def create() -> int:
        created = await creating.ask(CreateTopicsRequest(topics=[topic]), 7, CreateTopicsResponse)
        return created.topics[0].error_code

    async def ask_id() -> int:
        request = InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=0)
        return (await asking.ask(request, 4, InitProducerIdResponse)).error_code

    before = syncs_of(disk, "__cluster_metadata")
    async with held_up(disk) as nursery:
        nursery.start_soon(answers.of, create)
        await until(lambda: syncs_of(disk, "__cluster_metadata") == before + 1)
        nursery.start_soon(answers.of, ask_id)
        assert await produced(other, "lazy") == 0
        assert answers.codes == []
    assert answers.codes == [0, 0]
    assert not serving.broker.services.cluster.must_flush


async def test_a_change_that_cannot_be_synced_is_not_answered(
    serving: Serving, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    """The connection is closed, others are served, and it is as it was asked for once the disk takes it."""
    client, other = await serving.connect(), await serving.connect()
    disk.refuses = lambda operation, path: operation == "sync" and "__cluster_metadata" in path
    topic = CreatableTopic(name="new", num_partitions=1, replication_factor=1, assignments=[], configs=[])
    await client.send(CreateTopicsRequest(topics=[topic]), 7)
    assert await client.is_closed()
    assert await produced(other, "lazy") == 0
    disk.refuses = lambda operation, path: False
    again = await serving.connect()
    created = await again.ask(CreateTopicsRequest(topics=[topic]), 7, CreateTopicsResponse)
    assert created.topics[0].error_code == ErrorCode.TOPIC_ALREADY_EXISTS
    assert await produced(again, "new") == 0
    assert "Traceback" not in caplog.text


async def test_a_committed_offset_waits_if_the_broker_flushes_everything(tmp_path: Path, disk: Disk) -> None:
    """log.flush.interval.messages holds for __consumer_offsets too."""
    async with running(make_broker(tmp_path, log_flush_interval_messages="1")) as serving:
        client = await serving.connect()
        await client.create_topic("t")
        assert await commit_offset(client, "g", "t", 1) == 0
        answers = Answers()
        before = len(disk.synced)
        async with held_up(disk) as nursery:
            nursery.start_soon(answers.of, lambda: commit_offset(client, "g", "t", 2))
            await until(lambda: len(disk.synced) == before + 1)
            assert answers.codes == []
        assert answers.codes == [0]
        disk.refuses = lambda operation, path: operation == "sync" and "__consumer_offsets" in path
        assert await commit_offset(client, "g", "t", 3) != 0
        disk.refuses = lambda operation, path: False
        assert await commit_offset(client, "g", "t", 4) == 0


async def test_in_memory_there_is_nothing_to_wait_for() -> None:
    """Not for flush.messages, not for topics."""
    async with running(make_broker()) as serving:
        client = await serving.connect()
        await client.create_topic("t", 1, EACH)
        assert await produced(client) == 0


# --- flush.ms, on a virtual clock


@pytest.fixture
def timed(tmp_path: Path, disk: Disk) -> PartitionLog:
    config = LogConfig(flush_ms=500)
    return LogDirectory.open(FailingFiles(tmp_path)).create("t", 0, UUID(int=7), config)


@asynccontextmanager
async def flushing(*, is_durable: bool = True) -> AsyncIterator[Flusher]:
    timers = Timers()
    flusher = Flusher(inline, timers, is_durable=is_durable)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(timers.run)
        nursery.start_soon(flusher.run)
        yield flusher
        nursery.cancel_scope.cancel()


def append(log: PartitionLog, flusher: Flusher) -> None:
    log.append(batch("v"), leader_epoch=0, now_ms=NOW_MS)
    flusher.appended(log)


async def test_a_log_is_flushed_in_its_time(timed: PartitionLog, autojump_clock: MockClock) -> None:
    """flush.ms counts from the first record that is not on the disk, and a log without news is left alone."""
    async with flushing() as flusher:
        append(timed, flusher)
        await trio.sleep(0.4)
        append(timed, flusher)
        assert timed.recovery_point == 0
        await trio.sleep(0.2)
        assert timed.recovery_point == 2
        append(timed, flusher)
        await trio.sleep(0.4)
        assert timed.recovery_point == 2
        await trio.sleep(0.2)
        assert timed.recovery_point == 3


async def test_a_log_is_flushed_in_its_new_time(timed: PartitionLog, autojump_clock: MockClock) -> None:
    """Where flush.ms is altered, what is not on the disk waits for so long at most, whatever was to be before."""
    async with flushing() as flusher:
        for before_ms in (LogConfig().flush_ms, 3600_000):
            timed.config = LogConfig(flush_ms=before_ms)
            append(timed, flusher)
            await trio.sleep(1)
            assert timed.recovery_point < timed.end_offset
            timed.config = LogConfig(flush_ms=500)
            flusher.altered(timed)
            await trio.sleep(0.6)
            assert timed.recovery_point == timed.end_offset


async def test_a_log_that_could_not_be_flushed_is_flushed_later(
    timed: PartitionLog, disk: Disk, autojump_clock: MockClock
) -> None:
    """Though nothing more is written to it."""
    async with flushing() as flusher:
        disk.refuses = lambda operation, path: operation == "sync"
        append(timed, flusher)
        await trio.sleep(0.6)
        assert timed.recovery_point == 0
        disk.refuses = lambda operation, path: False
        await trio.sleep(FLUSH_RETRY_MS / 1000 + 0.1)
        assert timed.recovery_point == 1


async def test_a_deleted_log_is_not_flushed_again_and_again(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Its directory has another name by then: what cannot be flushed never can be, and nobody waits for it."""
    logs = LogDirectory.open(DiskFiles(tmp_path))
    log = logs.create("t", 0, UUID(int=7), LogConfig(flush_ms=500))
    logs.context.remove_later = lambda paths, delay_ms: None
    calls: list[float] = []

    async def counting(function: Callable[[], T]) -> T:
        calls.append(trio.current_time())
        return function()

    timers = Timers()
    flusher = Flusher(counting, timers, is_durable=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(timers.run)
        nursery.start_soon(flusher.run)
        append(log, flusher)
        logs.delete("t", 0)
        await trio.sleep(3600)
        nursery.cancel_scope.cancel()
    assert calls == [0.5]


async def test_a_log_without_a_time_or_a_disk_is_not_flushed(timed: PartitionLog, autojump_clock: MockClock) -> None:
    """That is the default: the kernel writes when it likes."""
    async with flushing() as flusher:
        timed.config = LogConfig()
        append(timed, flusher)
        await trio.sleep(3600)
        assert timed.recovery_point == 0
    async with flushing(is_durable=False) as flusher:
        timed.config = LogConfig(flush_ms=500)
        append(timed, flusher)
        await trio.sleep(3600)
        assert timed.recovery_point == 0


async def test_altering_flush_ms(serving: Serving) -> None:
    """It holds for what was appended before, too."""
    client = await serving.connect()
    assert await produced(client, "lazy") == 0
    await client.alter_config(ResourceType.TOPIC, "lazy", "flush.ms", "1")
    log = serving.broker.services.partitions.find("lazy", 0).log
    await until(lambda: log.recovery_point == 1)


@pytest.mark.parametrize("setting", ["log_flush_interval_ms", "log_flush_scheduler_interval_ms"])
async def test_the_broker_has_a_time_for_all_logs(tmp_path: Path, disk: Disk, setting: str) -> None:
    """No request waits for it."""
    async with running(make_broker(tmp_path, **{setting: "1"})) as serving:
        client = await serving.connect()
        await client.create_topic("t")
        assert await produced(client) == 0
        log = serving.broker.services.partitions.find("t", 0).log
        await until(lambda: log.recovery_point == 1)


async def test_who_waits_for_a_cancelled_sync_makes_another(timed: PartitionLog, autojump_clock: MockClock) -> None:
    """A worker that is never free holds up the one who waits for it, and nobody after it is gone."""
    free = trio.Event()

    async def busy(function: Callable[[], None]) -> None:
        await free.wait()
        function()

    flusher = Flusher(busy, Timers(), is_durable=True)
    append(timed, flusher)
    async with trio.open_nursery() as nursery:
        given_up = trio.CancelScope()

        async def give_up() -> None:
            with given_up:
                await flusher.flush(timed)

        nursery.start_soon(give_up)
        await wait_all_tasks_blocked()
        nursery.start_soon(flusher.flush, timed)
        await wait_all_tasks_blocked()
        given_up.cancel()
        await wait_all_tasks_blocked()
        free.set()
    assert timed.recovery_point == 1


async def test_a_first_segment_that_is_half_full_is_flushed(tmp_path: Path, disk: Disk) -> None:
    """So the names that the first roll needs are on the disk in time, and no producer waits for them."""
    synced: list[str] = []

    def note(operation: str, path: str) -> bool:
        if operation == "sync":
            synced.append(path)
        return False

    async with running(make_broker(tmp_path)) as serving:
        client = await serving.connect()
        await client.create_topic("t", 1, {"internal.segment.bytes": "1000"})
        log = serving.broker.services.partitions.find("t", 0).log
        disk.refuses = note
        while log.segments.active.base_offset == 0:
            synced.clear()
            assert (await client.produce("t", "v" * 20)).error_code == 0
            await until(lambda: not log.must_flush_soon)
        assert "t-0" not in synced[:1]
        disk.refuses = lambda operation, path: False


async def test_a_log_that_rolls_is_flushed(tmp_path: Path, disk: Disk) -> None:
    """Nobody waits for it but for the first roll, and what rolls while a sync goes on is flushed after it."""
    async with running(make_broker(tmp_path)) as serving:
        client = await serving.connect()
        await client.create_topic("t", 1, {"internal.segment.bytes": "200"})
        log = serving.broker.services.partitions.find("t", 0).log
        while log.segments.active.base_offset == 0:
            assert (await client.produce("t", "first" * 20)).error_code == 0
        async with held_up(disk):
            for number in range(8):
                assert (await client.produce("t", f"{number}" * 20)).error_code == 0
            assert log.recovery_point < log.segments.active.base_offset
        await until(lambda: log.recovery_point >= log.segments.active.base_offset)
