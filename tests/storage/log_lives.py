"""A data directory over the lives of its brokers, and what has to be true of it after any of their ends.

`Lives` does to two logs what a broker does, as chance has it, and writes down what was appended, what was flushed and
what was deleted. However a life ends, `Lives.check` opens what is left and compares.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from random import Random
from uuid import UUID

from kpy.protocol.records import HEADER_BYTES, BatchHeader, RecordBatch, read_batches
from kpy.storage.batch_scan import scan_headers
from kpy.storage.checkpoints import RECOVERY_POINT, decode_offsets
from kpy.storage.files import Files
from kpy.storage.log_config import LogConfig
from kpy.storage.log_directory import LogDirectory
from kpy.storage.partition_log import PartitionLog
from kpy.storage.restart_points import secure
from tests.storage.batches import NOW_MS, batch
from tests.storage.crashing_files import CrashingFiles

CONFIG = LogConfig(segment_bytes=450, index_interval_bytes=90)
TOPICS = ("t", "u")
STEPS = {
    "append": 12,
    "flush": 2,
    "checkpoint": 2,
    "delete records": 2,
    "retain": 1,
    "new epoch": 1,
    "clean restart": 1,
    "kill": 1,
    "delete topic": 1,
}


@dataclass
class Ledger:
    """What is known of one log, from its creation on."""

    topic_id: UUID
    batches: list[bytes] = field(default_factory=list)
    """All that were appended, or were to be when the power went."""
    flushed_end: int = 0
    is_deleted: bool = False
    deleted_before: int = 0
    """Records before that offset are gone for good."""
    maybe_deleted_before: int = 0
    first_offset: int = 0

    @property
    def headers(self) -> list[BatchHeader]:
        return [RecordBatch(data).header for data in self.batches]

    @property
    def end(self) -> int:
        return self.headers[-1].next_offset if self.batches else self.first_offset

    def next_sequence(self, producer_id: int) -> int:
        last = [header for header in self.headers if header.producer_id == producer_id]
        return last[-1].last_sequence + 1 if last else 0


class Lives:
    """`begin` opens a directory, and everything else has it open."""

    files: Files
    directory: LogDirectory

    def __init__(self, random: Random) -> None:
        self.random = random
        self.ledgers: dict[str, Ledger] = {}
        self.leader_epoch = 0
        self.now_ms = NOW_MS
        self._topics_made = 0

    def begin(self, files: Files) -> None:
        self._open(files)

    # --- what a broker does

    def step(self) -> str:
        """Something, as chance has it; what it was."""
        name = self.random.choices(list(STEPS), list(STEPS.values()))[0]
        topic = self.random.choice(TOPICS)
        getattr(self, "_" + name.replace(" ", "_"))(topic)
        return name

    def _log(self, topic: str) -> PartitionLog:
        log = self.directory.get(topic, 0)
        assert log is not None
        log.config = CONFIG
        return log

    def _create_missing(self) -> None:
        for topic in TOPICS:
            if self.directory.get(topic, 0) is None:
                self._topics_made += 1
                self.ledgers[topic] = Ledger(UUID(int=self._topics_made))
                self.directory.create(topic, 0, self.ledgers[topic].topic_id, CONFIG)

    def _append(self, topic: str) -> None:
        ledger, log = self.ledgers[topic], self._log(topic)
        producer_id = self.random.choice((-1, 5, 6))
        sequence = ledger.next_sequence(producer_id) if producer_id >= 0 else -1
        values = ["x" * self.random.randrange(90) for _ in range(self.random.randint(1, 3))]
        self.now_ms += 1
        records = batch(
            *values, timestamp=self.now_ms, producer_id=producer_id, producer_epoch=0, base_sequence=sequence
        )
        assert log.end_offset == ledger.end
        try:
            log.append(records, leader_epoch=self.leader_epoch, now_ms=self.now_ms)
        finally:
            if RecordBatch(records).header.base_offset == ledger.end:
                ledger.batches.append(bytes(records))

    def _flush(self, topic: str) -> None:
        self._log(topic).flush()
        self.ledgers[topic].flushed_end = self.ledgers[topic].end

    def _checkpoint(self, topic: str) -> None:
        log = self._log(topic)
        secure(log, self.directory.restart_point_on_disk(log), may_flush=self.random.random() < 0.5)
        self.ledgers[topic].flushed_end = max(self.ledgers[topic].flushed_end, log.recovery_point)
        self.directory.checkpoint()

    def _delete_records(self, topic: str) -> None:
        ledger, log = self.ledgers[topic], self._log(topic)
        offset = self.random.randint(log.log_start_offset, log.end_offset)
        ledger.maybe_deleted_before = max(ledger.maybe_deleted_before, offset)
        log.delete_records_before(offset)
        self.directory.write(self.directory.log_start_offsets())
        log.remove_deleted()
        ledger.deleted_before = max(ledger.deleted_before, offset)

    def _retain(self, topic: str) -> None:
        ledger, log = self.ledgers[topic], self._log(topic)
        log.config = replace(CONFIG, retention_bytes=self.random.randrange(1500))
        log.give_up_old_segments(high_watermark=log.end_offset, now_ms=self.now_ms)
        ledger.maybe_deleted_before = max(ledger.maybe_deleted_before, log.log_start_offset)
        self.directory.write(self.directory.log_start_offsets())
        ledger.deleted_before = max(ledger.deleted_before, log.log_start_offset)
        while log.remove_deleted():
            pass

    def _new_epoch(self, _topic: str) -> None:
        self.leader_epoch += 1

    def _delete_topic(self, topic: str) -> None:
        self.ledgers[topic].is_deleted = True
        self.directory.delete(topic, 0)
        self._create_missing()

    def _clean_restart(self, _topic: str) -> None:
        for topic in TOPICS:
            assert self._log(topic).end_offset == self.ledgers[topic].end
        self.directory.close()
        for ledger in self.ledgers.values():
            ledger.flushed_end = ledger.end
        self._open(self.files)

    def _kill(self, _topic: str) -> None:
        self.directory.close(clean=False)
        self._open(self.files)

    def _open(self, files: Files) -> None:
        self.files = files
        self.directory = LogDirectory.open(files)
        self.leader_epoch += 1
        self._create_missing()

    # --- what has to be true

    def check(self, files: CrashingFiles) -> None:
        """Open what a life left, compare it with what is known, and go on from there."""
        for topic, point, damaged in damaged_copies(files, self.random):
            self._check_damage(topic, point, damaged)
        self.files = files
        self.directory = LogDirectory.open(self.files)
        for topic in TOPICS:
            ledger = self.ledgers.get(topic)
            log = self.directory.get(topic, 0)
            if ledger is None or log is None or log.topic_id != ledger.topic_id:
                assert ledger is None or ledger.is_deleted or not ledger.flushed_end, f"{topic} is gone"
                if log is not None:
                    self.directory.delete(topic, 0)
                continue
            log.config = CONFIG
            _check(log, ledger)
            self._survived(log, ledger)
        before = {topic: _state(log) for (topic, _), log in self.directory.logs().items()}
        self.directory.close(clean=False)
        self.directory = LogDirectory.open(files)
        assert {topic: _state(log) for (topic, _), log in self.directory.logs().items()} == before
        self.leader_epoch += 1
        self._create_missing()

    def _check_damage(self, topic: str, point: int, files: CrashingFiles) -> None:
        """Damage before the recovery point cuts nothing, and what is known of producers is what it was."""
        ledger = self.ledgers[topic]
        log = LogDirectory.open(files).get(topic, 0)
        if log is None or log.topic_id != ledger.topic_id:
            return
        assert log.end_offset >= point, "damage cuts what was flushed"
        if log.end_offset > log.log_start_offset:
            _check_producers(log, [header for header in ledger.headers if header.next_offset <= log.end_offset])

    @staticmethod
    def _survived(log: PartitionLog, ledger: Ledger) -> None:
        """From now on only what is left was ever there."""
        ledger.batches = [data for data in ledger.batches if RecordBatch(data).header.base_offset < log.end_offset]
        if ledger.end != log.end_offset:  # the start of the log outlived the records before it
            ledger.batches.clear()
            ledger.first_offset = log.end_offset
        ledger.deleted_before = ledger.maybe_deleted_before = log.log_start_offset


def damaged_copies(files: CrashingFiles, random: Random) -> Iterator[tuple[str, int, CrashingFiles]]:
    """For each log that has any, one of the batches before its recovery point is damaged, one of the last by chance."""
    for (topic, _), point in decode_offsets(files.read(RECOVERY_POINT) or b"0\n0\n").items():
        found = [
            (path, position)
            for path in (f"{topic}-0/{name}" for name in sorted(files.list(f"{topic}-0")))
            if path.endswith(".log")
            for position, header in scan_headers(files.open(path))
            if header.next_offset <= point
        ]
        if found:
            path, position = random.choice([*found, found[-1]])
            damaged = files.copy()
            damaged.damage(path, position + HEADER_BYTES)
            yield topic, point, damaged


def _check(log: PartitionLog, ledger: Ledger) -> None:
    headers = ledger.headers
    start, end = log.log_start_offset, log.end_offset
    log.check_invariants()
    assert ledger.deleted_before <= start <= ledger.maybe_deleted_before, "the start"
    assert end >= ledger.flushed_end, "flushed records are gone"
    if end == start > ledger.end or (end == start and end not in {header.next_offset for header in headers}):
        return  # DeleteRecords was written down, and the records, which nobody flushed, are lost
    expected = [data for data, header in zip(ledger.batches, headers, strict=True) if start < header.next_offset <= end]
    assert served(log, start) == expected, "what is served is not what was appended"
    assert end in {0, *(header.next_offset for header in headers)}, "the end is inside of a batch"
    left = [header for header in headers if start < header.next_offset <= end]
    for header in left:
        assert log.epoch_of(max(header.base_offset, start)) == header.leader_epoch, "the leader epoch"
        if header.base_offset >= start:
            found = log.offset_for_timestamp(header.max_timestamp)
            assert found is not None, "the time"
            assert found.offset == header.base_offset, "the time"
    assert log.latest_leader_epoch == max((header.leader_epoch for header in left), default=log.latest_leader_epoch)
    _check_producers(log, [header for header in headers if header.next_offset <= end])


def _check_producers(log: PartitionLog, headers: list[BatchHeader]) -> None:
    """Each is where its last batch was; only of those whose batches were deleted may nothing be known."""
    last = {header.producer_id: header for header in headers if header.producer_id >= 0}
    assert set(log.producers.producers) <= set(last), "producers that nobody knows"
    for producer_id, header in last.items():
        state = log.producers.producers.get(producer_id)
        if state is None:
            assert header.base_offset < log.log_start_offset, "a producer is forgotten"
        else:
            assert state.last_sequence == header.last_sequence, "the sequence of a producer"
            assert log.producers.find_duplicate(header) is not None, "a batch would be stored twice"


def served(log: PartitionLog, offset: int) -> list[bytes]:
    """All batches from that offset on, as a consumer gets them."""
    found: list[bytes] = []
    while offset < log.end_offset:
        read = log.read(offset, 1 << 20, up_to=log.end_offset, at_least_one=True)
        while read.unchecked:
            log.learn(read, log.find_damage(read))
            read = log.read(offset, 1 << 20, up_to=log.end_offset, at_least_one=True)
        batches = list(read_batches(b"".join(bytes(part.read()) for part in read.parts)))
        assert batches, f"nothing is served at {offset}"
        assert all(each.is_sound() for each in batches), "a torn batch is served"
        found += [bytes(each.buffer) for each in batches]
        offset = batches[-1].header.next_offset
    return found


def _state(log: PartitionLog) -> tuple[object, ...]:
    """All that opening a log again must not change."""
    producers = {
        producer_id: (state.epoch, state.last_sequence) for producer_id, state in log.producers.producers.items()
    }
    return (
        log.topic_id,
        log.log_start_offset,
        log.end_offset,
        list(log.segments.base_offsets),
        log.size_bytes,
        log.latest_leader_epoch,
        producers,
        served(log, log.log_start_offset),
    )
