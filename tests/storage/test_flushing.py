"""A plan brings onto the disk what was there when it was made, and a sync that failed is not believed the next time."""

from pathlib import Path
from uuid import UUID

import pytest

from kpy.storage.batch_validation import TooMuchWork
from kpy.storage.disk_files import DiskFiles
from kpy.storage.files import Files
from kpy.storage.flushing import FlushPlan
from kpy.storage.log_directory import LogDirectory
from kpy.storage.partition_log import LogConfig, PartitionLog
from tests.server.failing_files import Disk, FailingFiles, disk
from tests.storage.batches import NOW_MS, sized_batch

__all__ = ["disk"]

LOG = "topic-0/00000000000000000000.log"
THREE_TO_A_SEGMENT = LogConfig(segment_bytes=300)


def new_log(files: Files, config: LogConfig = THREE_TO_A_SEGMENT) -> PartitionLog:
    return LogDirectory.open(files).create("topic", 0, UUID(int=7), config)


def append(log: PartitionLog, count: int = 1) -> None:
    for _ in range(count):
        log.append(sized_batch(100), leader_epoch=0, now_ms=NOW_MS)


def begin(log: PartitionLog) -> FlushPlan:
    plan = log.begin_flush()
    assert plan is not None
    return plan


@pytest.fixture
def failing(tmp_path: Path, disk: Disk) -> FailingFiles:
    return FailingFiles(tmp_path)


def test_a_plan_covers_what_was_there(files: Files) -> None:
    """What is appended while it is carried out needs another one; where nothing is new there is none."""
    log = new_log(files)
    assert log.begin_flush() is None
    append(log, 2)
    plan = begin(log)
    append(log)
    plan.run()
    log.flushed(plan)
    assert log.recovery_point == 2
    log.flush()
    assert log.recovery_point == 3
    assert log.begin_flush() is None


def test_who_may_not_wait_does_not_roll_before_the_names_are_synced(tmp_path: Path) -> None:
    """A client's batch is for another thread; the broker's own go where they would not, and that is flushed soon."""
    log = new_log(DiskFiles(tmp_path))
    append(log, 3)
    next_batch = sized_batch(100)
    assert log.waits_to_roll(next_batch, NOW_MS)
    with pytest.raises(TooMuchWork):
        log.append(next_batch, leader_epoch=0, now_ms=NOW_MS, quick=True)
    log.append_records([(b"k", b"v")], leader_epoch=0, now_ms=NOW_MS, quick=True)
    assert list(log.segments.base_offsets) == [0]
    log.flush()
    assert not log.waits_to_roll(next_batch, NOW_MS)
    log.append(next_batch, leader_epoch=0, now_ms=NOW_MS, quick=True)
    assert list(log.segments.base_offsets) == [0, 4]


def test_a_late_roll_is_flushed_soon(tmp_path: Path) -> None:
    """Though the segment is not even half full: it is its time that has come."""
    log = new_log(DiskFiles(tmp_path), LogConfig(segment_ms=1000))
    for now_ms in (NOW_MS, NOW_MS + 2000):
        assert not log.must_flush_soon
        log.append_records([(b"k", b"v")], leader_epoch=0, now_ms=now_ms, quick=True)
    assert log.must_flush_soon
    log.flush()
    assert not log.must_flush_soon


def test_what_a_segment_cannot_hold_is_refused_until_the_log_may_roll(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Offsets in an index are of 31 bits: no late roll goes beyond."""
    monkeypatch.setattr("kpy.storage.segment.RELATIVE_OFFSET_MAX", 2)
    log = new_log(DiskFiles(tmp_path))
    append(log, 3)
    with pytest.raises(BlockingIOError, match="names are on the disk"):
        log.append_records([(b"k", b"v")], leader_epoch=0, now_ms=NOW_MS, quick=True)
    assert (log.end_offset, log.must_flush_soon) == (3, True)
    log.flush()
    log.append_records([(b"k", b"v")], leader_epoch=0, now_ms=NOW_MS, quick=True)
    assert list(log.segments.base_offsets) == [0, 3]


def test_whether_a_flush_is_due(files: Files) -> None:
    """flush.messages counts from the recovery point."""
    log = new_log(files, LogConfig(flush_messages=3))
    append(log, 2)
    assert not log.flush_is_due
    append(log, 1)
    assert log.flush_is_due
    log.flush()
    assert not log.flush_is_due


def test_what_is_synced(failing: FailingFiles, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The segments that changed; beside them the names, where they are new, and what is not derived.

    The directory of a new log also when it first rolls.
    """
    synced: list[str] = []
    monkeypatch.setattr(FailingFiles, "sync", lambda self, path: synced.append(path))
    monkeypatch.setattr(FailingFiles, "sync_directory", lambda self, path="": synced.append(path or "top"))
    log = new_log(failing)
    names = ["topic-0/partition.metadata", "topic-0/leader-epoch-checkpoint", "topic-0", "top"]
    synced.clear()
    append(log, 4)
    assert synced == ["topic-0"]
    synced.clear()
    log.flush()
    assert [Path(path).name for path in disk.synced] == [f"{0:020}.log", f"{3:020}.log"]
    assert synced == names
    append(log)
    log.flush()
    assert [Path(path).name for path in disk.synced[2:]] == [f"{3:020}.log"]
    assert synced == names
    append(log, 2)
    log.flush()
    assert synced == names * 2


def test_names_that_are_new_while_a_plan_is_carried_out(failing: FailingFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are for the next one."""
    synced: list[str] = []
    log = new_log(failing)
    append(log, 3)
    plan = begin(log)
    append(log)
    plan.run()
    log.flushed(plan)
    monkeypatch.setattr(FailingFiles, "sync_directory", lambda self, path="": synced.append(path))
    log.flush()
    assert synced == ["topic-0", ""]


def test_after_a_sync_that_failed_all_is_written_again(failing: FailingFiles, disk: Disk) -> None:
    """From the recovery point on, byte for byte, until a sync has succeeded: the kernel may have given it up."""
    log = new_log(failing)
    append(log, 2)
    log.flush()
    append(log, 3)
    before = [failing.read(f"topic-0/{base:020}.log") for base in (0, 3)]
    disk.refuses = lambda operation, path: operation == "sync"
    for _ in range(2):
        with pytest.raises(OSError, match="No space"):
            log.flush()
        assert log.recovery_point == 2
    again = [(Path(path).name, position, size) for path, position, size in disk.written_again]
    assert again == [(f"{0:020}.log", 200, 100)]
    disk.refuses = lambda operation, path: False
    disk.written_again.clear()
    log.flush()
    again = [(Path(path).name, position, size) for path, position, size in disk.written_again]
    assert again == [(f"{0:020}.log", 200, 100), (f"{3:020}.log", 0, 100), (f"{3:020}.log", 100, 100)]
    assert [failing.read(f"topic-0/{base:020}.log") for base in (0, 3)] == before
    assert log.recovery_point == 5
    disk.written_again.clear()
    append(log)
    log.flush()
    assert disk.written_again == []


def test_what_the_kernel_has_lost_is_never_called_flushed(failing: FailingFiles, disk: Disk) -> None:
    """The recovery point stays before it, so that the next start cuts the log there."""
    log = new_log(failing)
    append(log)
    log.flush()
    append(log, 2)
    disk.refuses = lambda operation, path: operation == "sync"
    with pytest.raises(OSError, match="No space"):
        log.flush()
    disk.refuses = lambda operation, path: False
    with (Path(failing.location) / LOG).open("r+b") as file:
        file.seek(250)
        file.write(bytes(50))
    for _ in range(2):
        with pytest.raises(OSError, match="byte 200 did not outlive a failed write"):
            log.flush()
    assert log.recovery_point == 1


def test_a_directory_that_vanished_is_not_flushed(tmp_path: Path) -> None:
    """What is open can be synced, but nobody would find it."""
    log = new_log(DiskFiles(tmp_path / "data"))
    append(log)
    (tmp_path / "data" / "topic-0").rename(tmp_path / "away")
    with pytest.raises(FileNotFoundError):
        log.flush()
    (tmp_path / "away").rename(tmp_path / "data" / "topic-0")
    log.flush()
    assert log.recovery_point == 1
