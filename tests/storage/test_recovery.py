from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.records import TRANSACTIONAL, ControlType, EndTransactionMarker, build_control_batch
from kpy.storage.files import Files
from kpy.storage.log_config import LogConfig
from kpy.storage.log_directory import LogDirectory
from kpy.storage.memory_files import MemoryFiles
from kpy.storage.partition_log import AppendOrigin, AppendResult, PartitionLog
from kpy.storage.restart_points import secure
from tests.server.failing_files import Disk, FailingFiles, disk
from tests.storage.batches import NOW_MS, batch, sized_batch

__all__ = ["disk"]

TOPIC_ID = UUID(int=77)
SMALL = LogConfig(segment_bytes=1000)
LAST_LOG = "topic-0/00000000000000000020.log"


@pytest.fixture
def directory(files: Files) -> LogDirectory:
    """A directory with one log of three segments: 25 batches of one record and 100 bytes."""
    directory = LogDirectory.open(files)
    log = directory.create("topic", 0, TOPIC_ID, SMALL)
    for number in range(25):
        send(log, number)
    return directory


def send(log: PartitionLog, sequence: int, epoch: int = 0, leader_epoch: int = 0) -> AppendResult:
    records = sized_batch(100, timestamp=NOW_MS + sequence, producer_id=5, producer_epoch=epoch, base_sequence=sequence)
    return log.append(records, leader_epoch=leader_epoch, now_ms=NOW_MS)


def reopen(files: Files) -> PartitionLog:
    log = LogDirectory.open(files).get("topic", 0)
    assert log is not None
    log.config = SMALL
    log.check_invariants()
    return log


def offsets(log: PartitionLog) -> list[int]:
    return [found.header.base_offset for found in log.batches(0)]


def test_after_a_clean_shutdown(directory: LogDirectory, files: Files) -> None:
    """Everything is as it was, and nothing has to be recovered."""
    log = directory.get("topic", 0)
    assert log is not None
    send(log, 25, leader_epoch=4)
    directory.close()
    again = reopen(files)
    assert (again.end_offset, again.recovery_point, again.topic_id) == (26, 26, TOPIC_ID)
    assert offsets(again) == list(range(26))
    assert (again.latest_leader_epoch, again.epoch_of(24)) == (4, 0)
    assert list(again.segments.base_offsets) == [0, 10, 20]
    assert [send(again, sequence).duplicate for sequence in (21, 25, 26)] == [True, True, False]


def test_after_kill(directory: LogDirectory, after_kill: Callable[[], Files]) -> None:
    """After kill -9 the log has all that was appended; idempotence and epochs go on where they were."""
    log = directory.get("topic", 0)
    assert log is not None
    send(log, 25, leader_epoch=4)
    again = reopen(after_kill())
    assert (again.end_offset, again.recovery_point) == (26, 0)
    assert offsets(again) == list(range(26))
    assert [again.end_offset_for_epoch(epoch) for epoch in (0, 4)] == [(0, 25), (4, 26)]
    assert [send(again, sequence).duplicate for sequence in (21, 25, 26)] == [True, True, False]
    with pytest.raises(KafkaError) as caught:
        send(again, 30)
    assert caught.value.code is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert again.offset_for_timestamp(NOW_MS + 13).offset == 13


def test_the_last_five_batches_are_known(directory: LogDirectory, files: Files) -> None:
    """After a clean shutdown the batches before the last one are duplicates still, which a snapshot does not hold."""
    directory.close()
    again = reopen(files)
    assert [send(again, sequence).base_offset for sequence in range(20, 26)][1:] == [21, 22, 23, 24, 25]


@pytest.mark.parametrize("cut", range(1, 101, 9))
def test_torn_tail(directory: LogDirectory, after_kill: Callable[[], Files], cut: int) -> None:
    """A last batch that was not written whole is gone, and the log goes on before it."""
    left = after_kill()
    left.open(LAST_LOG).truncate(500 - cut)
    log = reopen(left)
    assert (log.end_offset, log.size_bytes) == (24, 2400)
    result = send(log, 24)
    assert (result.base_offset, result.duplicate) == (24, False)
    assert reopen(copy_again(left)).end_offset == 25


def copy_again(files: Files) -> Files:
    """The next process takes over the same files: the last one is dead, and its lock with it."""
    left = MemoryFiles()
    for name in files.list():
        data = files.read(name) if name == ".lock" or "-0" not in name else None
        if data is not None:
            left.replace(name, data)
        if "-0" in name:
            left.make_directory(name)
            for inner in files.list(name):
                left.replace(f"{name}/{inner}", files.read(f"{name}/{inner}") or b"")
    return left


@pytest.mark.parametrize("tail", [b"\0" * 300, b"\xff" * 80, b"x"])
def test_garbage_behind(
    directory: LogDirectory, after_kill: Callable[[], Files], tail: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """What a file system left behind the last batch is cut, and one line says how much that was."""
    left = after_kill()
    left.open(LAST_LOG).append(tail)
    log = reopen(left)
    assert (log.end_offset, log.size_bytes) == (25, 2500)
    [line] = [line for line in caplog.messages if " cut " in line]
    assert line.startswith(f"{LAST_LOG}: cut {len(tail)} bytes, all from byte 500 and offset 25 on")


def test_a_flipped_bit(directory: LogDirectory, after_kill: Callable[[], Files]) -> None:
    """Where nothing was flushed the log is a prefix: it ends before the first batch that is not sound."""
    left = after_kill()
    name = "topic-0/00000000000000000010.log"
    data = bytearray(left.read(name) or b"")
    data[350] ^= 4
    left.replace(name, bytes(data))
    log = reopen(left)
    assert offsets(log) == list(range(13))
    assert list(log.segments.base_offsets) == [0, 10]
    assert not any(name.startswith("00000000000000000020") for name in left.list("topic-0"))
    assert send(log, 13).base_offset == 13


def test_flushed_segments_are_not_cut(directory: LogDirectory, after_kill: Callable[[], Files]) -> None:
    """Damage to what was flushed costs no other batch than those that are damaged."""
    directory.flush()
    log = directory.get("topic", 0)
    assert log is not None
    secure(log)
    directory.checkpoint()
    left = after_kill()
    name = "topic-0/00000000000000000010.log"
    data = bytearray(left.read(name) or b"")
    data[950] ^= 4
    left.replace(name, bytes(data))
    log = LogDirectory.open(left).get("topic", 0)
    assert log is not None
    assert (log.end_offset, log.recovery_point) == (25, 25)
    assert offsets(log) == [offset for offset in range(25) if offset != 19]


DERIVED = (".index", ".timeindex", ".snapshot", "leader-epoch-checkpoint")


@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.parametrize("damage", ["remove", "empty", "scribble"])
@pytest.mark.parametrize("suffix", DERIVED)
def test_derived_files(directory: LogDirectory, files: Files, suffix: str, damage: str, clean: bool) -> None:
    """Indexes, snapshots and epochs that are missing, empty or scribbled over are found again in the log."""
    if clean:
        directory.close()
    left = copy_again(files)
    for name in left.list("topic-0"):
        if name.endswith(suffix):
            if damage == "remove":
                left.remove(f"topic-0/{name}")
            else:
                left.replace(f"topic-0/{name}", b"" if damage == "empty" else bytes(range(200, 160, -1)))
    log = reopen(left)
    assert offsets(log) == list(range(25))
    assert log.offset_for_timestamp(NOW_MS + 13).offset == 13
    assert log.read(13, 100, up_to=25, at_least_one=True).size_bytes == 100
    assert send(log, 24).duplicate
    assert log.end_offset_for_epoch(0) == (0, 25)


def test_leftovers(directory: LogDirectory, after_kill: Callable[[], Files]) -> None:
    """Temporary files, and indexes and snapshots without a log, are removed."""
    left = after_kill()
    for name in (
        "x.tmp",
        "00000000000000000005.index",
        "00000000000000000005.timeindex",
        "00000000000000000099.snapshot",
    ):
        left.replace(f"topic-0/{name}", b"left")
    reopen(left)
    names = left.list("topic-0")
    assert not any("tmp" in name or "05." in name or "99." in name for name in names)


def test_a_log_that_ends_before_its_start(directory: LogDirectory, files: Files) -> None:
    """If records before the start were all that is left, the log is empty and goes on at its start."""
    log = directory.get("topic", 0)
    assert log is not None
    log.delete_records_before(25)
    directory.write(directory.log_start_offsets())
    left = copy_again(files)
    left.open(LAST_LOG).truncate(200)
    again = reopen(left)
    assert (again.log_start_offset, again.end_offset, list(again.batches(25))) == (25, 25, [])


def test_the_start_survives(directory: LogDirectory, files: Files) -> None:
    """A start inside of a segment is kept by the checkpoint."""
    log = directory.get("topic", 0)
    assert log is not None
    log.delete_records_before(13)
    directory.close()
    again = reopen(files)
    assert (again.log_start_offset, list(again.segments.base_offsets)) == (13, [10, 20])


def test_transactions_survive(files: Files, after_kill: Callable[[], Files]) -> None:
    """Open transactions are open again after kill -9, ended ones are ended."""
    log = LogDirectory.open(files).create("topic", 0, TOPIC_ID, SMALL)
    for producer in (5, 6):
        records = batch("t", producer_id=producer, producer_epoch=0, base_sequence=0, attributes=TRANSACTIONAL)
        log.append(records, leader_epoch=0, now_ms=NOW_MS, transaction_verified=True)
    marker = EndTransactionMarker(ControlType.COMMIT, 0).record()
    control = build_control_batch(marker, timestamp=NOW_MS, transactional=True, producer_id=5, producer_epoch=0)
    log.append(control, leader_epoch=0, now_ms=NOW_MS, origin=AppendOrigin.COORDINATOR)
    again = reopen(after_kill())
    assert (log.last_stable_offset, again.last_stable_offset, again.end_offset) == (1, 1, 3)


def steps() -> Iterator[str]:
    yield from ("append", "append", "flush", "checkpoint", "delete", "kill", "clean")


@given(data=st.data())
def test_any_life(data: st.DataObject) -> None:
    """Whatever a log went through, it has what was appended, from its start on, and goes on without a gap."""
    files: Files = MemoryFiles()
    directory = LogDirectory.open(files)
    log = directory.create("topic", 0, TOPIC_ID, SMALL)
    sequence = 0
    for step in data.draw(st.lists(st.sampled_from(list(steps())), max_size=25)):
        if step == "append":
            for _ in range(data.draw(st.integers(1, 12))):
                send(log, sequence)
                sequence += 1
        elif step == "flush":
            directory.flush()
        elif step == "checkpoint":
            directory.checkpoint()
        elif step == "delete":
            log.delete_records_before(data.draw(st.integers(0, log.end_offset)))
        else:
            if step == "clean":
                directory.close()
            files = copy_again(files)
            directory = LogDirectory.open(files)
            found = directory.get("topic", 0)
            assert found is not None
            log = found
            log.config = SMALL
        log.check_invariants()
        assert log.end_offset == sequence
        if log.log_start_offset < sequence:
            assert offsets(log)[-1] == sequence - 1
            assert send(log, sequence - 1).duplicate


def test_what_is_cut_is_cut_on_the_disk(tmp_path: Path, disk: Disk) -> None:
    """Before anything is appended: a power cut would else bring it back behind that."""
    directory = LogDirectory.open(FailingFiles(tmp_path))
    send(directory.create("topic", 0, TOPIC_ID, SMALL), 0)
    directory.close(clean=False)
    path = tmp_path / "topic-0" / "00000000000000000000.log"
    with path.open("ab") as stream:
        stream.write(b"torn")
    disk.synced.clear()
    assert reopen(FailingFiles(tmp_path)).end_offset == 1
    assert disk.synced == [str(path)]


def test_a_log_that_could_not_be_recovered_is_not_clean(tmp_path: Path, disk: Disk) -> None:
    """The disk refuses it at one start, the broker stops in order, and the next start recovers it."""
    directory = LogDirectory.open(FailingFiles(tmp_path / "data"))
    log = directory.create("t", 0, UUID(int=1), LogConfig(segment_bytes=500))
    for _ in range(12):
        log.append(batch("v" * 50), leader_epoch=0, now_ms=NOW_MS)
    second = log.segments.base_offsets[1]
    directory.close(clean=False)
    path = tmp_path / "data" / "t-0" / f"{second:020}.log"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    disk.refuses = lambda operation, path: operation == "open" and path.startswith("t-0")
    LogDirectory.open(FailingFiles(tmp_path / "data")).close()
    disk.refuses = lambda operation, path: False
    again = LogDirectory.open(FailingFiles(tmp_path / "data")).get("t", 0)
    assert again is not None
    assert second <= again.end_offset < 8
