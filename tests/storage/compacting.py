"""Logs that are compacted in tests: a round run to its end, and what is left of a log."""

from dataclasses import replace
from typing import NamedTuple
from uuid import UUID

from kpy.protocol.records import Header, RecordBatch
from kpy.storage.cleaning_plan import CleaningPlan, plan_cleaning, valid_first_dirty_offset
from kpy.storage.compaction import Compaction, Step, Steps, facts_of
from kpy.storage.files import Files
from kpy.storage.log_config import LogConfig
from kpy.storage.log_directory import LogDirectory
from kpy.storage.offset_map import ENTRY_BYTES, OffsetMap
from kpy.storage.partition_log import PartitionLog
from kpy.storage.producer_states import LastRecord
from tests.storage.batches import NOW_MS

COMPACTED = LogConfig(
    segment_bytes=400,
    index_interval_bytes=0,
    cleanup_policy=frozenset({"compact"}),
    min_cleanable_dirty_ratio=0.0,
    delete_retention_ms=1000,
)
BUFFER_BYTES = 300


def new_log(files: Files, **changes: object) -> PartitionLog:
    config = replace(COMPACTED, **changes)  # type: ignore[arg-type]
    return LogDirectory.open(files).create("topic", 0, UUID(int=7), config)


def last_records(log: PartitionLog) -> dict[int, LastRecord | None]:
    """What compaction keeps of each producer."""
    return {producer_id: log.producers.last_record(producer_id) for producer_id in log.producers.producers}


def plan(log: PartitionLog, first_dirty_offset: int = 0, now_ms: int = NOW_MS) -> CleaningPlan:
    start = valid_first_dirty_offset(
        first_dirty_offset, log_start_offset=log.log_start_offset, end_offset=log.end_offset
    )
    return plan_cleaning(
        [facts_of(segment, with_times=True) for segment in log.segments],
        log.config,
        first_dirty_offset=start,
        last_stable_offset=log.last_stable_offset,
        now_ms=now_ms,
    )


def a_round(
    log: PartitionLog,
    first_dirty_offset: int = 0,
    now_ms: int = NOW_MS,
    *,
    keys_max: int = 1000,
    buffer_bytes: int = BUFFER_BYTES,
) -> Compaction:
    return Compaction(
        log,
        plan(log, first_dirty_offset, now_ms),
        offsets=OffsetMap(keys_max * ENTRY_BYTES, 1.0),
        now_ms=now_ms,
        buffer_bytes=buffer_bytes,
    )


def take_all(steps: Steps[None]) -> list[Step]:
    """Take all steps, and return them."""
    taken = []
    try:
        step = next(steps)
        while True:
            taken.append(step)
            step = steps.send(None if step.call is None else step.call())
    except StopIteration:
        return taken
    finally:
        steps.close()


def compact(log: PartitionLog, first_dirty_offset: int = 0, now_ms: int = NOW_MS, *, keys_max: int = 1000) -> int:
    """Run a round; returns the first offset that is dirty after it."""
    made = a_round(log, first_dirty_offset, now_ms, keys_max=keys_max)
    take_all(made.steps())
    log.check_invariants()
    return made.end_offset


class Stored(NamedTuple):
    """A record as it is in the log."""

    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int | None = NOW_MS
    headers: tuple[Header, ...] = ()


def batches_of(log: PartitionLog) -> list[RecordBatch]:
    """All batches; each has to be sound."""
    found = list(log.batches(0))
    assert all(batch.is_sound() for batch in found)
    return found


def stored(log: PartitionLog) -> list[Stored]:
    """All records but those of control batches."""
    return [
        Stored(record.offset, record.key, record.value, record.timestamp, record.headers)
        for batch in batches_of(log)
        if not batch.header.is_control
        for record in batch
    ]


def pairs(log: PartitionLog) -> list[tuple[int, str, str | None]]:
    """Offset, key and value of all records."""
    return [
        (record.offset, (record.key or b"").decode(), None if record.value is None else record.value.decode())
        for record in stored(log)
    ]
