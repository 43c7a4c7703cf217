"""A checkpoint says how far a log is flushed, but no more than is on the disk of what is known of its producers."""

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import pytest

from kpy.storage.files import Files
from kpy.storage.log_directory import LogDirectory
from kpy.storage.partition_log import AppendResult, LogConfig, PartitionLog
from kpy.storage.restart_points import capture, restart_point, secure, store
from kpy.storage.snapshots import Capture
from tests.storage.batches import NOW_MS, sized_batch
from tests.storage.test_quarantine import flip
from tests.storage.transactions import abort
from tests.storage.transactions import send as send_in_transaction

FIVE_TO_A_SEGMENT = LogConfig(segment_bytes=500)
FLUSHED = replace(FIVE_TO_A_SEGMENT, flush_ms=1000)
FIRST_LOG = "topic-0/00000000000000000000.log"


@pytest.fixture
def directory(files: Files) -> LogDirectory:
    return LogDirectory.open(files)


def new_log(directory: LogDirectory, config: LogConfig = FIVE_TO_A_SEGMENT) -> PartitionLog:
    return directory.create("topic", 0, UUID(int=7), config)


def send(log: PartitionLog, sequence: int) -> AppendResult:
    records = sized_batch(100, producer_id=5, producer_epoch=0, base_sequence=sequence)
    return log.append(records, leader_epoch=0, now_ms=NOW_MS)


def send_all(log: PartitionLog, count: int) -> None:
    for _ in range(count):
        send(log, log.end_offset)


def snapshots(directory: LogDirectory) -> list[int]:
    return sorted(int(name[:20]) for name in directory.files.list("topic-0") if name.endswith(".snapshot"))


def reopened(files: Files) -> PartitionLog:
    log = LogDirectory.open(files).get("topic", 0)
    assert log is not None
    log.config = FIVE_TO_A_SEGMENT
    return log


def flushed_and_captured(directory: LogDirectory) -> tuple[PartitionLog, Capture]:
    """A log whose producers' snapshot is only to be stored."""
    log = new_log(directory, FLUSHED)
    send_all(log, 2)
    captured = capture(log)
    assert captured is not None
    log.flush()
    return log, captured


def test_without_producers_it_is_the_recovery_point(directory: LogDirectory) -> None:
    """There is nothing to know."""
    log = new_log(directory, FLUSHED)
    log.append(sized_batch(100), leader_epoch=0, now_ms=NOW_MS)
    log.flush()
    log.append(sized_batch(100), leader_epoch=0, now_ms=NOW_MS)
    assert capture(log) is None
    assert restart_point(log) == 1


def test_a_roll_is_a_restart_point(directory: LogDirectory) -> None:
    """Where nothing is flushed but what has rolled, no other snapshot is taken while producers write."""
    log = new_log(directory)
    send_all(log, 7)
    log.flush()
    send_all(log, 1)
    assert (log.recovery_point, restart_point(log)) == (7, 5)
    assert capture(log) is None
    assert snapshots(directory) == [5]


def test_producers_that_write_no_more(directory: LogDirectory) -> None:
    """They are known as they were at the recovery point: that takes no flush, and is done once."""
    log = new_log(directory)
    send_all(log, 7)
    log.flush()
    log.append(sized_batch(100), leader_epoch=0, now_ms=NOW_MS)
    secure(log)
    assert (log.recovery_point, restart_point(log), snapshots(directory)) == (7, 7, [5, 7])
    assert capture(log) is None
    log.flush()
    assert capture(log) is None
    assert restart_point(log) == 8


def test_producers_that_go_on_writing(directory: LogDirectory) -> None:
    """A log that is flushed is so up to where they are known."""
    log = new_log(directory, FLUSHED)
    send_all(log, 2)
    log.flush()
    send_all(log, 2)
    assert restart_point(log) == 0
    secure(log)
    assert (log.recovery_point, restart_point(log), snapshots(directory)) == (4, 4, [4])


def test_what_is_superseded_goes_when_no_start_needs_it(directory: LogDirectory) -> None:
    """The snapshots of segments stay, and the one that a start from the checkpoint on the disk needs."""
    log = new_log(directory, FLUSHED)
    for count in (1, 1, 1, 4):
        send_all(log, count)
        log.flush()
        secure(log, directory.restart_point_on_disk(log))
        directory.checkpoint()
    assert snapshots(directory) == [3, 5, 7]
    send_all(log, 1)
    log.flush()
    secure(log, 3)
    assert snapshots(directory) == [3, 5, 7, 8]
    directory.close()
    assert snapshots(directory) == [5, 8]


def test_a_log_that_is_deleted_meanwhile(directory: LogDirectory) -> None:
    """A new one of the same name gets no snapshot of it."""
    log, captured = flushed_and_captured(directory)
    steps = store(log, captured, 0)
    write = next(steps)
    directory.delete("topic", 0)
    directory.create("topic", 0, UUID(int=8))
    write()
    assert list(steps) == []
    names = directory.files.list("topic-0")
    assert not any("snapshot" in name for name in names)


def test_storing_a_snapshot_that_is_given_up(directory: LogDirectory) -> None:
    """When it does not get its name, nothing of it is left by a clean stop."""
    log, captured = flushed_and_captured(directory)
    next(store(log, captured, 0))()
    assert [name for name in directory.files.list("topic-0") if ".snapshot" in name] == [f"{2:020}.snapshot.new.tmp"]
    directory.close()
    assert [name for name in directory.files.list("topic-0") if ".snapshot" in name] == [f"{2:020}.snapshot"]


def test_a_roll_while_a_snapshot_is_stored(directory: LogDirectory) -> None:
    """At the same offset there is one, and later ones are behind it."""
    log = new_log(directory, FLUSHED)
    send_all(log, 5)
    captured = capture(log)
    assert captured is not None
    log.flush()
    for number, step in enumerate(store(log, captured, 0)):
        send_all(log, 5 if number else 1)
        step()
    assert list(log.segments.snapshots.offsets) == snapshots(directory) == [5, 10]
    assert restart_point(log) == 5


@pytest.mark.parametrize("number", range(4))
def test_damage_before_it(directory: LogDirectory, after_kill: Callable[[], Files], number: int) -> None:
    """The last sequence is known, as are batches before it that are not damaged; the next is taken."""
    log = new_log(directory, FLUSHED)
    send_all(log, 4)
    secure(log)
    directory.checkpoint()
    left = after_kill()
    flip(left, FIRST_LOG, 100 * number + 99, 1)
    again = reopened(left)
    assert again.end_offset == 4
    for sequence in {0, 1, 2, 3} - ({number} - {3}):
        assert send(again, sequence).duplicate
    assert send(again, 4).base_offset == 4


def test_a_torn_snapshot_of_a_roll(directory: LogDirectory, after_kill: Callable[[], Files]) -> None:
    """The one that the checkpoint stands on is there as long as the next may not be on the disk."""
    log = new_log(directory, FLUSHED)
    send_all(log, 4)
    secure(log)
    directory.checkpoint()
    send_all(log, 3)
    left = after_kill()
    LogDirectory.open(left).close(clean=False)
    left.replace("topic-0/00000000000000000005.snapshot", b"")
    flip(left, FIRST_LOG, 399, 1)
    again = reopened(left)
    assert again.end_offset == 7
    assert send(again, 7).base_offset == 7


def test_transactions_are_found_in_the_log_all_the_same(
    directory: LogDirectory, after_kill: Callable[[], Files]
) -> None:
    """A snapshot knows nothing of those that were aborted, and more of producers than a damaged log."""
    log = new_log(directory, replace(FLUSHED, segment_bytes=10_000))
    send_in_transaction(log, 1, 0)
    abort(log, 1)
    send_in_transaction(log, 1, 1)
    damaged = sized_batch(100, producer_id=5, producer_epoch=0, base_sequence=0)
    log.append(damaged, leader_epoch=0, now_ms=NOW_MS)
    secure(log)
    directory.checkpoint()
    send_in_transaction(log, 1, 2)
    abort(log, 1)
    known = log.aborted_transactions(0, 6)
    left = after_kill()
    flip(left, FIRST_LOG, (left.read(FIRST_LOG) or b"").index(bytes(damaged)) + 90, 1)
    again = reopened(left)
    assert [entry[:3] for entry in again.aborted_transactions(0, 6)] == [entry[:3] for entry in known]
    assert [entry[:3] for entry in known] == [(1, 0, 1), (1, 2, 5)]
    assert send(again, 1).base_offset == 6
