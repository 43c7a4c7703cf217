"""Logs are compacted while clients are served: which, when, how fast, and what becomes of those that cannot be."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.delete_topics import DeleteTopicsRequest, DeleteTopicsResponse, DeleteTopicState
from kpy.protocol.records import (
    TRANSACTIONAL,
    ControlType,
    EndTransactionMarker,
    build_batch,
    build_control_batch,
    read_batches,
)
from kpy.server.broker import Broker
from kpy.server.log_cleaner import LogCleaner, Throttle
from kpy.server.partitions import Partition
from kpy.storage.checkpoints import RECOVERY_POINT, decode_offsets
from kpy.storage.compaction import Compaction
from kpy.storage.derived import Derived
from kpy.storage.producer_states import AppendOrigin
from kpy.storage.segment import Segment
from tests.server.client import (
    FETCH_VERSION,
    PRODUCE_VERSION,
    Client,
    Serving,
    commit_offset,
    committed_offset,
    fetch_request,
    make_broker,
    produce_request,
    running,
)
from tests.server.failing_files import Disk
from tests.server.test_retention import TOPIC, fetch

COMPACTED = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.01", "internal.segment.bytes": "300"}
NO_ID = UUID(int=0)


def quick_broker(directory: Path | None = None, **settings: str) -> Broker:
    settings.setdefault("log_cleaner_backoff_ms", "10")
    return make_broker(directory, **settings)


async def produce(client: Client, topic: str, *records: tuple[str, str]) -> None:
    """Each record as a batch of its own."""
    for key, value in records:
        batch = build_batch([(key.encode(), value.encode())], timestamp=1_700_000_000_000)
        request = produce_request(topic, records=batch)
        await client.send(request, PRODUCE_VERSION)
        await client.receive(type(request), PRODUCE_VERSION)


def partition_of(serving: Serving, topic: str) -> Partition:
    return serving.broker.services.partitions.find(topic, 0)


def records_of(serving: Serving, topic: str) -> list[tuple[int, bytes | None]]:
    return [(record.offset, record.value) for found in partition_of(serving, topic).log.batches(0) for record in found]


async def compacted_to(serving: Serving, topic: str, offset: int) -> None:
    """Return when the log has been compacted up to that offset."""
    logs = serving.broker.services.partitions.logs
    while (logs.cleaner_offset(topic, 0) or 0) < offset:
        await trio.lowlevel.checkpoint()


RECORDS = [(f"{number % 3}", f"{number}" * 20) for number in range(20)]


@pytest.mark.parametrize("on_disk", [False, True])
async def test_a_compacted_topic(tmp_path: Path, on_disk: bool) -> None:
    """Of each key the last record stays; offsets and what is fetched fit; it is noted how far the log is clean."""
    directory = tmp_path if on_disk else None
    async with running(quick_broker(directory)) as serving:
        client = await serving.connect()
        await client.create_topic("t", configs=COMPACTED)
        await produce(client, "t", *RECORDS)
        bound = partition_of(serving, "t").log.segments.base_offsets[-1]
        await compacted_to(serving, "t", bound)
        kept = records_of(serving, "t")
        fetched = await fetch(client, "t", 0)

        assert [offset for offset, _ in kept] == list(range(bound - 3, 20))
        assert fetched.error_code == ErrorCode.NONE
        assert next(read_batches(bytes(fetched.records or b""))).header.base_offset == bound - 3
        assert fetched.log_start_offset == 0
    if on_disk:
        assert (tmp_path / "cleaner-offset-checkpoint").read_text() == f"0\n1\nt 0 {bound}\n"
        async with running(quick_broker(tmp_path, log_cleaner_enable="false")) as serving:
            assert records_of(serving, "t") == kept
            assert serving.broker.services.partitions.logs.cleaner_offset("t", 0) == bound


async def test_what_is_compacted_is_flushed_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next start knows it, too: behind the recovery point it would take missing offsets for a torn log."""
    points: list[tuple[int, int]] = []
    steps = Compaction.steps

    def noting(self: Compaction):  # type: ignore[no-untyped-def]
        known = decode_offsets((tmp_path / RECOVERY_POINT).read_bytes())
        points.append((known["t", 0], self._plan.first_uncleanable_offset))
        yield from steps(self)

    monkeypatch.setattr(Compaction, "steps", noting)
    async with running(quick_broker(tmp_path)) as serving:
        client = await serving.connect()
        await client.create_topic("t", configs=COMPACTED)
        await produce(client, "t", *RECORDS)
        await compacted_to(serving, "t", partition_of(serving, "t").log.segments.base_offsets[-1])
    assert points
    assert all(on_disk >= compacted for on_disk, compacted in points)


async def test_an_open_transaction_is_left_alone() -> None:
    """What is behind its first record is compacted when it has ended."""
    producer = {"producer_id": 5, "producer_epoch": 0}
    async with running(quick_broker(log_cleaner_backoff_ms="10000000")) as serving:
        client = await serving.connect()
        for name in ("t", "other"):
            await client.create_topic(name, configs={**COMPACTED, "cleanup.policy": "delete", "retention.ms": "-1"})
        log = partition_of(serving, "t").log
        begun = build_batch([(b"0", b"in it")], attributes=TRANSACTIONAL, base_sequence=0, timestamp=1, **producer)
        log.append(begun, leader_epoch=0, now_ms=1, transaction_verified=True)
        for name in ("t", "other"):
            await produce(client, name, *RECORDS)
            await client.alter_config(TOPIC, name, "cleanup.policy", "compact")
        await compacted_to(serving, "other", partition_of(serving, "other").log.segments.base_offsets[-1])
        await wait_all_tasks_blocked()
        assert len(records_of(serving, "t")) == 21
        marker = EndTransactionMarker(ControlType.COMMIT, coordinator_epoch=0).record()
        ended = build_control_batch(marker, timestamp=1, transactional=True, **producer)
        log.append(ended, leader_epoch=0, now_ms=1, origin=AppendOrigin.COORDINATOR)
        await produce(client, "t", ("roll", "x" * 200))
        await client.alter_config(TOPIC, "t", "min.cleanable.dirty.ratio", "0.001")
        await compacted_to(serving, "t", log.segments.base_offsets[-1])


async def test_altering_a_topic_starts_it_at_once() -> None:
    """A topic that becomes compacted does not wait for `log.cleaner.backoff.ms`."""
    async with running(quick_broker(log_cleaner_backoff_ms="10000000")) as serving:
        client = await serving.connect()
        await client.create_topic("t", configs={**COMPACTED, "cleanup.policy": "delete", "retention.ms": "-1"})
        await produce(client, "t", *RECORDS)
        await wait_all_tasks_blocked()
        assert len(records_of(serving, "t")) == 20
        await client.alter_config(TOPIC, "t", "cleanup.policy", "compact")
        await compacted_to(serving, "t", partition_of(serving, "t").log.segments.base_offsets[-1])
        assert len(records_of(serving, "t")) < 10


async def test_the_compaction_lags() -> None:
    """What is younger than min.compaction.lag.ms waits; what is older than max.compaction.lag.ms does not."""
    not_dirty_enough = {**COMPACTED, "min.cleanable.dirty.ratio": "1.0"}
    topics = {
        "young": {**COMPACTED, "min.compaction.lag.ms": f"{1 << 60}"},
        "not dirty": not_dirty_enough,
        "overdue": {**not_dirty_enough, "max.compaction.lag.ms": "1"},
    }
    async with running(quick_broker(log_cleaner_backoff_ms="10000000")) as serving:
        client = await serving.connect()
        for topic, configs in topics.items():
            name = topic.replace(" ", "-")
            await client.create_topic(name, configs={**configs, "cleanup.policy": "delete", "retention.ms": "-1"})
            await produce(client, name, *RECORDS)
        for name in ("young", "not-dirty", "overdue"):
            await client.alter_config(TOPIC, name, "cleanup.policy", "compact")
        await compacted_to(serving, "overdue", partition_of(serving, "overdue").log.segments.base_offsets[-1])
        await wait_all_tasks_blocked()
        assert [len(records_of(serving, name)) for name in ("young", "not-dirty")] == [20, 20]
        await client.alter_config(TOPIC, "young", "min.compaction.lag.ms", "0")
        await compacted_to(serving, "young", partition_of(serving, "young").log.segments.base_offsets[-1])


async def test_switched_off() -> None:
    """With `log.cleaner.enable=false` nothing is compacted."""
    async with running(quick_broker(log_cleaner_enable="false")) as serving:
        client = await serving.connect()
        await client.create_topic("t", configs=COMPACTED)
        await produce(client, "t", *RECORDS)
        await client.alter_config(TOPIC, "t", "min.cleanable.dirty.ratio", "0.001")
        await wait_all_tasks_blocked()
        assert len(records_of(serving, "t")) == 20


@pytest.mark.parametrize("lag_ms", ["0", "86400000"])
async def test_indexes_are_read_by_a_worker(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch, lag_ms: str
) -> None:
    """After a start, those of closed segments: to find out what is old enough, and what becomes one segment.

    What is old enough, their first batches tell, too.
    """
    async with running(quick_broker(tmp_path, log_cleaner_enable="false")) as serving:
        client = await serving.connect()
        await client.create_topic("t", configs={**COMPACTED, "min.compaction.lag.ms": lag_ms})
        await produce(client, "t", *RECORDS)
        bound = partition_of(serving, "t").log.segments.base_offsets[-1]
    in_worker = False
    read: list[bool] = []
    create, read_indexes = LogCleaner.__init__, Segment._read_indexes

    def creating(self: LogCleaner, *arguments: Any) -> None:
        create(self, *arguments)
        run = self._run_in_worker

        async def noted(function: Callable[[], Any]) -> Any:
            nonlocal in_worker
            in_worker = True
            try:
                return await run(function)
            finally:
                in_worker = False

        monkeypatch.setattr(self, "_run_in_worker", noted)

    def noting(segment: Segment) -> Derived:
        if segment.path("").startswith("t-0/") and segment.base_offset < bound:
            read.append(in_worker)
        return read_indexes(segment)

    monkeypatch.setattr(LogCleaner, "__init__", creating)
    monkeypatch.setattr(Segment, "_read_indexes", noting)
    disk.is_cold = lambda path: "t-0/" in path
    async with running(quick_broker(tmp_path)) as serving:
        await compacted_to(serving, "t", bound)
        assert read == [True] * len(read)
        assert len(read) > 3
        assert bool({position for _, position, _ in disk.brought} == {0}) == (lag_ms != "0")


async def test_committed_offsets_outlive_compaction(tmp_path: Path) -> None:
    """__consumer_offsets is compacted too, and a coordinator that loads it again knows what it knew."""
    settings = {"offsets_topic_num_partitions": "1", "log_cleaner_min_cleanable_ratio": "0.01"}
    async with running(quick_broker(tmp_path, **settings)) as serving:
        client = await serving.connect()
        await client.create_topic("t")
        for group in ("g", "h"):
            for offset in range(20):
                assert await commit_offset(client, group, "t", offset) == ErrorCode.NONE
        await client.alter_config(TOPIC, "__consumer_offsets", "internal.segment.bytes", "300")
        log = partition_of(serving, "__consumer_offsets").log
        while log.segments.active.base_offset == 0:  # it rolls when a worker has synced its names
            assert await commit_offset(client, "g", "t", 33) == ErrorCode.NONE
        await compacted_to(serving, "__consumer_offsets", log.segments.base_offsets[-1])
        assert len(records_of(serving, "__consumer_offsets")) == 3
    async with running(quick_broker(tmp_path)) as serving:
        client = await serving.connect()
        assert [await committed_offset(client, group, "t") for group in ("g", "h")] == [33, 19]


async def test_a_topic_that_is_deleted_meanwhile(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its round is given up, and nothing is said of it; another topic of that name is another log."""
    async with running(quick_broker(tmp_path, log_cleaner_io_max_bytes_per_second="2000")) as serving:
        client = await serving.connect()
        await client.create_topic("t", configs=COMPACTED)
        await produce(client, "t", *RECORDS)
        log = partition_of(serving, "t").log
        while not log.being_compacted:
            await trio.lowlevel.checkpoint()
        request = DeleteTopicsRequest(topics=[DeleteTopicState(name="t", topic_id=NO_ID)], timeout_ms=1000)
        deleted = await client.ask(request, 6, DeleteTopicsResponse)
        assert deleted.responses[0].error_code == ErrorCode.NONE
        await client.create_topic("t", configs=COMPACTED)
        await produce(client, "t", ("a", "1"))
        while log.being_compacted:
            await trio.lowlevel.checkpoint()
        assert records_of(serving, "t") == [(0, b"1")]
    assert not [record for record in caplog.records if "compacted" in record.getMessage()]


async def test_damage_sets_a_log_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is said once, the log is not tried again and again, and others are compacted."""
    async with running(quick_broker(tmp_path, log_cleaner_backoff_ms="1")) as serving:
        client = await serving.connect()
        for name in ("bad", "good"):
            await client.create_topic(name, configs={**COMPACTED, "cleanup.policy": "delete", "retention.ms": "-1"})
            await produce(client, name, *RECORDS)
        with (tmp_path / "bad-0" / "00000000000000000000.log").open("r+b") as file:
            file.seek(100)
            file.write(b"????")
        await client.alter_config(TOPIC, "bad", "cleanup.policy", "compact")
        while not caplog.records:
            await trio.lowlevel.checkpoint()
        await client.alter_config(TOPIC, "good", "cleanup.policy", "compact")
        await compacted_to(serving, "good", partition_of(serving, "good").log.segments.base_offsets[-1])
        await client.alter_config(TOPIC, "bad", "min.cleanable.dirty.ratio", "0.001")
        await wait_all_tasks_blocked()
        assert len(records_of(serving, "good")) < 10
    (line,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    path = "bad-0/00000000000000000000.log"
    why = f"{path}: there is no sound batch at byte 89"
    assert line == f"bad-0: cannot be compacted, and is left alone until the next start: {why}"


async def test_a_full_disk(tmp_path: Path, disk: Disk, caplog: pytest.LogCaptureFixture) -> None:
    """The log stays as it is and is served; it is tried again after a while, not at once."""
    async with running(quick_broker(tmp_path, log_cleaner_backoff_ms="1")) as serving:
        client = await serving.connect()
        await client.create_topic("t", configs={**COMPACTED, "cleanup.policy": "delete", "retention.ms": "-1"})
        await produce(client, "t", ("first", "kept"), *RECORDS)
        disk.refuses = lambda operation, path: operation == "append" and path.endswith(".cleaned")
        await client.alter_config(TOPIC, "t", "cleanup.policy", "compact")
        while not caplog.records:
            await trio.lowlevel.checkpoint()
        await client.alter_config(TOPIC, "t", "min.cleanable.dirty.ratio", "0.001")
        await wait_all_tasks_blocked()
        assert len(records_of(serving, "t")) == 21
        assert not [path for path in (tmp_path / "t-0").iterdir() if path.suffix == ".cleaned"]
    lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(lines) == 1
    assert lines[0].startswith("t-0: cannot be compacted, and is left alone for 60 s: the disk fails: ")


async def test_so_many_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """`log.cleaner.threads` logs are compacted at the same time, and share the memory for their keys."""
    begun: list[tuple[str, int]] = []
    under_way = most = 0
    steps = Compaction.steps

    def counting(self: Compaction):  # type: ignore[no-untyped-def]
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        begun.append((self._log.topic, self._offsets.capacity))
        try:
            yield from steps(self)
        finally:
            under_way -= 1

    monkeypatch.setattr(Compaction, "steps", counting)
    settings = {"log_cleaner_threads": "2", "log_cleaner_dedupe_buffer_size": "3840000"}
    async with running(quick_broker(**settings, log_cleaner_io_buffer_load_factor="0.5")) as serving:
        client = await serving.connect()
        for name in "abcd":
            await client.create_topic(name, configs=COMPACTED)
            await produce(client, name, *RECORDS)
        for name in "abcd":
            await compacted_to(serving, name, partition_of(serving, name).log.segments.base_offsets[-1])
    assert {name for name, _ in begun} == set("abcd")
    assert {capacity for _, capacity in begun} == {5000}
    assert most <= 2


async def test_the_rate(autojump_clock: MockClock) -> None:
    """`log.cleaner.io.max.bytes.per.second` holds for all rounds together, and may change."""
    rate = 1000.0
    throttle = Throttle(lambda: rate)
    started = trio.current_time()
    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(throttle.spend, 500)
    assert trio.current_time() - started == pytest.approx(2)
    rate = 1e300
    await throttle.spend(1 << 40)
    assert trio.current_time() - started == pytest.approx(2)


async def test_requests_are_served_meanwhile() -> None:
    """While a large log is compacted, a fetch is answered between two of its steps."""
    async with running(quick_broker()) as serving:
        client = await serving.connect()
        await client.create_topic("t", configs={**COMPACTED, "internal.segment.bytes": "200000"})
        for number in range(5):
            batch = build_batch([(b"%d" % key, b"x" * 20) for key in range(4000)], timestamp=1_700_000_000_000 + number)
            request = produce_request("t", records=batch)
            await client.send(request, PRODUCE_VERSION)
            await client.receive(type(request), PRODUCE_VERSION)
        log = partition_of(serving, "t").log
        while not log.being_compacted:
            await trio.lowlevel.checkpoint()
        answered = 0
        while log.being_compacted:
            await client.send(fetch_request("t", offset=log.end_offset), FETCH_VERSION)
            await client.receive(type(fetch_request("t")), FETCH_VERSION)
            answered += 1
        assert answered > 10
