"""What of a log is compacted, when, and in which pieces."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from kpy.storage.cleaning_plan import (
    CleaningPlan,
    SegmentFacts,
    group_sizes,
    plan_cleaning,
    valid_first_dirty_offset,
)
from kpy.storage.log_config import INT64_MAX, LogConfig
from kpy.storage.offset_index import RELATIVE_OFFSET_MAX
from tests.storage.batches import NOW_MS

CONFIG = LogConfig(cleanup_policy=frozenset({"compact"}))
SEGMENTS = (
    SegmentFacts(0, 100, NOW_MS - 4000, NOW_MS - 5000),
    SegmentFacts(10, 200, NOW_MS - 3000, NOW_MS - 4000),
    SegmentFacts(20, 400, NOW_MS - 1000, NOW_MS - 3000),
    SegmentFacts(30, 800, NOW_MS, NOW_MS),
)


def decide(
    config: LogConfig = CONFIG,
    segments: Sequence[SegmentFacts] = SEGMENTS,
    *,
    first_dirty_offset: int = 0,
    last_stable_offset: int = 40,
) -> CleaningPlan:
    return plan_cleaning(
        segments,
        config,
        first_dirty_offset=first_dirty_offset,
        last_stable_offset=last_stable_offset,
        now_ms=NOW_MS,
    )


def test_all_but_the_active_segment() -> None:
    """A log that was never compacted is dirty from its start, up to the active segment."""
    assert decide() == CleaningPlan(0, 30, 0, 700, is_overdue=False)


def test_from_where_the_last_round_ended() -> None:
    """What is clean counts for the ratio; a segment that is clean in part counts for both."""
    assert decide(first_dirty_offset=10) == CleaningPlan(10, 30, 100, 600, is_overdue=False)
    assert decide(first_dirty_offset=15) == CleaningPlan(15, 30, 300, 600, is_overdue=False)
    assert decide(first_dirty_offset=30) == CleaningPlan(30, 30, 700, 0, is_overdue=False)
    assert decide(first_dirty_offset=35).dirty_bytes == 0


def test_up_to_the_last_stable_offset() -> None:
    """The segment that holds it is left alone, and what follows."""
    assert decide(last_stable_offset=20).first_uncleanable_offset == 20
    assert decide(last_stable_offset=25).first_uncleanable_offset == 20
    assert decide(last_stable_offset=5) == CleaningPlan(0, 0, 0, 0, is_overdue=False)


@pytest.mark.parametrize(("lag_ms", "bound"), [(0, 30), (999, 30), (1000, 30), (1001, 20), (3001, 10), (9000, 0)])
def test_young_records_wait(lag_ms: int, bound: int) -> None:
    """From the first segment on whose newest record is younger than min.compaction.lag.ms, nothing is compacted."""
    assert decide(replace(CONFIG, min_compaction_lag_ms=lag_ms)).first_uncleanable_offset == bound


@pytest.mark.parametrize(("lag_ms", "dirty", "overdue"), [(4999, 0, True), (5000, 0, False), (4999, 10, False)])
def test_old_records_do_not_wait(lag_ms: int, dirty: int, overdue: bool) -> None:
    """Dirty records older than max.compaction.lag.ms make a log due, whatever the ratio."""
    config = replace(CONFIG, max_compaction_lag_ms=lag_ms, min_cleanable_dirty_ratio=1.0)
    made = decide(config, first_dirty_offset=dirty)
    assert made.is_overdue == overdue
    assert made.is_due(config) == overdue


def test_overdue_and_not_cleanable() -> None:
    """Nothing is due as long as nothing may be compacted; records without a timestamp are never overdue."""
    config = replace(CONFIG, max_compaction_lag_ms=1, min_compaction_lag_ms=1 << 40, min_cleanable_dirty_ratio=1.0)
    assert decide(config).is_overdue
    assert not decide(config).is_due(config)
    untimed = [segment._replace(first_timestamp=-1) for segment in SEGMENTS]
    assert not decide(replace(CONFIG, max_compaction_lag_ms=1), untimed).is_overdue


def test_the_ratio() -> None:
    """A log is due if more than min.cleanable.dirty.ratio of it is dirty."""
    made = decide(first_dirty_offset=20)
    assert made.ratio == 400 / 700
    assert made.is_due(replace(CONFIG, min_cleanable_dirty_ratio=0.57))
    assert not made.is_due(replace(CONFIG, min_cleanable_dirty_ratio=0.58))
    empty = decide(segments=[SegmentFacts(0, 0, None, None)])
    assert (empty.ratio, empty.is_due(replace(CONFIG, min_cleanable_dirty_ratio=0.0))) == (0.0, False)


def test_no_lag_reaches_beyond_all_time() -> None:
    """The largest lags that can be set."""
    config = replace(CONFIG, min_compaction_lag_ms=INT64_MAX, max_compaction_lag_ms=INT64_MAX)
    assert decide(config) == CleaningPlan(0, 0, 0, 0, is_overdue=False)


@pytest.mark.parametrize(("known", "start"), [(None, 5), (4, 5), (5, 5), (9, 9), (20, 20), (21, 5)])
def test_where_the_dirty_part_begins(known: int | None, start: int) -> None:
    """A checkpoint that is not of this log counts for nothing."""
    assert valid_first_dirty_offset(known, log_start_offset=5, end_offset=20) == start


# --- groups


def sizes(config: LogConfig, *segments: SegmentFacts, end: int = 1000) -> list[int]:
    return group_sizes(segments, config, end)


def facts(base_offset: int, log: int = 0, offsets: int = 0, times: int = 0) -> SegmentFacts:
    return SegmentFacts(base_offset, log, None, None, offsets, times)


def test_groups() -> None:
    """Segments are put together as long as their logs and their indexes are not too large in sum."""
    config = replace(CONFIG, segment_bytes=100, segment_index_bytes=80)
    assert sizes(config) == []
    assert sizes(config, facts(0, 40), facts(1, 60), facts(2, 1)) == [2, 1]
    assert sizes(config, facts(0, 101), facts(1, 1), facts(2, 99), facts(3, 1)) == [1, 2, 1]
    assert sizes(config, facts(0, 1, 40), facts(1, 1, 40), facts(2, 1, 1)) == [2, 1]
    assert sizes(config, facts(0, 1, 0, 80), facts(1, 1, 0, 1), facts(2, 1)) == [1, 2]


def test_groups_within_the_range_of_an_index() -> None:
    """The last offset, as far as the next segment tells it, is not more than 2^31 - 1 beyond the first."""
    config = replace(CONFIG, segment_bytes=100)
    last = RELATIVE_OFFSET_MAX
    assert sizes(config, facts(0, 1), facts(10, 1), end=last + 1) == [2]
    assert sizes(config, facts(0, 1), facts(10, 1), end=last + 2) == [1, 1]
    assert sizes(config, facts(0, 1), facts(10, 0), end=last + 2) == [2]
    assert sizes(config, facts(0, 1), facts(10, 1), facts(last + 1, 1), end=last + 5) == [2, 1]
