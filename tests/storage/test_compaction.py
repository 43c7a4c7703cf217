"""What a round of compaction leaves: each key's last record, tombstones for a while, and what producers hang on."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpy.protocol.compression import Codec
from kpy.protocol.records import (
    DELETE_HORIZON,
    TRANSACTIONAL,
    ControlType,
    EndTransactionMarker,
    Record,
    build_batch,
    build_control_batch,
)
from kpy.storage.batch_validation import AppendOrigin
from kpy.storage.compaction import LogDamaged
from kpy.storage.disk_files import DiskFiles
from kpy.storage.files import Files
from kpy.storage.log_directory import LogDirectory
from kpy.storage.memory_files import MemoryFiles
from kpy.storage.partition_log import PartitionLog, TimestampType
from kpy.storage.producer_states import ProducerStates
from kpy.storage.recovery import replay_batch
from tests.storage.batches import NOW_MS
from tests.storage.compacting import (
    COMPACTED,
    Stored,
    a_round,
    batches_of,
    compact,
    new_log,
    pairs,
    plan,
    stored,
    take_all,
)
from tests.sweeps import examples

HORIZON_MS = 1000  # delete.retention.ms of these logs


@pytest.fixture
def log(files: Files) -> PartitionLog:
    return new_log(files)


def append(log: PartitionLog, *records: tuple[str, str | None], codec: int = 0, **fields: int) -> None:
    encoded = [(key.encode(), None if value is None else value.encode()) for key, value in records]
    fields.setdefault("timestamp", NOW_MS)
    log.append(build_batch(encoded, codec=codec, **fields), leader_epoch=0, now_ms=NOW_MS)


def roll(log: PartitionLog) -> None:
    """Have all that was appended in closed segments, by a record that is left alone."""
    log.append(build_batch([(b"roll", b"x" * 320)], timestamp=NOW_MS), leader_epoch=0, now_ms=NOW_MS)
    assert log.segments.base_offsets[-1] == log.end_offset - 1


def without_roll(found: Sequence[tuple[int, str, str | None]]) -> list[tuple[int, str, str | None]]:
    return [(offset, key, value) for offset, key, value in found if key != "roll"]


def test_the_last_record_of_each_key_stays(log: PartitionLog) -> None:
    """Records that a later one of the same key follows are gone; the others have their offsets, order and all else."""
    append(log, ("a", "1"), ("b", "1"), ("a", "2"))
    append(log, ("c", "1"))
    append(log, ("b", "2"))
    roll(log)
    before = {record.offset: record for record in stored(log)}
    assert compact(log) == 5

    assert without_roll(pairs(log)) == [(2, "a", "2"), (3, "c", "1"), (4, "b", "2")]
    assert all(before[record.offset] == record for record in stored(log))
    assert log.end_offset == 6


def test_what_is_kept_of_a_batch(files: Files) -> None:
    """A batch that loses records keeps its offsets, its producer's numbers, its codec and its epoch."""
    for codec in Codec:
        log = new_log(MemoryFiles())
        records = [Record(b"a", b"1", (("h", b"x"),), NOW_MS + 5), Record(b"b", b"1", (), NOW_MS + 9)]
        fields = {"codec": codec, "producer_id": 7, "producer_epoch": 3, "base_sequence": 11}
        log.append(build_batch([*records, Record(b"c", b"1", (), NOW_MS)], **fields), leader_epoch=4, now_ms=NOW_MS)
        log.append(build_batch([Record(b"b", b"2", (), NOW_MS)]), leader_epoch=4, now_ms=NOW_MS)
        roll(log)
        before = batches_of(log)[0].header
        compact(log)

        batch = batches_of(log)[0]
        assert [(record.key, record.headers, record.timestamp) for record in batch] == [
            (b"a", (("h", b"x"),), NOW_MS + 5),
            (b"c", (), NOW_MS),
        ]
        changed = {"length", "crc", "max_timestamp", "record_count"}
        assert {name: value for name, value in batch.header._asdict().items() if name not in changed} == {
            name: value for name, value in before._asdict().items() if name not in changed
        }
        assert (batch.header.max_timestamp, batch.header.record_count) == (NOW_MS + 5, 2)


def test_a_batch_that_loses_nothing_is_the_same(log: PartitionLog) -> None:
    """Byte for byte."""
    append(log, ("a", "1"), ("b", "1"))
    roll(log)
    before = bytes(batches_of(log)[0].buffer)
    compact(log)
    assert bytes(batches_of(log)[0].buffer) == before


def test_log_append_time(files: Files) -> None:
    """The broker's time stays that of every record that is kept."""
    log = new_log(files, message_timestamp_type=TimestampType.LOG_APPEND_TIME)
    append(log, ("a", "1"), ("b", "1"))
    append(log, ("a", "2"))
    log.append(build_batch([(b"roll", b"x" * 320)]), leader_epoch=0, now_ms=NOW_MS + 9)
    compact(log)
    assert [record.timestamp for record in stored(log)] == [NOW_MS, NOW_MS, NOW_MS + 9]


def test_the_active_segment_is_left_alone(log: PartitionLog) -> None:
    """Only what is in closed segments is compacted, and only what they have counts for it."""
    append(log, ("a", "1"))
    append(log, ("a", "2"))
    assert plan(log).dirty_bytes == 0
    roll(log)
    append(log, ("a", "3"))
    compact(log)
    assert without_roll(pairs(log)) == [(1, "a", "2"), (3, "a", "3")]


def test_records_without_a_key_go(files: Files) -> None:
    """A topic that was not compacted before may have some."""
    log = new_log(files, cleanup_policy=frozenset({"delete"}))
    log.append(build_batch([(None, b"v"), (b"a", b"1")], timestamp=NOW_MS), leader_epoch=0, now_ms=NOW_MS)
    roll(log)
    compact(log)
    assert without_roll(pairs(log)) == [(1, "a", "1")]


# --- tombstones


def test_tombstones(log: PartitionLog) -> None:
    """One stays through the first round that meets it, which notes from when on it may go; after that it goes."""
    append(log, ("a", "1"), ("b", "1"))
    append(log, ("a", None), timestamp=NOW_MS + 3)
    roll(log)
    dirty = compact(log, now_ms=NOW_MS + 10)
    assert without_roll(pairs(log)) == [(1, "b", "1"), (2, "a", None)]
    header = batches_of(log)[1].header
    assert header.attributes & DELETE_HORIZON
    assert header.base_timestamp == NOW_MS + 10 + HORIZON_MS
    assert [record.timestamp for record in stored(log)][1] == header.max_timestamp == NOW_MS + 3

    roll(log)
    dirty = compact(log, dirty, now_ms=NOW_MS + 10 + HORIZON_MS - 1)
    assert (2, "a", None) in pairs(log)
    assert batches_of(log)[1].header == header
    roll(log)
    compact(log, dirty, now_ms=NOW_MS + 10 + HORIZON_MS)
    assert without_roll(pairs(log)) == [(1, "b", "1")]


def test_a_tombstone_beside_values(log: PartitionLog) -> None:
    """The horizon is the batch's: the timestamps of its other records are what they were, also when some go."""
    records = [
        Record(b"a", b"1", (), NOW_MS - 50),
        Record(b"b", None, (("h", None),), NOW_MS),
        Record(b"c", b"1", (), NOW_MS + 70),
    ]
    log.append(build_batch(records, codec=Codec.LZ4), leader_epoch=0, now_ms=NOW_MS)
    roll(log)
    before = stored(log)[:3]
    dirty = compact(log)
    assert stored(log)[:3] == before
    append(log, ("a", "2"))
    roll(log)
    compact(log, dirty, now_ms=NOW_MS + HORIZON_MS)
    assert stored(log)[0] == before[2]


def test_a_value_after_a_tombstone(log: PartitionLog) -> None:
    """A later value makes the tombstone an old record like any other."""
    append(log, ("a", None))
    append(log, ("a", "1"))
    roll(log)
    compact(log)
    assert without_roll(pairs(log)) == [(1, "a", "1")]


# --- producers


def test_the_last_batch_of_a_producer_stays_empty(log: PartitionLog) -> None:
    """With it its epoch and sequence are found again; only the last one of each, and only while it is known."""
    for sequence, value in enumerate("123"):
        append(log, ("a", value), producer_id=5, producer_epoch=2, base_sequence=sequence)
    append(log, ("a", "4"))
    roll(log)
    compact(log)

    (empty, _last, _roll) = batches_of(log)
    assert list(empty) == []
    header = empty.header
    assert (header.base_offset, header.last_offset, header.producer_id, header.producer_epoch) == (2, 2, 5, 2)
    assert (header.base_sequence, header.last_sequence, header.record_count) == (2, 2, 0)
    assert (header.base_timestamp, header.max_timestamp) == (-1, NOW_MS)

    log.producers.expire(NOW_MS + 10, 0)
    compact(log)
    assert [batch.header.producer_id for batch in batches_of(log)] == [-1, -1]


def test_the_last_batch_of_the_round_stays_empty(files: Files) -> None:
    """So that a reader finds where the offsets go on, though nothing of it is left."""
    log = new_log(files, cleanup_policy=frozenset({"delete"}))
    append(log, ("a", "1"))
    log.append(build_batch([(None, b"v")] * 2, timestamp=NOW_MS), leader_epoch=0, now_ms=NOW_MS)
    roll(log)
    compact(log)
    headers = [batch.header for batch in batches_of(log)]
    assert [(header.base_offset, header.last_offset, header.record_count) for header in headers] == [
        (0, 0, 1),
        (1, 2, 0),
        (3, 3, 1),
    ]


# --- transactions


def append_transactional(log: PartitionLog, *records: tuple[str, str | None], producer_id: int, sequence: int) -> None:
    encoded = [(key.encode(), None if value is None else value.encode()) for key, value in records]
    batch = build_batch(
        encoded, timestamp=NOW_MS, producer_id=producer_id, producer_epoch=0, base_sequence=sequence,
        attributes=TRANSACTIONAL,
    )  # fmt: skip
    log.append(batch, leader_epoch=0, now_ms=NOW_MS, transaction_verified=True)


def end_transaction(log: PartitionLog, kind: ControlType, *, producer_id: int) -> None:
    marker = EndTransactionMarker(kind, coordinator_epoch=0).record()
    batch = build_control_batch(marker, timestamp=NOW_MS, transactional=True, producer_id=producer_id, producer_epoch=0)
    log.append(batch, leader_epoch=0, now_ms=NOW_MS, origin=AppendOrigin.COORDINATOR)


def markers(log: PartitionLog) -> list[int]:
    """The offsets of the markers."""
    return [batch.header.base_offset for batch in batches_of(log) if batch.header.is_control and list(batch)]


def test_aborted_data_goes_and_committed_data_stays(log: PartitionLog) -> None:
    """What was aborted does not count as a key's last value; each marker stays as long as its data is met."""
    append(log, ("a", "1"))
    append_transactional(log, ("a", "aborted"), ("b", "aborted"), producer_id=1, sequence=0)
    append_transactional(log, ("c", "1"), producer_id=2, sequence=0)
    end_transaction(log, ControlType.ABORT, producer_id=1)
    end_transaction(log, ControlType.COMMIT, producer_id=2)
    roll(log)
    compact(log)
    assert without_roll(pairs(log)) == [(0, "a", "1"), (3, "c", "1")]
    assert markers(log) == [4, 5]


def test_markers_without_data_go_in_time(log: PartitionLog) -> None:
    """The round after the one that took the last data marks them, and one after the horizon removes them."""
    append_transactional(log, ("a", "aborted"), producer_id=1, sequence=0)
    end_transaction(log, ControlType.ABORT, producer_id=1)
    append_transactional(log, ("b", "1"), producer_id=2, sequence=0)
    end_transaction(log, ControlType.COMMIT, producer_id=2)
    append(log, ("b", "2"))
    log.producers.expire(NOW_MS + 10, 0)
    roll(log)
    dirty = compact(log)
    assert markers(log) == [1, 3]
    assert not any(batch.header.attributes & DELETE_HORIZON for batch in batches_of(log))
    roll(log)
    dirty = compact(log, dirty)
    assert [bool(batch.header.attributes & DELETE_HORIZON) for batch in batches_of(log) if batch.header.is_control] == [
        True,
        True,
    ]
    roll(log)
    dirty = compact(log, dirty, NOW_MS + HORIZON_MS - 1)
    assert markers(log) == [1, 3]
    roll(log)
    compact(log, dirty, NOW_MS + HORIZON_MS)
    assert markers(log) == []


def test_the_index_of_aborted_transactions(files: Files) -> None:
    """It goes over to the compacted segment, on the disk too, as long as data of the transaction is met."""
    directory = LogDirectory.open(files)
    log = directory.create("topic", 0, UUID(int=7), COMPACTED)
    append_transactional(log, ("a", "aborted"), producer_id=1, sequence=0)
    end_transaction(log, ControlType.ABORT, producer_id=1)
    append(log, ("b", "1"))
    log.producers.expire(NOW_MS + 10, 0)
    roll(log)
    known = log.aborted_transactions(0, 4)
    assert [(found.first_offset, found.last_offset) for found in known] == [(0, 1)]
    dirty = compact(log)
    assert log.aborted_transactions(0, 4) == known
    directory.close()
    again = LogDirectory.open(files).get("topic", 0)
    assert again is not None
    assert again.aborted_transactions(0, 4) == known
    again.config = COMPACTED
    roll(again)
    compact(again, dirty)
    assert again.aborted_transactions(0, 5) == []


def test_the_data_of_a_transaction_whose_marker_comes_later(log: PartitionLog) -> None:
    """It is known to be aborted though its marker is in another segment, even in one that this round does not reach."""
    append_transactional(log, ("a", "aborted"), producer_id=1, sequence=0)
    append(log, ("b", "1"), ("c", "1"), ("d", "1"))
    roll(log)
    end_transaction(log, ControlType.ABORT, producer_id=1)
    roll(log)
    compact(log, keys_max=1)
    assert [key for _, key, _ in without_roll(pairs(log))] == ["b", "c", "d"]


def test_an_open_transaction_is_left_alone(log: PartitionLog) -> None:
    """From the last stable offset on, nothing is compacted."""
    append(log, ("a", "1"))
    append(log, ("a", "2"))
    roll(log)
    append_transactional(log, ("a", "3"), producer_id=1, sequence=0)
    roll(log)
    append(log, ("a", "4"))
    roll(log)
    assert plan(log).first_uncleanable_offset == 3
    compact(log)
    assert without_roll(pairs(log)) == [(1, "a", "2"), (3, "a", "3"), (5, "a", "4")]


# --- in pieces


def test_a_full_map_ends_the_round(log: PartitionLog) -> None:
    """What comes behind it is kept as it is, and is where the next round begins."""
    append(log, ("a", "1"), ("b", "1"), ("c", "1"), ("a", "2"))
    append(log, ("c", "2"), ("b", "2"))
    roll(log)
    dirty = compact(log, keys_max=2)
    assert dirty == 2
    assert len(without_roll(pairs(log))) == 6
    while dirty < plan(log).first_uncleanable_offset:
        before, dirty = dirty, compact(log, dirty, keys_max=2)
        assert dirty > before
    assert without_roll(pairs(log)) == [(3, "a", "2"), (4, "c", "2"), (5, "b", "2")]


def test_small_segments_become_one(log: PartitionLog) -> None:
    """Segments that have become small are put together up to segment.bytes."""
    for number in range(40):
        append(log, ("k", f"{number}"), ("l", f"{number}"))
    roll(log)
    assert len(log.segments.base_offsets) > 8
    dirty = compact(log)
    roll(log)
    compact(log, dirty)
    assert log.segments.base_offsets == (0, 80, 81)
    assert without_roll(pairs(log)) == [(78, "k", "39"), (79, "l", "39")]


@pytest.mark.parametrize(
    ("position", "message"),
    [
        (65, "there is no sound batch at byte 0"),
        (7, "the offsets at byte 0 do not fit those around them"),
        (8, "there is no sound batch at byte 0"),
        (16, "there is no sound batch at byte 0"),
    ],
)
def test_damage_is_not_copied(tmp_path: Path, position: int, message: str) -> None:
    """A batch that is not sound ends the round with nothing replaced, and nothing left behind."""
    log = new_log(DiskFiles(tmp_path))
    append(log, ("a", "1"))
    append(log, ("a", "2"))
    roll(log)
    with (tmp_path / "topic-0" / "00000000000000000000.log").open("r+b") as file:
        file.seek(position)
        file.write(b"?")
    with pytest.raises(LogDamaged, match=f"0000.log: {message}"):
        compact(log)
    assert not log.being_compacted
    assert not [path for path in (tmp_path / "topic-0").iterdir() if path.suffix in {".cleaned", ".swap"}]


def test_a_round_that_is_given_up(files: Files) -> None:
    """Whenever it is, the log is as it was or as it should be, and the next round does it all."""
    for steps_taken in range(200):
        log = new_log(MemoryFiles()) if steps_taken else new_log(files)
        for number in range(8):
            append(log, ("k", f"{number}"), (f"{number}", "v"))
        roll(log)
        steps = a_round(log).steps()
        step = next(steps)
        done = False
        try:
            for _ in range(steps_taken):
                step = steps.send(None if step.call is None else step.call())
        except StopIteration:
            done = True
        steps.close()
        log.check_invariants()
        assert len({key for _, key, _ in pairs(log)}) == 10
        compact(log)
        assert [value for _, key, value in pairs(log) if key == "k"] == ["7"]
        if done:
            return
    raise AssertionError("the round has no end")


def test_a_log_that_is_deleted_meanwhile() -> None:
    """Whenever it is, the round that is given up then touches nothing more."""
    for steps_taken in range(200):
        files = MemoryFiles()
        directory = LogDirectory.open(files)
        log = directory.create("topic", 0, UUID(int=7), COMPACTED)
        for number in range(8):
            append(log, ("k", f"{number}"), (f"{number}", "v"))
        roll(log)
        log.config = replace(log.config, segment_bytes=1 << 20)
        steps = a_round(log).steps()
        step = next(steps)
        try:
            for _ in range(steps_taken):
                step = steps.send(None if step.call is None else step.call())
        except StopIteration:
            return
        directory.delete("topic", 0)
        steps.close()
        assert not [name for name in files.list() if name.startswith("topic")]
    raise AssertionError("the round has no end")


def test_segments_that_retention_has_removed(log: PartitionLog) -> None:
    """If nothing is left of what a round was planned for, it has nothing to do."""
    for number in range(10):
        append(log, ("k", f"{number}"))
    roll(log)
    made = a_round(log)
    log.delete_records_before(log.end_offset)
    log.start_on_disk = log.log_start_offset
    while log.remove_deleted():
        pass
    assert not take_all(made.steps())
    assert made.end_offset == 0


# --- against a dictionary


@dataclass
class Model:
    """The slow and obvious form: a list of records, and what a round leaves of it."""

    records: list[Stored] = field(default_factory=list)
    batch_of: dict[int, int] = field(default_factory=dict)
    horizon_ms: dict[int, int] = field(default_factory=dict)

    def append(self, base_offset: int, records: Sequence[Stored]) -> None:
        self.records += records
        self.batch_of |= dict.fromkeys((record.offset for record in records), base_offset)

    def compact(self, *, end_offset: int, read_to: int, now_ms: int) -> None:
        """A round that knew all keys before `end_offset`, and copied the segments up to `read_to`."""
        last = {record.key: record.offset for record in self.records if record.offset < end_offset}
        kept = []
        for record in self.records:
            batch = self.batch_of[record.offset]
            if record.offset < end_offset:
                expired = record.value is None and self.horizon_ms.get(batch, now_ms + 1) <= now_ms
                if last[record.key] != record.offset or expired:
                    continue
            kept.append(record)
        for record in kept:
            if record.value is None and record.offset < read_to:
                self.horizon_ms.setdefault(self.batch_of[record.offset], now_ms + HORIZON_MS)
        self.records = kept


KEYS = st.sampled_from([b"a", b"b", b"c", b"d", b"a key that is longer than the map keeps them as they are"])
BATCHES = st.tuples(
    st.lists(st.tuples(KEYS, st.sampled_from([b"1", b"22", None])), min_size=1, max_size=4),
    st.sampled_from([None, 1, 2]),
    st.sampled_from(list(Codec)),
)
ROUNDS = st.lists(
    st.tuples(st.lists(BATCHES, max_size=8), st.sampled_from([2, 3, 1000]), st.sampled_from([0, 400, HORIZON_MS])),
    min_size=1,
    max_size=4,
)


@settings(max_examples=examples(60))
@given(ROUNDS)
def test_against_a_dictionary(
    rounds: list[tuple[list[tuple[list[tuple[bytes, bytes | None]], int | None, Codec]], int, int]],
) -> None:
    """After each round the log has what the model has, replays to the same values, and knows the same of producers."""
    log, model = new_log(MemoryFiles()), Model()
    dirty, now_ms, sequences = 0, NOW_MS, {1: 0, 2: 0}
    values: dict[bytes | None, bytes | None] = {}
    for batches, keys_max, pause_ms in rounds:
        for records, producer_id, codec in [*batches, ([(b"end", b"x" * 320)], None, Codec.NONE)]:
            producer = {}
            if producer_id is not None:
                producer = {"producer_id": producer_id, "producer_epoch": 0, "base_sequence": sequences[producer_id]}
                sequences[producer_id] += len(records)
            start = log.end_offset
            sent = [Stored(start + delta, key, value, NOW_MS - delta) for delta, (key, value) in enumerate(records)]
            batch = build_batch(
                [Record(found.key, found.value, (), found.timestamp) for found in sent], codec=codec, **producer
            )
            log.append(batch, leader_epoch=0, now_ms=NOW_MS)
            model.append(start, sent)
            values |= dict(records)
        now_ms += pause_ms
        bases, bound = log.segments.base_offsets, plan(log, dirty).first_uncleanable_offset
        if plan(log, dirty).dirty_bytes:
            dirty = compact(log, dirty, now_ms, keys_max=keys_max)
            read_to = next((base for base in bases if base >= dirty), bound)
            model.compact(end_offset=dirty, read_to=read_to, now_ms=now_ms)

        assert stored(log) == model.records
        replayed = {record.key: record.value for record in stored(log)}
        assert {key: value for key, value in replayed.items() if value} == {
            key: value for key, value in values.items() if value
        }
        assert states(replayed_producers(log)) == states(log.producers)


def replayed_producers(log: PartitionLog) -> ProducerStates:
    """What the batches in the log teach."""
    producers = ProducerStates()
    for batch in batches_of(log):
        replay_batch(producers, batch.header, batch.buffer)
    return producers


def states(producers: ProducerStates) -> dict[int, tuple[int, int, int]]:
    return {
        producer_id: (state.epoch, state.last_sequence, state.batches[-1].last_offset)
        for producer_id, state in producers.producers.items()
    }
