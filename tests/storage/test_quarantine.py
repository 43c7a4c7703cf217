"""Damage to what was flushed: what it costs, what it does not, and what is said of it."""

import logging
import random
import struct
from collections.abc import Callable
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpy.protocol.errors import KafkaError
from kpy.protocol.records import read_batches
from kpy.storage.files import Files
from kpy.storage.log_config import LogConfig
from kpy.storage.log_directory import LogDirectory
from kpy.storage.memory_files import MemoryFiles
from kpy.storage.partition_log import PartitionLog
from kpy.storage.quarantine import Damage, Quarantine
from kpy.storage.restart_points import secure
from tests.storage.batches import NOW_MS, batch, sized_batch
from tests.storage.compacting import compact, new_log, pairs
from tests.storage.conftest import copy_of
from tests.sweeps import examples

TOPIC_ID = UUID(int=77)
SMALL = LogConfig(segment_bytes=1000, index_interval_bytes=250)
SIZE = 100
COUNT = 35
FIRST, SECOND, THIRD, LAST = (f"topic-0/{base:020}.log" for base in (0, 10, 20, 30))


def filled(config: LogConfig = SMALL, *, clean: bool = True) -> MemoryFiles:
    """A log of 35 batches of one record and 100 bytes: three segments of ten, and one of five."""
    files = MemoryFiles()
    directory = LogDirectory.open(files)
    log = directory.create("topic", 0, TOPIC_ID, config)
    for number in range(COUNT):
        log.append(sized(number), leader_epoch=number // 10, now_ms=NOW_MS)
    if clean:
        directory.close()
    else:
        directory.flush()
        secure(log)
        directory.checkpoint()
    return copy_of(files)


def sized(number: int) -> bytearray:
    return sized_batch(SIZE, timestamp=NOW_MS + number, producer_id=5, producer_epoch=0, base_sequence=number)


def reopen(files: Files, config: LogConfig = SMALL) -> PartitionLog:
    log = LogDirectory.open(files).get("topic", 0)
    assert log is not None
    log.config = config
    return log


def fetch(log: PartitionLog, offset: int, max_bytes: int = 1 << 20) -> list[int] | str:
    """The base offsets of what a fetch gets, or the name of its error."""
    try:
        read = log.read(offset, max_bytes, up_to=log.end_offset, at_least_one=True)
        while read.unchecked:
            log.learn(read, log.find_damage(read))
            read = log.read(offset, max_bytes, up_to=log.end_offset, at_least_one=True)
    except KafkaError as error:
        return error.code.name
    data = b"".join(bytes(part.read()) for part in read.parts)
    assert len(data) == read.size_bytes
    found = list(read_batches(data))
    assert all(batch.is_sound() for batch in found)
    return [batch.header.base_offset for batch in found]


def readable(log: PartitionLog) -> list[int]:
    """Every offset whose record is served."""
    served = []
    for offset in range(log.log_start_offset, log.end_offset):
        found = fetch(log, offset, 1)
        assert found in ("CORRUPT_MESSAGE", [offset])
        served += [offset] if found == [offset] else []
    return served


def but(*missing: int) -> list[int]:
    return [offset for offset in range(COUNT) if offset not in missing]


def overwrite(files: Files, path: str, position: int, data: bytes) -> None:
    content = bytearray(files.read(path) or b"")
    content[position : position + len(data)] = data
    files.replace(path, bytes(content))


def cut(files: Files, path: str, size: int) -> None:
    files.replace(path, (files.read(path) or b"")[:size])


def flip(files: Files, path: str, position: int, bit: int) -> None:
    content = bytearray(files.read(path) or b"")
    content[position] ^= 1 << bit
    files.replace(path, bytes(content))


DAMAGES: dict[str, tuple[Callable[[Files], object], list[int]]] = {
    "nothing": (lambda files: None, but()),
    "the last segment cut by 100 bytes": (lambda files: cut(files, LAST, 400), but(34)),
    "the last segment cut inside of a batch": (lambda files: cut(files, LAST, 330), but(33, 34)),
    "the last segment empty": (lambda files: cut(files, LAST, 0), but(*range(30, 35))),
    "the last segment gone": (lambda files: files.remove(LAST), but(*range(30, 35))),
    "a segment cut by 100 bytes": (lambda files: cut(files, SECOND, 900), but(19)),
    "a segment cut inside of a batch": (lambda files: cut(files, SECOND, 640), but(16, 17, 18, 19)),
    "a segment empty": (lambda files: cut(files, SECOND, 0), but(*range(10, 20))),
    "a segment gone": (lambda files: files.remove(SECOND), but(*range(10, 20))),
    "two segments gone": (lambda files: (files.remove(SECOND), files.remove(THIRD)), but(*range(10, 30))),
    "zeros over a header": (lambda files: overwrite(files, SECOND, 400, bytes(61)), but(14)),
    "zeros over some batches": (lambda files: overwrite(files, SECOND, 150, bytes(300)), but(11, 12, 13, 14)),
    "zeros over all of a segment": (lambda files: overwrite(files, SECOND, 0, bytes(1000)), but(*range(10, 20))),
    "zeros in the last segment": (lambda files: overwrite(files, LAST, 210, bytes(50)), but(32)),
    "zeros at the end": (lambda files: overwrite(files, LAST, 410, bytes(90)), but(34)),
    "a batch put twice": (lambda files: overwrite(files, SECOND, 500, (files.read(SECOND) or b"")[400:500]), but(15)),
    "a batch of another segment": (
        lambda files: overwrite(files, SECOND, 500, (files.read(THIRD) or b"")[400:500]), but(15),
    ),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("clean", [True, False])
def test_what_damage_costs(damage: str, clean: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Every record of a sound batch is served, others are CORRUPT_MESSAGE; the end stays, and appends go on there.

    So do idempotent producers: there is a snapshot of them, from the clean shutdown or the last checkpoint.
    """
    files = filled(clean=clean)
    DAMAGES[damage][0](files)
    log = reopen(files)
    served = DAMAGES[damage][1]
    assert log.end_offset == COUNT
    assert readable(log) == served
    quarantined = [record for record in caplog.records if "quarantined" in record.message]
    assert bool(quarantined) == (len(served) < COUNT)
    assert [batch.header.base_offset for batch in log.batches(0)] == served
    assert log.append(sized(COUNT - 1), leader_epoch=3, now_ms=NOW_MS).duplicate
    assert log.append(sized(COUNT), leader_epoch=3, now_ms=NOW_MS).base_offset == COUNT
    assert fetch(log, COUNT) == [COUNT]


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_next_process(damage: str) -> None:
    """What the next process finds, and the one after it, is the same, appends included."""
    files = filled()
    DAMAGES[damage][0](files)
    served = DAMAGES[damage][1]
    for life in range(3):
        directory = LogDirectory.open(files)
        log = directory.get("topic", 0)
        assert log is not None
        log.config = SMALL
        assert log.end_offset == COUNT + life
        assert readable(log) == served
        log.append(sized(COUNT + life), leader_epoch=3, now_ms=NOW_MS)
        served = [*served, COUNT + life]
        if life == 1:
            directory.close()
        else:
            directory.flush()
            directory.checkpoint()
            files = copy_of(files)


@pytest.mark.parametrize("position", range(300, 400))
def test_any_flipped_bit(position: int) -> None:
    """Wherever in a batch a bit is flipped, that batch is not served, and its neighbours are."""
    for bit in range(0, 8, 3):
        files = filled()
        flip(files, SECOND, position, bit)
        expected = but() if 312 <= position < 316 else but(13)  # the leader epoch is not under the checksum
        assert readable(reopen(files)) == expected


@settings(max_examples=examples(100))
@given(data=st.data())
def test_any_damage(data: st.DataObject) -> None:
    """Bytes written over any part of any segment cost the batches that they touch, and no other."""
    files = filled()
    path = data.draw(st.sampled_from([FIRST, SECOND, THIRD, LAST]))
    size = files.size(path)
    start = data.draw(st.integers(0, size - 1))
    length = data.draw(st.integers(1, min(size - start, 350)))
    seed = data.draw(st.integers(0, 99))
    junk = random.Random(seed).randbytes(length) if seed else bytes(length)
    before = files.read(path) or b""
    overwrite(files, path, start, junk)
    after = files.read(path) or b""
    base = int(path[8:28])
    touched = [
        base + number
        for number in range(size // SIZE)
        if _without_epoch(before, number) != _without_epoch(after, number)
    ]
    order = data.draw(st.permutations(range(COUNT)))
    log = reopen(files)
    for offset in order[:5]:
        fetch(log, offset)
    assert readable(log) == but(*touched)


def _without_epoch(content: bytes, number: int) -> bytes:
    batch = bytearray(content[number * SIZE : (number + 1) * SIZE])
    batch[12:16] = bytes(4)
    return bytes(batch)


def test_earlier_offsets_get_the_bytes_up_to_the_damage() -> None:
    """A fetch that begins before a damaged range ends there, and the next begins behind it."""
    files = filled()
    flip(files, SECOND, 450, 1)
    log = reopen(files)
    assert fetch(log, 10) == [10, 11, 12, 13]
    assert fetch(log, 14) == "CORRUPT_MESSAGE"
    assert fetch(log, 15) == [15, 16, 17, 18, 19]


def test_the_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """One line tells the file, the bytes, the offsets and the reason, however often the range is read."""
    files = filled()
    overwrite(files, SECOND, 350, bytes(150))
    log = reopen(files)
    for _ in range(3):
        readable(log)
    lines = [record for record in caplog.records if record.levelno == logging.ERROR]
    where = "bytes 300 to 500, offsets 13 to 15 (each without the last)"
    assert [record.message for record in lines] == [
        f"{SECOND}: quarantined {where}: the batch's checksum is not that of its bytes"
    ]


def test_a_hole_in_a_compacted_log() -> None:
    """Where the cleaner may have removed records, their offsets are passed over."""
    compacted = LogConfig(segment_bytes=1000, index_interval_bytes=250, cleanup_policy=frozenset({"compact"}))
    for path in (SECOND, f"{SECOND}, only cut"):
        files = filled()
        files.remove(SECOND) if path == SECOND else cut(files, SECOND, 300)
        assert fetch(reopen(files, compacted), 13) == list(range(20, 30))
        assert fetch(reopen(copy_of(files)), 13) == "CORRUPT_MESSAGE"
        left = copy_of(files)
        left.replace("cleaner-offset-checkpoint", b"0\n1\ntopic 0 30\n")
        assert fetch(reopen(left), 13) == list(range(20, 30))


INDEX = SECOND.replace(".log", ".index")
TIMES = SECOND.replace(".log", ".timeindex")


@settings(max_examples=examples(100))
@given(data=st.data())
def test_an_index_that_lies_hides_nothing(data: st.DataObject) -> None:
    """Whatever is in the files of the indexes, every record is found, by its offset and by its time."""
    files = filled()
    for path, form in ((INDEX, ">ii"), (TIMES, ">qi")):
        size = struct.calcsize(form)
        entries = [files.read(path)[at : at + size] for at in range(0, files.size(path), size)]  # type: ignore[index]
        lie = data.draw(st.sampled_from(["none", "random", "drop", "double", "shift", "gone"]))
        if lie == "random":
            files.replace(path, data.draw(st.binary(max_size=60)))
        elif lie == "drop":
            kept = data.draw(st.lists(st.booleans(), min_size=len(entries), max_size=len(entries)))
            files.replace(path, b"".join(entry for entry, keep in zip(entries, kept, strict=True) if keep))
        elif lie == "double":
            files.replace(path, b"".join(entries) + entries[-1])
        elif lie == "shift":
            index, field = data.draw(st.integers(0, len(entries) - 1)), data.draw(st.integers(0, 1))
            values = list(struct.unpack(form, entries[index]))
            values[field] += data.draw(st.integers(-200, 200).filter(bool))
            if values[1] >= 0 and values[0] >= 0:
                entries[index] = struct.pack(form, *values)
            files.replace(path, b"".join(entries))
        elif lie == "gone":
            files.remove(path)
    log = reopen(files)
    for number in data.draw(st.permutations(range(COUNT))):
        found = log.offset_for_timestamp(NOW_MS + number)
        assert found is not None
        assert found.offset == number
        assert fetch(log, number, 1) == [number]
    largest = log.max_timestamp()
    assert largest is not None
    assert largest.offset == COUNT - 1


@pytest.mark.parametrize(("damaged", "asked", "expected"), [(13, 13, 14), (13, 12, 12), (19, 19, 20), (34, 34, None)])
def test_offsets_by_time(damaged: int, asked: int, expected: int | None) -> None:
    """Looked up by its time, a record that cannot be read is passed over."""
    files = filled()
    flip(files, f"topic-0/{damaged // 10 * 10:020}.log", damaged % 10 * SIZE + 70, 0)
    found = reopen(files).offset_for_timestamp(NOW_MS + asked)
    assert (None if found is None else found.offset) == expected


def test_the_largest_timestamp_in_quarantine() -> None:
    """The largest timestamp is that of a record which can be read."""
    files = filled()
    flip(files, LAST, 470, 0)
    found = reopen(files).max_timestamp()
    assert found is not None
    assert found.offset == COUNT - 2


def test_deleting_records_over_a_damaged_range() -> None:
    """The log start moves into, over and behind damage as elsewhere."""
    files = filled()
    overwrite(files, SECOND, 250, bytes(400))
    directory = LogDirectory.open(files)
    log = directory.get("topic", 0)
    assert log is not None
    assert fetch(log, 15) == "CORRUPT_MESSAGE"
    for start in (14, 17, 20):
        assert log.delete_records_before(start) == start
        assert readable(log) == [offset for offset in range(start, COUNT) if offset not in range(12, 17)]
    directory.checkpoint()
    log.remove_deleted()
    assert list(log.segments.base_offsets) == [20, 30]


def test_epochs_and_producers_stay() -> None:
    """Where epochs began and what producers sent is known as before, damage or not."""
    files = filled()
    overwrite(files, THIRD, 0, bytes(1000))
    log = reopen(files)
    assert [log.end_offset_for_epoch(epoch) for epoch in range(4)] == [(0, 10), (1, 20), (2, 30), (3, 35)]


def test_lost_epochs_of_a_damaged_log() -> None:
    """Epochs that have to be found again are found in every sound batch."""
    files = filled()
    flip(files, SECOND, 50, 0)
    files.remove("topic-0/leader-epoch-checkpoint")
    log = reopen(files)
    assert [log.end_offset_for_epoch(epoch) for epoch in range(4)] == [(0, 11), (1, 20), (2, 30), (3, 35)]


def test_nothing_is_read_of_a_sealed_segment(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a clean shutdown a log opens without a look into its older segments."""
    files = filled()
    touched: list[str] = []
    read = MemoryFiles.read

    def watched_read(self: MemoryFiles, path: str) -> bytes | None:
        touched.append(path)
        return read(self, path)

    monkeypatch.setattr(MemoryFiles, "read", watched_read)
    assert reopen(files).end_offset == COUNT
    assert not [path for path in touched if any(base in path for base in (FIRST[:28], SECOND[:28], THIRD[:28]))]


class TestAroundTheRecoveryPoint:
    """The rules meet at the recovery point."""

    def left(self, recovery_point: int) -> MemoryFiles:
        files = filled(clean=False)
        files.replace("recovery-point-offset-checkpoint", f"0\n1\ntopic 0 {recovery_point}\n".encode())
        return files

    @pytest.mark.parametrize("recovery_point", [0, 14, 15, 30, 33, 35])
    def test_damage(self, recovery_point: int) -> None:
        """Damage before it costs what is damaged; damage at or behind it is where the log ends."""
        files = self.left(recovery_point)
        flip(files, SECOND, 450, 1)
        log = reopen(files)
        assert log.end_offset == (COUNT if recovery_point > 14 else 14)
        assert readable(log) == (but(14) if recovery_point > 14 else list(range(14)))
        assert log.append(sized_batch(SIZE), leader_epoch=3, now_ms=NOW_MS).base_offset == log.end_offset - 1

    def test_damage_across_it(self) -> None:
        """Of a range that reaches over it the flushed part is quarantined, and the rest is the end."""
        files = self.left(15)
        overwrite(files, SECOND, 350, bytes(400))
        log = reopen(files)
        assert log.end_offset == 15
        assert readable(log) == list(range(13))
        assert log.append(sized_batch(SIZE), leader_epoch=3, now_ms=NOW_MS).base_offset == 15
        assert fetch(log, 15) == [15]
        assert fetch(log, 14) == "CORRUPT_MESSAGE"
        assert reopen(copy_of(files)).end_offset == 16

    def test_it_lies_behind_the_end(self) -> None:
        """A log that ends before its recovery point goes on there, and what is missing is said to be."""
        files = self.left(35)
        cut(files, LAST, 200)
        log = reopen(files)
        assert (log.end_offset, readable(log)) == (35, list(range(32)))

    def test_a_hole_behind_it(self) -> None:
        """Segments behind a hole are removed, if nothing says that they were flushed."""
        files = self.left(5)
        files.remove(SECOND)
        log = reopen(files)
        assert (log.end_offset, readable(log), list(log.segments.base_offsets)) == (10, list(range(10)), [0])

    @pytest.mark.parametrize("is_torn", [True, False])
    def test_it_is_not_known(self, is_torn: bool) -> None:
        """If the checkpoint is lost, only what no sound batch follows is cut; the rest is flushed, and known again."""
        files = self.left(5)
        if is_torn:
            files.replace("recovery-point-offset-checkpoint", b"")
        else:
            files.remove("recovery-point-offset-checkpoint")
        flip(files, SECOND, 450, 1)
        files.remove(THIRD)
        files.open(LAST).append(b"torn")
        log = reopen(files)
        assert readable(log) == but(14, *range(20, 30))
        assert (log.end_offset, log.recovery_point, files.size(LAST)) == (COUNT, COUNT, 500)

    def test_a_compacted_log_of_which_nothing_is_known(self) -> None:
        """Where batches show that a log was compacted, a gap between segments is no reason to cut it."""
        files = MemoryFiles()
        log = new_log(files)
        for number in range(30):
            log.append(batch(f"{number}", timestamp=NOW_MS), leader_epoch=0, now_ms=NOW_MS)
        expected = pairs(log)
        assert compact(log) < log.end_offset
        left = copy_of(files)
        left.replace("recovery-point-offset-checkpoint", b"0\n0\n")
        found = LogDirectory.open(left).get("topic", 0)
        assert found is not None
        assert found.end_offset == log.end_offset
        assert pairs(found) == pairs(log) != expected


class TestQuarantine:
    """The bookkeeping."""

    @given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=12))
    def test_verified_ranges(self, ranges: list[tuple[int, int]]) -> None:
        """What is verified is what a plain set of bytes says, and what was written later always is."""
        quarantine = Quarantine(25, is_end_known=False)
        verified = set(range(25, 40))
        for start, end in ranges:
            if start < end:
                quarantine.verify(start, end)
                verified |= set(range(start, end))
        for start in range(32):
            for end in range(start, 32):
                assert quarantine.is_verified(start, end) == (set(range(start, end)) <= verified)

    def test_ranges_that_overlap_are_one(self) -> None:
        """A range that is found again is no news, and one that overlaps makes the other larger."""
        quarantine = Quarantine(100, is_end_known=False)
        assert quarantine.add(Damage(10, 30, 1, 3, "first"))
        assert not quarantine.add(Damage(20, 30, 2, 3, "again"))
        assert quarantine.add(Damage(25, 40, 2, 4, "more"))
        assert quarantine.add(Damage(60, 70, 6, 7, "other"))
        assert quarantine.damages == [Damage(10, 40, 1, 4, "first"), Damage(60, 70, 6, 7, "other")]
        assert list(quarantine.stretches(0, 65)) == [(0, 10), (40, 60)]
        assert list(quarantine.stretches(15, 100)) == [(40, 60), (70, 100)]


def test_what_is_appended_while_a_damaged_log_is_looked_at() -> None:
    """Another thread derives the indexes again, of what there was; the batches that came meanwhile are in them, too."""
    one_segment = LogConfig(index_interval_bytes=250)
    files = filled(one_segment)
    data = bytearray(files.read(FIRST) or b"")
    data[6 * SIZE + 16] ^= 1  # the batch that an entry of the index names
    files.replace(FIRST, bytes(data))
    log = reopen(files, one_segment)
    read = log.read(7, SIZE, up_to=log.end_offset, at_least_one=True)
    findings = log.find_damage(read)
    assert findings.derived is not None
    log.append(sized_batch(SIZE, timestamp=NOW_MS + 5000), leader_epoch=3, now_ms=NOW_MS)
    log.learn(read, findings)
    found = log.offset_for_timestamp(NOW_MS + 5000)
    assert found is not None
    assert found.offset == COUNT
