"""What is asked of a log without waiting for the disk is found as by who waits, and only `bring` has waited by then."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Protocol, TypeVar
from uuid import UUID

import pytest

from kpy.protocol.compression import Codec
from kpy.protocol.records import Record, build_batch
from kpy.storage.files import NotResident
from kpy.storage.log_directory import LogDirectory
from kpy.storage.log_reading import QUICK_COMPRESSED_BYTES_MAX, QUICK_RECORDS_MAX
from kpy.storage.memory_files import MemoryFiles
from kpy.storage.partition_log import LogConfig, PartitionLog, TimestampOffset
from tests.server.failing_files import Disk, FailingFiles
from tests.storage.batches import NOW_MS, sized_batch
from tests.sweeps import seeds

T_co = TypeVar("T_co", covariant=True)
BATCHES = 30
SEGMENTS = LogConfig(segment_bytes=1000, index_interval_bytes=150)
"""Ten batches in each."""
ONE_SEGMENT = LogConfig(index_interval_bytes=150)


class Find(Protocol[T_co]):
    def __call__(self, *, may_wait: bool) -> T_co: ...


def without_waiting(find: Find[T_co], brought: list[NotResident], disk: Disk | None = None) -> T_co:
    """Ask as who must not wait does; no file of that disk may be read but by `bring`."""
    while True:
        if disk is not None:
            disk.refuses = lambda operation, path: operation in {"read", "read whole"}
        try:
            return find(may_wait=False)
        except NotResident as reason:
            brought.append(reason)
            if disk is not None:
                disk.refuses = lambda operation, path: False
            reason.learn(reason.bring())


def filled(place: Path, config: LogConfig, timestamps: list[int]) -> None:
    """A log with a batch of each timestamp, closed properly."""
    directory = LogDirectory.open(FailingFiles(place))
    log = directory.create("t", 0, UUID(int=7), config)
    for timestamp in timestamps:
        append(log, timestamp)
    directory.close()


def append(log: PartitionLog, timestamp: int) -> None:
    log.append(sized_batch(100, timestamp=NOW_MS + timestamp), leader_epoch=0, now_ms=NOW_MS)


def opened(place: Path, config: LogConfig) -> PartitionLog:
    log = LogDirectory.open(FailingFiles(place)).get("t", 0)
    assert log is not None
    log.config = config
    return log


def at(timestamp: int) -> Callable[[PartitionLog], Find[TimestampOffset | None]]:
    def of(log: PartitionLog) -> Find[TimestampOffset | None]:
        return lambda *, may_wait: log.offset_for_timestamp(NOW_MS + timestamp, may_wait=may_wait)

    return of


@pytest.mark.parametrize("damage", ["none", "no index", "false index", "false time index", "damaged batch"])
@pytest.mark.parametrize("seed", seeds(3))
def test_offsets_by_time(tmp_path: Path, disk: Disk, damage: str, seed: int) -> None:
    """The same, of cold segments that were never read since the start, whatever their files look like."""
    random = Random(seed)
    timestamps = [random.randrange(50) for _ in range(BATCHES)]
    places = tmp_path / "waits", tmp_path / "asks"
    for place in places:
        filled(place, SEGMENTS, timestamps)
        damage_files(place / "t-0", damage)
    disk.is_cold = lambda path: path.startswith(str(places[1]))
    waits, asks = (opened(place, SEGMENTS) for place in places)
    brought: list[NotResident] = []
    for wanted in random.sample(range(52), 52):
        assert without_waiting(at(wanted)(asks), brought) == at(wanted)(waits)(may_wait=True)
    assert without_waiting(asks.max_timestamp, brought) == waits.max_timestamp()
    assert brought


@pytest.mark.parametrize("damage", ["none", "no index", "false index", "false time index", "damaged batch"])
@pytest.mark.parametrize("has_times", [True, False])
def test_how_old_segments_are(tmp_path: Path, disk: Disk, damage: str, has_times: bool) -> None:
    """As old as who waits finds them; their files are not read, or looked at, before somebody who may wait does so."""
    timestamps = [number if has_times else -1 - NOW_MS for number in range(BATCHES)]
    places = tmp_path / "waits", tmp_path / "asks"
    for place in places:
        filled(place, SEGMENTS, timestamps)
        damage_files(place / "t-0", damage)
        for path in (place / "t-0").glob("*.log"):
            os.utime(path, ns=(0, 7_000_000))
    waits, asks = (opened(place, SEGMENTS).segments for place in places)
    numbers = range(len(waits.base_offsets))
    reasons: list[NotResident] = []

    def age(number: int) -> Find[int | None]:
        return lambda *, may_wait: asks.newest_ms(number, may_wait=may_wait)

    ages = [waits.newest_ms(number, may_wait=True) for number in numbers]
    assert ages[1:] == ([NOW_MS + 19, NOW_MS + 29] if has_times else [7, 7])
    assert [without_waiting(age(number), reasons, disk) for number in numbers] == ages
    assert reasons


def test_so_many_ages_as_it_takes(tmp_path: Path, disk: Disk) -> None:
    """Retention asks the oldest segment, then some at once, more and more; and keeps none of their indexes."""
    config = LogConfig(segment_bytes=200, index_interval_bytes=0, retention_ms=1000)
    filled(tmp_path, config, list(range(BATCHES)))
    log = opened(tmp_path, config)

    def give_up(now_ms: int) -> Find[None]:
        return lambda *, may_wait: log.give_up_old_segments(high_watermark=BATCHES, now_ms=now_ms, may_wait=may_wait)

    reasons: list[NotResident] = []
    without_waiting(give_up(NOW_MS + 1001), reasons, disk)
    assert (log.log_start_offset, len(reasons)) == (0, 1)
    without_waiting(give_up(NOW_MS + 1000 + BATCHES), reasons, disk)
    assert (log.log_start_offset, len(reasons)) == (BATCHES, 1 + 3 + 1)  # of 15: 1, 2, 4, 8; and to roll
    assert [segment.is_indexed for segment in log.segments] == [False] * 14 + [True, True]


def test_an_age_that_the_disk_does_not_tell(tmp_path: Path, disk: Disk) -> None:
    """What it tells of the segments before is known all the same; the error is that of who asks further."""
    config = LogConfig(segment_bytes=200, index_interval_bytes=0, retention_ms=0)
    filled(tmp_path, config, list(range(BATCHES)))
    log = opened(tmp_path, config)
    disk.refuses = lambda operation, path: operation == "read whole" and f"{4:020d}" in path
    ages = [partial(log.segments.newest_ms, number) for number in range(3)]
    assert [without_waiting(age, []) for age in ages[:2]] == [NOW_MS + 1, NOW_MS + 3]
    with pytest.raises(OSError, match=os.strerror(disk.error)):
        without_waiting(ages[2], [])


def damage_files(directory: Path, damage: str) -> None:
    """What a crash or a failing disk may leave of the first segment."""
    offsets, times, log = (directory / f"{0:020d}.{suffix}" for suffix in ("index", "timeindex", "log"))
    if damage == "no index":
        offsets.unlink()
    elif damage == "false index":
        content = offsets.read_bytes()
        offsets.write_bytes(content[:4] + bytes([0, 0, 0, 107]) + content[8:])
    elif damage == "false time index":
        content = times.read_bytes()
        times.write_bytes((1).to_bytes(8, "big") + content[8:])
    elif damage == "damaged batch":
        content = log.read_bytes()
        log.write_bytes(content[:380] + bytes([content[380] ^ 0xFF]) + content[381:])


def test_a_segment_that_nobody_has_read_yet(tmp_path: Path, disk: Disk) -> None:
    """Its indexes are not read before somebody who may wait has done so, for a fetch either."""
    filled(tmp_path, SEGMENTS, list(range(BATCHES)))
    log = opened(tmp_path, SEGMENTS)
    read: list[str] = []
    disk.refuses = lambda operation, path: read.append(path) is not None if operation == "read whole" else False
    with pytest.raises(NotResident):
        log.offset_for_timestamp(NOW_MS, may_wait=False)
    with pytest.raises(NotResident) as caught:
        log.read(0, 1000, up_to=BATCHES, at_least_one=True, may_wait=False)
    assert read == []
    caught.value.learn(caught.value.bring())
    assert [Path(path).suffix for path in read] == [".index", ".timeindex"]


@pytest.mark.parametrize("codec", [Codec.NONE, Codec.ZSTD])
def test_a_batch_that_takes_long_to_look_through(codec: Codec) -> None:
    """It is not looked through by who must not wait, and once only for the same question."""
    log = LogDirectory.open(MemoryFiles()).create("t", 0, UUID(int=7))
    count = QUICK_RECORDS_MAX + 1 if codec is Codec.NONE else 10
    value = b"v" if codec is Codec.NONE else Random(1).randbytes(QUICK_COMPRESSED_BYTES_MAX)
    for start in (0, count):
        records = [Record(None, value, timestamp=NOW_MS + start + number) for number in range(count)]
        log.append(build_batch(records, codec=codec), leader_epoch=0, now_ms=NOW_MS)
    log.delete_records_before(count // 2)
    for timestamp, found in ((0, count // 2), (count - 1, count - 1), (count + 3, count + 3), (2 * count, None)):
        brought: list[NotResident] = []
        answers = {without_waiting(at(timestamp)(log), brought) for _ in range(2)} | {
            log.offset_for_timestamp(NOW_MS + timestamp)
        }
        offset = None if found is None else TimestampOffset(NOW_MS + found, found, 0)
        assert (answers, len(brought)) == ({offset}, found is not None)
    brought = []
    largest = TimestampOffset(NOW_MS + 2 * count - 1, 2 * count - 1, 0)
    assert without_waiting(log.max_timestamp, brought) == log.max_timestamp() == largest
    assert len(brought) == 1


def test_what_is_appended_while_the_indexes_are_made_again(tmp_path: Path, disk: Disk) -> None:
    """The worker has not seen it, and it is found."""
    filled(tmp_path, ONE_SEGMENT, [5] * BATCHES)
    offsets = tmp_path / "t-0" / f"{0:020d}.index"
    content = offsets.read_bytes()
    offsets.write_bytes(content[:4] + bytes([0, 0, 0, 107]) + content[8:])
    log = opened(tmp_path, ONE_SEGMENT)
    with pytest.raises(NotResident) as caught:
        log.segments.active.start_for(3, may_wait=False)
    derived = caught.value.bring()
    append(log, 9)
    append(log, 8)
    caught.value.learn(derived)
    append(log, 7)
    assert log.offset_for_timestamp(NOW_MS + 6) == TimestampOffset(NOW_MS + 9, BATCHES, 0)
    assert log.max_timestamp() == TimestampOffset(NOW_MS + 9, BATCHES, 0)
    segment = log.segments.active
    assert [segment.position_of(offset) for offset in range(BATCHES + 3)] == [100 * n for n in range(BATCHES + 3)]
