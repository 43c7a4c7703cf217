from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from random import Random
from threading import Barrier
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.records import (
    TRANSACTIONAL,
    ControlType,
    EndTransactionMarker,
    Record,
    RecordBatch,
    build_batch,
    build_control_batch,
    read_batches,
)
from kpy.storage import batch_validation
from kpy.storage.disk_files import DiskFiles
from kpy.storage.files import Files
from kpy.storage.log_directory import LogDirectory
from kpy.storage.memory_files import MemoryFiles
from kpy.storage.partition_log import (
    AppendOrigin,
    AppendResult,
    LogConfig,
    LogRead,
    PartitionLog,
    TimestampOffset,
    TimestampType,
)
from tests.storage.batches import NOW_MS, batch, sized_batch

TOPIC_ID = UUID(int=77)
SMALL = LogConfig(segment_bytes=1000, index_interval_bytes=200)


def new_log(files: Files, config: LogConfig = SMALL) -> PartitionLog:
    return LogDirectory.open(files).create("topic", 0, TOPIC_ID, config)


@pytest.fixture
def log(files: Files) -> PartitionLog:
    return new_log(files)


def append(log: PartitionLog, *values: str, now_ms: int = NOW_MS, leader_epoch: int = 0, **fields: int) -> AppendResult:
    result = log.append(batch(*values, **fields), leader_epoch=leader_epoch, now_ms=now_ms)
    log.check_invariants()
    return result


def append_sized(log: PartitionLog, count: int, size: int = 100) -> None:
    for number in range(count):
        log.append(sized_batch(size, timestamp=NOW_MS + number), leader_epoch=0, now_ms=NOW_MS)


def data_of(read: LogRead) -> bytes:
    data = b"".join(bytes(part.read()) for part in read.parts)
    assert len(data) == read.size_bytes
    return data


def read(log: PartitionLog, offset: int, max_bytes: int = 1 << 20, *, at_least_one: bool = True) -> bytes:
    return data_of(log.read(offset, max_bytes, up_to=log.end_offset, at_least_one=at_least_one))


def values_from(log: PartitionLog, offset: int = 0) -> list[str]:
    return [(record.value or b"").decode() for found in log.batches(offset) for record in found]


def test_a_new_log(log: PartitionLog) -> None:
    """A new log is empty and starts at 0."""
    assert (log.log_start_offset, log.end_offset, log.last_stable_offset, log.size_bytes) == (0, 0, 0, 0)
    assert (log.topic, log.partition, log.topic_id, log.latest_leader_epoch) == ("topic", 0, TOPIC_ID, -1)
    assert read(log, 0) == b""
    assert log.max_timestamp() is None
    assert log.offset_for_timestamp(0) is None


def test_append_and_read(log: PartitionLog) -> None:
    """Records are stored at successive offsets, with the leader's epoch, and read back whole."""
    assert append(log, "a", "b")[:4] == (0, 1, -1, 0)
    assert append(log, "c", leader_epoch=3)[:4] == (2, 2, -1, 0)
    found = list(read_batches(read(log, 0)))
    assert [(r.offset, r.value) for b in found for r in b] == [(0, b"a"), (1, b"b"), (2, b"c")]
    assert [b.header.leader_epoch for b in found] == [0, 3]
    assert all(b.is_sound() for b in found)
    assert [b.header.base_offset for b in read_batches(read(log, 1))] == [0, 2]
    assert [b.header.base_offset for b in read_batches(read(log, 2))] == [2]
    assert (log.end_offset, log.latest_leader_epoch) == (3, 3)
    assert log.size_bytes == len(read(log, 0))


def test_stored_in_place(log: PartitionLog) -> None:
    """Offset and epoch are written into the producer's own buffer; one that cannot be changed is copied."""
    append(log, "first")
    records = batch("second")
    log.append(memoryview(records), leader_epoch=4, now_ms=NOW_MS)
    header = RecordBatch(records).header
    assert (header.base_offset, header.leader_epoch) == (1, 4)
    frozen = bytes(batch("third"))
    log.append(frozen, leader_epoch=4, now_ms=NOW_MS)
    assert RecordBatch(frozen).header.base_offset == 0
    assert values_from(log) == ["first", "second", "third"]


def test_log_append_time(log: PartitionLog) -> None:
    """With log append time the answer says which time the records got."""
    log.config = replace(SMALL, message_timestamp_type=TimestampType.LOG_APPEND_TIME)
    assert append(log, "a", now_ms=NOW_MS + 5).log_append_time_ms == NOW_MS + 5
    assert log.max_timestamp() == TimestampOffset(NOW_MS + 5, 0, 0)


def test_duplicates(log: PartitionLog) -> None:
    """A batch that is sent again is not stored again, and gets the first answer; its time is the batch's."""
    fields = {"producer_id": 5, "producer_epoch": 0}
    append(log, "a", "b", base_sequence=0, **fields)
    append(log, "c", base_sequence=2, **fields)
    assert append(log, "a", "b", base_sequence=0, **fields) == AppendResult(0, 1, NOW_MS, 0, duplicate=True)
    assert values_from(log) == ["a", "b", "c"]
    with pytest.raises(KafkaError) as caught:
        append(log, "x", base_sequence=9, **fields)
    assert caught.value.code is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert log.end_offset == 3


def test_refused_batches_leave_no_trace(log: PartitionLog) -> None:
    """After a refused batch the log is as it was."""
    append(log, "a")
    size = log.size_bytes
    for records in (batch("x")[:-1], batch("x")[:-1] + b"y", batch("x", timestamp=1 << 60), batch("x", base_offset=1)):
        with pytest.raises(KafkaError):
            log.append(records, leader_epoch=9, now_ms=NOW_MS)
    assert (log.end_offset, log.size_bytes, log.latest_leader_epoch) == (1, size, 0)
    log.check_invariants()


def test_larger_than_a_segment(log: PartitionLog) -> None:
    """A batch larger than segment.bytes cannot be stored, one of that size can."""
    append_sized(log, 1, 1000)
    with pytest.raises(KafkaError) as caught:
        append_sized(log, 1, 1001)
    assert caught.value.code is ErrorCode.RECORD_LIST_TOO_LARGE


def test_rolling(log: PartitionLog, files: Files) -> None:
    """A segment ends before it would be larger than segment.bytes; the producers are kept with the roll."""
    append_sized(log, 25)
    log.check_invariants()
    assert list(log.segments.base_offsets) == [0, 10, 20]
    names = set(files.list("topic-0"))
    assert {f"{base:020d}.log" for base in (0, 10, 20)} < names
    assert {"00000000000000000000.index", "00000000000000000010.timeindex"} < names
    assert {"00000000000000000010.snapshot", "00000000000000000020.snapshot"} < names
    assert [found.header.base_offset for found in log.batches(0)] == list(range(25))


def test_a_read_begins_with_the_segment_that_holds_the_offset(log: PartitionLog) -> None:
    """Segments before it are not looked at, however many there are."""
    append_sized(log, 25)
    for offset, bases in ((0, [0, 10, 20]), (9, [0, 10, 20]), (10, [10, 20]), (19, [10, 20]), (24, [20])):
        assert [segment.base_offset for segment, _ in log.segments.with_ends(offset, 25)] == bases


def test_reads_end_with_a_segment(log: PartitionLog) -> None:
    """A read is of one segment; the next one begins where it ended."""
    append_sized(log, 25)
    for offset, size in ((0, 1000), (9, 100), (10, 1000), (24, 100)):
        assert log.read(offset, 1 << 20, up_to=25, at_least_one=True).size_bytes == size


@pytest.mark.parametrize(
    ("max_bytes", "up_to", "at_least_one", "size"),
    [
        (1000, 5, True, 300),
        (1000, 4, True, 200),
        (1000, 3, True, 100),
        (1000, 2, True, 0),
        (250, 5, True, 250),
        (100, 5, False, 100),
        (99, 5, False, 0),
        (99, 5, True, 100),
        (0, 5, False, 0),
        (0, 5, True, 100),
    ],
)
def test_limits_of_a_read(log: PartitionLog, max_bytes: int, up_to: int, at_least_one: bool, size: int) -> None:
    """A read is cut at max bytes, but for a first batch that has to be there, and never goes beyond the offset."""
    append_sized(log, 5)
    assert log.read(2, max_bytes, up_to=up_to, at_least_one=at_least_one).size_bytes == size


@pytest.mark.parametrize(
    ("batch_bytes", "max_bytes", "size"),
    [
        pytest.param(1000, 2500, 2000, id="a large batch is left out"),
        pytest.param(1000, 3000, 3000, id="whole batches"),
        pytest.param(1000, 1300, 1300, id="a short piece is not worth it"),
        pytest.param(1000, 900, 1000, id="but never the first"),
        pytest.param(1000, 10_000, 5000, id="to the end of the log"),
        pytest.param(100, 250, 250, id="a small batch is cut"),
    ],
)
def test_a_large_batch_is_not_cut(files: Files, batch_bytes: int, max_bytes: int, size: int) -> None:
    """A read does not begin a large batch that max bytes would cut: the client would have to throw it away."""
    log = new_log(files, LogConfig(index_interval_bytes=200))
    append_sized(log, 5, batch_bytes)
    assert len(read(log, 0, max_bytes)) == size


@pytest.mark.parametrize("offset", [-1, 3, 6, 100])
def test_out_of_range(log: PartitionLog, offset: int) -> None:
    """Offsets before the start and beyond the end are out of range; the end itself is not."""
    append_sized(log, 5)
    log.delete_records_before(4)
    assert read(log, 5) == b""
    with pytest.raises(KafkaError) as caught:
        log.read(offset, 100, up_to=5, at_least_one=True)
    assert caught.value.code is ErrorCode.OFFSET_OUT_OF_RANGE


def test_a_range_outlives_its_segment(log: PartitionLog) -> None:
    """What was read is sent whole, though its segment is deleted meanwhile."""
    append_sized(log, 25)
    found = log.read(0, 1000, up_to=25, at_least_one=True)
    log.delete_records_before(20)
    assert [b.header.base_offset for b in read_batches(data_of(found))] == list(range(10))


def test_offsets_for_timestamps(log: PartitionLog) -> None:
    """The first record with the timestamp or a later one is found, inside of batches too, from the log's start on."""
    times = [[10, 50, 30], [20], [70, 60]]
    for group in times:
        records = [Record(b"k", b"v", timestamp=NOW_MS + time) for time in group]
        log.append(build_batch(records), leader_epoch=2, now_ms=NOW_MS)

    def at(time: int) -> tuple[int, int] | None:
        found = log.offset_for_timestamp(NOW_MS + time)
        assert found is None or found.leader_epoch == 2
        return found and (found.offset, found.timestamp - NOW_MS)

    assert [at(time) for time in (0, 10, 11, 51, 65, 71)] == [(0, 10), (0, 10), (1, 50), (4, 70), (4, 70), None]
    assert log.max_timestamp() == TimestampOffset(NOW_MS + 70, 4, 2)
    log.delete_records_before(2)
    assert at(0) == (2, 30)


@given(
    groups=st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=4), min_size=1, max_size=30),
    wanted=st.integers(0, 41),
    start=st.integers(0, 60),
)
def test_timestamps_over_segments(groups: list[list[int]], wanted: int, start: int) -> None:
    """Over several segments and times in any order, a timestamp is found as a plain search finds it."""
    log = new_log(MemoryFiles(), LogConfig(segment_bytes=400, index_interval_bytes=100))
    for group in groups:
        log.append(build_batch([Record(b"k", b"v", timestamp=time) for time in group]), leader_epoch=0, now_ms=50)
    everything = [time for group in groups for time in group]
    largest = log.max_timestamp()
    assert largest is not None
    assert (largest.timestamp, largest.offset) == (max(everything), everything.index(max(everything)))
    start = log.delete_records_before(min(start, len(everything)))
    found = log.offset_for_timestamp(wanted)
    expected = next((offset for offset, time in enumerate(everything) if time >= wanted and offset >= start), None)
    assert (found and found.offset) == expected


@pytest.mark.parametrize(("drawn", "at_most_ms", "segments"), [(0, 100, 1), (99, 100, 2), (1, 5000, 2)])
def test_rolling_earlier_by_chance(drawn: int, at_most_ms: int, segments: int) -> None:
    """segment.jitter.ms: each segment is rolled earlier by what was drawn for it, which is less than segment.ms."""
    log = new_log(MemoryFiles(), LogConfig(segment_ms=1000, segment_jitter_ms=at_most_ms))
    asked = []

    class Drawing(Random):
        def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int:
            asked.append(start)
            return drawn

    log.context.random_source = Drawing()
    append(log, "a", timestamp=NOW_MS)
    append(log, "b", timestamp=NOW_MS + 1000)
    append(log, "c", timestamp=NOW_MS + 1000)

    assert len(log.segments.base_offsets) == segments
    assert asked == [min(at_most_ms, 1000)] * segments


def test_no_timestamps(log: PartitionLog) -> None:
    """Records without timestamps have no largest one, and none that a search finds."""
    append(log, "a", timestamp=-1)
    assert log.max_timestamp() is None
    assert log.offset_for_timestamp(0) is None


def test_leader_epochs(log: PartitionLog) -> None:
    """Where epochs ended can be asked."""
    for epoch in (0, 0, 2, 5):
        append(log, "x", leader_epoch=epoch)
    assert [log.end_offset_for_epoch(epoch) for epoch in (0, 1, 2, 5, 6)] == [(0, 2), (0, 2), (2, 3), (5, 4), (-1, -1)]
    assert [log.epoch_of(offset) for offset in range(4)] == [0, 0, 2, 5]


def test_delete_records(log: PartitionLog, files: Files) -> None:
    """The log starts where it was told to; segments and snapshots before are gone when they are to be removed."""
    append_sized(log, 35)
    assert log.delete_records_before(25) == 25
    assert log.remove_deleted() == 0  # the start is not written down yet
    log.start_on_disk = 25
    assert log.remove_deleted() == 2
    log.check_invariants()
    assert list(log.segments.base_offsets) == [20, 30]
    assert log.delete_records_before(10) == 25
    assert sorted(name for name in files.list("topic-0") if name.endswith(".snapshot")) == [
        "00000000000000000020.snapshot",
        "00000000000000000030.snapshot",
    ]
    assert not any(name.startswith("00000000000000000010") for name in files.list("topic-0"))
    assert [b.header.base_offset for b in read_batches(read(log, 25))] == list(range(25, 30))
    log.start_on_disk = log.delete_records_before(35)
    assert (log.remove_deleted(), log.log_start_offset) == (1, 35)
    assert list(log.segments.base_offsets) == [30]
    assert read(log, 35) == b""
    append_sized(log, 1)
    assert log.end_offset == 36
    with pytest.raises(KafkaError) as caught:
        log.delete_records_before(37)
    assert caught.value.code is ErrorCode.OFFSET_OUT_OF_RANGE


def test_transactions(log: PartitionLog) -> None:
    """An open transaction holds the last stable offset until its marker is there; markers are control records."""
    fields = {"producer_id": 5, "producer_epoch": 1}
    append(log, "plain")
    with pytest.raises(KafkaError) as caught:
        append(log, "t", base_sequence=0, attributes=TRANSACTIONAL, **fields)
    assert caught.value.code is ErrorCode.INVALID_TXN_STATE
    records = batch("t", base_sequence=0, attributes=TRANSACTIONAL, **fields)
    log.append(records, leader_epoch=0, now_ms=NOW_MS, transaction_verified=True)
    append(log, "u", base_sequence=1, attributes=TRANSACTIONAL, **fields)
    assert (log.last_stable_offset, log.end_offset) == (1, 3)
    marker = EndTransactionMarker(ControlType.ABORT, coordinator_epoch=0)
    control = build_control_batch(marker.record(), timestamp=NOW_MS, transactional=True, **fields)
    log.append(control, leader_epoch=0, now_ms=NOW_MS, origin=AppendOrigin.COORDINATOR)
    assert (log.last_stable_offset, log.end_offset) == (4, 4)
    assert [b.header.is_control for b in log.batches(0)] == [False, False, False, True]


def test_coordinator_records(log: PartitionLog) -> None:
    """Pairs of key and value are stored as one plain batch with that time."""
    result = log.append_records([(b"k", b"v"), (b"k2", None)], leader_epoch=1, now_ms=NOW_MS)
    assert result == AppendResult(0, 1, -1, 0, size_bytes=log.size_bytes)
    assert [(r.key, r.value, r.timestamp) for b in log.batches(0) for r in b] == [
        (b"k", b"v", NOW_MS),
        (b"k2", None, NOW_MS),
    ]


@pytest.mark.parametrize(
    "records",
    [
        [(b"k", b"v")],
        [(b"k", b"v"), (b"k2", None), (b"k", bytes(300))],
        [(None, b"v")],
        [(None, b"v"), (b"k", b"v")],
        [(b"k", bytes(700))],
        [Record(b"k", b"v"), Record(b"k", None)],
    ],
)
@pytest.mark.parametrize(
    "config",
    [
        SMALL,
        replace(SMALL, compression_type="gzip"),
        replace(SMALL, compression_type="uncompressed"),
        replace(SMALL, message_timestamp_type=TimestampType.LOG_APPEND_TIME),
        replace(SMALL, cleanup_policy=frozenset({"compact"})),
        replace(SMALL, max_message_bytes=500),
    ],
)
def test_coordinator_records_are_stored_as_if_checked(
    config: LogConfig, records: list[tuple[bytes | None, bytes | None] | Record]
) -> None:
    """The broker's own batches skip checks; what is stored, answered and refused is what these would have led to."""
    outcomes = []
    for checks in (False, True):
        log = new_log(MemoryFiles(), config)
        try:
            if checks:
                built = build_batch(records, timestamp=NOW_MS)
                result = log.append(built, leader_epoch=3, now_ms=NOW_MS, origin=AppendOrigin.COORDINATOR)
            else:
                result = log.append_records(records, leader_epoch=3, now_ms=NOW_MS)
        except KafkaError as error:
            outcomes.append((error.code, log.end_offset))
        else:
            outcomes.append((result, log.end_offset, [bytes(stored.buffer) for stored in log.batches(0)]))
        log.check_invariants()
    assert outcomes[0] == outcomes[1]


def test_no_space(log: PartitionLog, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk is full the append fails, and goes on when it is not full any more."""
    append_sized(log, 2)

    def full(_file: object, _data: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(type(files.open("topic-0/00000000000000000000.log")), "append", full)
        with pytest.raises(OSError, match="No space left"):
            append_sized(log, 1)
    append_sized(log, 1)
    log.check_invariants()
    assert log.end_offset == 3


def test_disk_and_memory_hold_the_same(files: Files) -> None:
    """The files of a log are the same bytes on the disk and in memory."""
    other: Files = MemoryFiles()
    for place in (files, other):
        directory = LogDirectory.open(place)
        append_sized(directory.create("topic", 0, TOPIC_ID, SMALL), 25)
        directory.close()
    assert sorted(files.list("topic-0")) == sorted(other.list("topic-0"))
    for name in files.list("topic-0"):
        assert files.read(f"topic-0/{name}") == other.read(f"topic-0/{name}")
    assert isinstance(files, DiskFiles | MemoryFiles)


def test_threads_do_not_decompress_into_the_same_memory() -> None:
    """A worker validates one batch while the event loop validates another, in whatever order they take turns."""
    threads = 3
    together = Barrier(threads)

    def scratch(_: int) -> object:
        together.wait()
        return batch_validation._scratch.decompressor

    with ThreadPoolExecutor(threads) as pool:
        assert len({id(found) for found in pool.map(scratch, range(threads))}) == threads
