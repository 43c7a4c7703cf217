"""A compacted segment takes the place of others in one step, wherever the process ends."""

import errno
from collections.abc import Iterator

import pytest

from kpy.protocol.crc import Buffer
from kpy.protocol.records import build_batch, read_batches
from kpy.storage import checkpoints
from kpy.storage.files import File, Files
from kpy.storage.log_directory import LogDirectory
from kpy.storage.memory_files import MemoryFile, MemoryFiles
from kpy.storage.partition_log import PartitionLog
from kpy.storage.segment_swap import SwapIncomplete, finish_swaps
from tests.storage.batches import NOW_MS, batch
from tests.storage.compacting import COMPACTED, a_round, compact, last_records, new_log, stored, take_all
from tests.storage.conftest import copy_of


class FreezingFile(MemoryFile):
    """A file of such a disk."""

    __slots__ = ("disk",)

    disk: "FreezingFiles"

    def append(self, data: Buffer) -> None:
        if self.disk.freezes():
            super().append(memoryview(data)[: len(data) // 2])
            self.disk.refuse()
        super().append(data)


class FreezingFiles(MemoryFiles):
    """A disk that stops at its n-th change, and makes half of it if that is a write; after it, it refuses them all."""

    __slots__ = ("changes_left",)

    def __init__(self) -> None:
        super().__init__()
        self.changes_left = 1 << 60

    def freezes(self) -> bool:
        self.changes_left -= 1
        return self.changes_left <= 0

    def refuse(self) -> None:
        raise OSError(errno.EIO, "frozen")

    def _change(self) -> None:
        if self.freezes():
            self.refuse()

    def open(self, path: str) -> MemoryFile:
        directory, _, name = path.rpartition("/")
        if name not in self._directories[directory]:
            self._change()
            made = FreezingFile()
            made.disk = self
            self._directories[directory][name] = made
        return super().open(path)

    def replace(self, path: str, data: bytes, *, sync: bool = True) -> None:
        self._change()
        super().replace(path, data, sync=sync)

    def rename(self, path: str, target: str) -> None:
        self._change()
        super().rename(path, target)

    def move(self, file: File, path: str, target: str) -> None:
        self.rename(path, target)

    def remove(self, path: str) -> None:
        if self.exists(path):
            self._change()
        super().remove(path)


def filled(files: Files) -> PartitionLog:
    """A log of several groups of segments, with producers, tombstones and keys that come again."""
    log = new_log(files, segment_bytes=600)
    for number in range(24):
        records = [(b"k", b"%d" % number), (b"%d" % (number % 5), None if number % 7 == 3 else b"v%d" % number)]
        producer = {"producer_id": number % 3, "producer_epoch": 0, "base_sequence": number // 3 * 2}
        log.append(build_batch(records, timestamp=NOW_MS, **producer), leader_epoch=0, now_ms=NOW_MS)
    log.flush()
    flushed = {(log.topic, log.partition): log.recovery_point}
    files.replace(checkpoints.RECOVERY_POINT, checkpoints.encode_offsets(flushed))
    return log


def reopened(files: Files) -> PartitionLog:
    log = LogDirectory.open(files).get("topic", 0)
    assert log is not None
    log.config = COMPACTED
    log.check_invariants()
    return log


def values(log: PartitionLog) -> dict[bytes | None, bytes | None]:
    return {record.key: record.value for record in stored(log)}


def test_a_crash_at_any_change() -> None:
    """The next start has every key's last value, at its offset, and the producers; nothing is left over, and the round
    that was cut short can be made again, with the same end."""
    whole = filled(MemoryFiles())
    expected, last = values(whole), last_records(whole)
    compact(whole)
    after = stored(whole)
    for changes in range(1, 1000):
        files = FreezingFiles()
        log = filled(files)
        before = stored(log)
        files.changes_left = changes
        try:
            take_all(a_round(log).steps())
        except (OSError, SwapIncomplete):
            pass
        else:
            break
        left = copy_of(files)
        again = reopened(left)

        assert again.end_offset == log.end_offset
        assert values(again) == expected
        assert set(stored(again)) <= set(before)
        assert last_records(again) == last
        assert not [name for name in left.list("topic-0") if name.endswith((".cleaned", ".swap", ".deleted", ".tmp"))]
        compact(again)
        assert stored(again) == after
        assert values(reopened(copy_of(left))) == expected
    else:
        raise AssertionError("the round has no end")
    assert changes > 30


def test_a_disk_that_refuses_a_while() -> None:
    """Wherever a round fails, the log that is open has every key's last value, and goes on."""
    for changes in range(1, 1000):
        disk = FreezingFiles()
        log = filled(disk)
        expected = values(log)
        disk.changes_left = changes
        try:
            take_all(a_round(log).steps())
        except (OSError, SwapIncomplete):
            disk.changes_left = 1 << 60
        else:
            return
        log.check_invariants()
        assert values(log) == expected
        log.append(batch("more"), leader_epoch=0, now_ms=NOW_MS)
        log.close()
        assert values(reopened(copy_of(disk))) == expected | {b"key": b"more"}
    raise AssertionError("the round has no end")


def test_readers_of_the_old_segments(files: Files) -> None:
    """What was read before a swap is sent whole after it, and a walk that has begun comes to its end."""
    log = filled(files)
    (part,) = log.read(0, 10_000, up_to=log.end_offset, at_least_one=True).parts
    before = bytes(part.read())
    all_before = stored(log)
    walk = log.batches(0)
    walked = list(next(walk))
    compact(log)

    assert bytes(part.read()) == before
    for found in walk:
        walked += found
    assert [record.offset for record in walked] == [record.offset for record in all_before]
    assert len(stored(log)) < len(all_before)


def test_reading_where_nothing_is_left(files: Files) -> None:
    """A read from an offset that compaction has removed begins with what comes after it."""
    log = filled(files)
    compact(log)
    first = stored(log)[0].offset
    assert first > 0
    for offset in range(first):
        assert log.read(offset, 10_000, up_to=log.end_offset, at_least_one=True).size_bytes > 0


# --- what a start finds

BASES = (0, 10, 20)


@pytest.fixture
def directory(files: Files) -> str:
    """A log of three segments with two records each, and one to append to."""
    files.make_directory("t-0")
    for base in (*BASES, 30):
        write(files, f"{base:020d}.log", base, f"old {base}")
        files.replace(f"t-0/{base:020d}.index", b"")
    return "t-0"


def write(files: Files, name: str, base: int, value: str) -> None:
    file = files.open(f"t-0/{name}")
    file.append(batch(value, "x", base_offset=base))


def first_values(files: Files) -> Iterator[tuple[int, bytes]]:
    """Of each segment that is there, what it begins with."""
    for name in sorted(files.list("t-0")):
        if name.endswith(".log"):
            for found in read_batches(files.read(f"t-0/{name}") or b""):
                yield int(name[:20]), next(iter(found)).value or b""


OLD = [(0, b"old 0"), (10, b"old 10"), (20, b"old 20"), (30, b"old 30")]


@pytest.mark.parametrize("leftovers", [["log.cleaned"], ["log.cleaned", "index.cleaned", "timeindex.cleaned"]])
def test_what_was_not_complete_goes(files: Files, directory: str, leftovers: list[str]) -> None:
    """Before a segment is on the disk, the old ones are what counts."""
    for leftover in leftovers:
        write(files, f"{10:020d}.{leftover}", 10, "new")
    finish_swaps(files, directory)
    assert list(first_values(files)) == OLD
    assert all(name.endswith((".log", ".index")) for name in files.list(directory))


def test_half_of_the_names(files: Files, directory: str) -> None:
    """As long as one of its files is called `.cleaned`, a segment is not complete."""
    write(files, f"{10:020d}.log.swap", 10, "new")
    write(files, f"{10:020d}.index.cleaned", 10, "new")
    finish_swaps(files, directory)
    assert list(first_values(files)) == OLD


def test_the_new_one_is_complete(files: Files, directory: str) -> None:
    """The segments that it was made from go, with all that belongs to them, and no others."""
    file = files.open(f"t-0/{0:020d}.log.swap")
    file.append(batch("new", base_offset=1))
    file.append(batch("last", base_offset=11))
    write(files, f"{0:020d}.index.swap", 0, "new")
    for name in (f"{10:020d}.snapshot", f"{20:020d}.snapshot", f"{10:020d}.log.deleted", "leader-epoch-checkpoint"):
        files.replace(f"t-0/{name}", b"")
    finish_swaps(files, directory)
    assert list(first_values(files)) == [(0, b"new"), (0, b"last"), *OLD[2:]]
    assert sorted(files.list(directory)) == sorted(
        [f"{base:020d}{suffix}" for base in (0, 20, 30) for suffix in (".log", ".index")]
        + [f"{20:020d}.snapshot", "leader-epoch-checkpoint"]
    )


def test_only_the_names_of_indexes_are_left(files: Files, directory: str) -> None:
    """A segment that is in place gets its indexes, and loses no neighbour."""
    files.replace(f"t-0/{10:020d}.index.swap", b"of the new one")
    finish_swaps(files, directory)
    assert list(first_values(files)) == OLD
    assert files.read(f"t-0/{10:020d}.index") == b"of the new one"


def test_nothing_to_finish(files: Files, directory: str) -> None:
    """A log that nobody compacted is not touched, nor one that is not there."""
    before = sorted(files.list(directory))
    finish_swaps(files, directory)
    finish_swaps(files, "not-there-0")
    assert sorted(files.list(directory)) == before


def test_a_start_that_ends_in_the_middle() -> None:
    """Finishing a swap can be finished itself, wherever it was cut short."""
    for changes in range(1, 100):
        files = FreezingFiles()
        files.make_directory("t-0")
        for base in (*BASES, 30):
            write(files, f"{base:020d}.log", base, f"old {base}")
        write(files, f"{0:020d}.log.swap", 0, "new")
        write(files, f"{0:020d}.log.swap", 10, "last")
        write(files, f"{0:020d}.index.swap", 0, "new")
        files.changes_left = changes
        try:
            finish_swaps(files, "t-0")
        except OSError:
            left = copy_of(files)
            finish_swaps(left, "t-0")
            assert list(first_values(left)) == [(0, b"new"), (0, b"last"), *OLD[2:]]
        else:
            return
    raise AssertionError("it has no end")


def test_indexes_and_snapshots_are_derived() -> None:
    """A compacted log opens as it was also if only its batches are left."""
    files = MemoryFiles()
    log = filled(files)
    compact(log)
    left = copy_of(files)
    for name in left.list("topic-0"):
        if name.endswith((".index", ".timeindex", ".snapshot")):
            left.remove(f"topic-0/{name}")
    again = reopened(left)
    assert stored(again) == stored(log)
    assert last_records(again) == last_records(log)
