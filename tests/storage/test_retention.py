"""What retention deletes: decided on values, and done on logs."""

import errno
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.storage.disk_files import DiskFiles
from kpy.storage.files import Files
from kpy.storage.log_config import LogConfig
from kpy.storage.log_directory import LogDirectory
from kpy.storage.memory_files import MemoryFiles
from kpy.storage.partition_log import SEGMENTS_AT_ONCE, PartitionLog
from kpy.storage.retention import Doomed, SegmentSpan, old_segments
from tests.storage.batches import NOW_MS, batch, sized_batch
from tests.sweeps import examples

KEPT = LogConfig(retention_ms=-1, retention_bytes=-1)
BY_SIZE = replace(KEPT, retention_bytes=250)
BY_TIME = replace(KEPT, retention_ms=1000)


def span(end_offset: int, size_bytes: int, newest_ms: int | None) -> SegmentSpan:
    return SegmentSpan(end_offset, size_bytes, lambda: newest_ms)


SPANS = (
    span(10, 100, NOW_MS - 3000),
    span(20, 100, NOW_MS - 1001),
    span(30, 100, NOW_MS - 1000),
    span(40, 100, NOW_MS - 5000),
)


def decide(
    spans: Sequence[SegmentSpan], config: LogConfig, *, log_start_offset: int = 0, high_watermark: int = 40
) -> list[int]:
    return [
        doomed.segments
        for doomed in doomed_of(spans, config, log_start_offset=log_start_offset, high_watermark=high_watermark)
    ]


def doomed_of(
    spans: Sequence[SegmentSpan], config: LogConfig, *, log_start_offset: int, high_watermark: int
) -> list[Doomed]:
    found = old_segments(
        spans.__getitem__,
        len(spans),
        config,
        log_start_offset=log_start_offset,
        high_watermark=high_watermark,
        now_ms=NOW_MS,
    )
    return list(found)


def test_by_time() -> None:
    """The oldest go while the newest record in them is older than retention.ms; one that is not stops it."""
    assert decide(SPANS, BY_TIME) == [2]
    assert decide(SPANS, replace(BY_TIME, retention_ms=999)) == [4]
    assert decide(SPANS, KEPT) == []
    assert decide(SPANS, replace(BY_TIME, retention_ms=0), high_watermark=29) == [2]


def test_by_size() -> None:
    """The oldest go while at least retention.bytes are left; the active one too if that is nothing."""
    assert decide(SPANS, BY_SIZE) == [1]
    assert decide(SPANS, replace(BY_SIZE, retention_bytes=300)) == [1]
    assert decide(SPANS, replace(BY_SIZE, retention_bytes=301)) == []
    assert decide(SPANS, replace(BY_SIZE, retention_bytes=0)) == [4]
    assert decide(SPANS, replace(BY_SIZE, retention_bytes=0), high_watermark=20) == [2]


def test_before_the_log_start() -> None:
    """What lies before the log start goes whatever the policy, but never the active segment."""
    for policy in ("delete", "compact"):
        config = replace(KEPT, cleanup_policy=frozenset({policy}))
        assert decide(SPANS, config, log_start_offset=20) == [2]
        assert decide(SPANS, config, log_start_offset=29) == [2]
        assert decide(SPANS, config, log_start_offset=40) == [3]


def test_policies() -> None:
    """Age and size count with `delete` only, also beside `compact`."""
    for policy in ({"compact"}, set()):
        assert decide(SPANS, replace(BY_TIME, cleanup_policy=frozenset(policy))) == []
    assert decide(SPANS, replace(BY_TIME, cleanup_policy=frozenset({"compact", "delete"}))) == [2]


def test_one_after_the_other() -> None:
    """Log start, size and age are looked at in this order, each at what the one before has left."""
    config = replace(BY_TIME, retention_bytes=250)
    found = doomed_of(SPANS, config, log_start_offset=10, high_watermark=40)
    assert found == [Doomed(1, "the log starts at 10"), Doomed(1, "retention.ms is 1000")]


def test_an_empty_active_segment_stays() -> None:
    """A log keeps its last segment if there is nothing in it."""
    config = replace(KEPT, retention_ms=0, retention_bytes=0)
    assert decide([SPANS[0], span(10, 0, NOW_MS - 9000)], config) == [1]
    assert decide([span(10, 0, NOW_MS - 9000)], config) == []


def test_an_unknown_age_is_not_old() -> None:
    """A segment of which nothing says when it was written is kept."""
    assert decide([span(10, 100, None)], replace(KEPT, retention_ms=0)) == []


# --- on logs

CONFIG = LogConfig(segment_bytes=200, index_interval_bytes=0)


def new_log(files: Files, config: LogConfig = CONFIG, segments: int = 4) -> PartitionLog:
    """A log of so many segments of two batches each, written at NOW_MS, NOW_MS + 1 ..."""
    log = LogDirectory.open(files).create("topic", 0, UUID(int=7), config)
    for number in range(2 * segments):
        log.append(sized_batch(100, timestamp=NOW_MS + number), leader_epoch=number // 2, now_ms=NOW_MS)
    assert len(log.segments.base_offsets) == segments
    return log


def delete_old(log: PartitionLog, now_ms: int = NOW_MS) -> int:
    log.give_up_old_segments(high_watermark=log.end_offset, now_ms=now_ms)
    log.start_on_disk = log.log_start_offset
    deleted = log.remove_deleted()
    log.check_invariants()
    return deleted


def test_old_segments_of_a_log(files: Files) -> None:
    """The log starts behind what was deleted: earlier offsets are out of range, epochs and files follow."""
    log = new_log(files, replace(CONFIG, retention_ms=1000))
    assert delete_old(log, NOW_MS + 1003) == 1
    assert delete_old(log, NOW_MS + 1003) == 0
    assert (log.log_start_offset, log.segments.base_offsets) == (2, (2, 4, 6))
    with pytest.raises(KafkaError) as caught:
        log.read(1, 1000, up_to=8, at_least_one=True)
    assert caught.value.code is ErrorCode.OFFSET_OUT_OF_RANGE
    assert log.end_offset_for_epoch(0) == (0, 2)
    assert not [name for name in files.list("topic-0") if name.startswith("00000000000000000000.")]


def test_everything_is_old(files: Files) -> None:
    """If the active segment is too old as well, the log rolls first and goes on at its end."""
    log = new_log(files, replace(CONFIG, retention_ms=1000))
    assert delete_old(log, NOW_MS + 10_000) == 4
    assert (log.log_start_offset, log.end_offset, log.segments.base_offsets) == (8, 8, (8,))
    assert log.append(batch("new"), leader_epoch=9, now_ms=NOW_MS).base_offset == 8
    assert delete_old(log, NOW_MS + 1000) == 0


def test_too_large(files: Files) -> None:
    """By size whole segments go, as long as retention.bytes are left."""
    log = new_log(files, replace(CONFIG, retention_bytes=450))
    assert delete_old(log) == 1
    assert log.size_bytes == 600


def test_records_without_a_timestamp_are_as_old_as_their_writing(files: Files) -> None:
    """Where no record has a timestamp, it counts when the segment was written, also after a restart."""
    log = new_log(files, replace(CONFIG, retention_ms=1000), segments=1)
    for _ in range(2):
        log.append(sized_batch(200, timestamp=-1), leader_epoch=9, now_ms=NOW_MS + 5000)
    log.config = replace(CONFIG, retention_ms=1000)
    assert delete_old(log, NOW_MS + 6000) == 1
    assert delete_old(log, NOW_MS + 6001) == 2


def test_the_time_of_a_file(tmp_path: Path) -> None:
    """After a restart the file says when it was written."""
    logs = LogDirectory.open(DiskFiles(tmp_path))
    log = logs.create("topic", 0, UUID(int=7), CONFIG)
    log.append(batch("v", timestamp=-1), leader_epoch=0, now_ms=NOW_MS)
    logs.close()
    os.utime(tmp_path / "topic-0" / "00000000000000000000.log", (NOW_MS / 1000, NOW_MS / 1000))

    again = LogDirectory.open(DiskFiles(tmp_path)).get("topic", 0)
    assert again is not None
    again.config = replace(CONFIG, retention_ms=1000)
    assert delete_old(again, NOW_MS + 1000) == 0
    assert delete_old(again, NOW_MS + 1001) == 1


def test_some_at_a_time() -> None:
    """Of a long log a few segments go at once, and the next calls remove the rest."""
    log = new_log(MemoryFiles(), segments=3 * SEGMENTS_AT_ONCE + 2)
    log.delete_records_before(2 * SEGMENTS_AT_ONCE * 2 + 1)
    assert log.log_start_offset == 4 * SEGMENTS_AT_ONCE + 1
    assert [delete_old(log), delete_old(log), delete_old(log)] == [SEGMENTS_AT_ONCE, SEGMENTS_AT_ONCE, 0]
    assert log.segments.base_offsets[0] == 4 * SEGMENTS_AT_ONCE


def test_deleted_files_are_handed_over(files: Files) -> None:
    """Files get their new name at once; who removes them is told which, and after what time."""
    log = new_log(files, replace(CONFIG, retention_ms=1000, file_delete_delay_ms=77), segments=2)
    handed: list[tuple[list[str], int]] = []
    log.context.remove_later = lambda paths, delay_ms: handed.append((sorted(paths), delay_ms))
    delete_old(log, NOW_MS + 1002)

    first = "topic-0/00000000000000000000"
    assert handed == [([f"{first}.index.deleted", f"{first}.log.deleted", f"{first}.timeindex.deleted"], 77)]
    assert all(files.exists(path) for path in handed[0][0])


def test_a_deleted_segment_is_sent_to_its_end(files: Files) -> None:
    """What was read before it was deleted can be sent after it."""
    log = new_log(files, replace(CONFIG, retention_ms=1000))
    (part,) = log.read(0, 1000, up_to=8, at_least_one=True).parts
    before = bytes(part.read())
    delete_old(log, NOW_MS + 10_000)
    assert bytes(part.read()) == before


def test_a_deletion_that_was_cut_short(files: Files, after_kill: Callable[[], Files]) -> None:
    """The next start removes what is called deleted; what was deleted stays so, though nothing was checkpointed."""
    log = new_log(files, replace(CONFIG, retention_ms=1000))
    log.context.remove_later = lambda paths, delay_ms: None
    delete_old(log, NOW_MS + 1005)

    left = after_kill()
    again = LogDirectory.open(left).get("topic", 0)
    assert again is not None
    assert (again.log_start_offset, again.end_offset) == (4, 8)
    assert not any(name.endswith(".deleted") for name in left.list("topic-0"))


def test_a_disk_that_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A segment that cannot be deleted stays, and so do those behind it; the next time it goes on there."""
    files = MemoryFiles()
    log = new_log(files, replace(CONFIG, retention_ms=1000))
    rename = files.rename

    def refuse(path: str, target: str) -> None:
        if path.endswith("2.log"):
            raise OSError(errno.EIO, "no")
        rename(path, target)

    monkeypatch.setattr(MemoryFiles, "rename", lambda _files, path, target: refuse(path, target))
    with pytest.raises(OSError, match="no"):
        delete_old(log, NOW_MS + 1005)
    log.check_invariants()
    assert log.segments.base_offsets == (2, 4, 6)
    monkeypatch.undo()
    assert delete_old(log, NOW_MS + 1005) == 1
    assert log.segments.base_offsets == (4, 6)


@settings(max_examples=examples(100))
@given(
    written=st.lists(st.tuples(st.sampled_from([80, 100, 150]), st.integers(0, 2000)), min_size=1, max_size=12),
    retention_bytes=st.sampled_from([-1, 0, 100, 300, 600]),
    retention_ms=st.sampled_from([-1, 0, 500, 1500]),
    start=st.integers(0, 12),
    cleanup_policy=st.sampled_from(
        [frozenset(policy) for policy in (("delete",), ("compact",), ("compact", "delete"), ())]
    ),
)
def test_against_the_obvious(
    written: list[tuple[int, int]],
    retention_bytes: int,
    retention_ms: int,
    start: int,
    cleanup_policy: frozenset[str],
) -> None:
    """One at a time, the oldest segment goes as long as one of the three rules says so; the log is what is left."""
    config = replace(CONFIG, segment_bytes=150)  # one batch in each
    log = LogDirectory.open(MemoryFiles()).create("topic", 0, UUID(int=7), config)
    for size, age_ms in written:
        log.append(sized_batch(size, timestamp=NOW_MS - age_ms), leader_epoch=0, now_ms=NOW_MS)
    end = len(written)
    left = [(offset, size, age_ms) for offset, (size, age_ms) in enumerate(written)]
    start = min(start, end)
    while len(left) > 1 and left[1][0] <= start:
        del left[0]
    if "delete" in cleanup_policy:
        while left and 0 <= retention_bytes <= sum(size for _, size, _ in left[1:]):
            del left[0]
        while left and 0 <= retention_ms < left[0][2]:
            del left[0]

    log.delete_records_before(start)
    log.config = replace(
        config, cleanup_policy=cleanup_policy, retention_bytes=retention_bytes, retention_ms=retention_ms
    )
    delete_old(log)

    assert log.segments.base_offsets == (tuple(offset for offset, _, _ in left) or (end,))
    assert log.log_start_offset == max(start, left[0][0] if left else end)
    assert [header.base_offset for header in (found.header for found in log.batches(0))] == [
        offset for offset, _, _ in left
    ]


def test_a_segment_whose_file_has_vanished(tmp_path: Path) -> None:
    """It goes like any other, and so do those behind it."""
    directory = LogDirectory.open(DiskFiles(tmp_path))
    log = directory.create("t", 0, UUID(int=1), LogConfig(segment_bytes=500, retention_bytes=0))
    for _ in range(12):
        log.append(batch("v" * 50), leader_epoch=0, now_ms=NOW_MS)
    (tmp_path / "t-0" / f"{0:020}.log").unlink()
    log.give_up_old_segments(high_watermark=log.end_offset, now_ms=NOW_MS)
    directory.checkpoint()
    log.remove_deleted()
    assert log.segments.base_offsets == (12,)
