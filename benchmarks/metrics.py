"""What a benchmark measures, and how much work it takes to measure it."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of the table."""

    title: str
    unit: str
    higher_is_better: bool = False


Measurements = Mapping[Metric, float]


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of each kind of work is done."""

    rounds: int
    settle_s: float
    produced_bytes: int
    passes: int
    requests: int
    pipelined_requests: int
    paced_s: float
    groups: int
    catch_up_bytes: int
    partitions: int
    storm_s: float
    compacted_records: int
    members: int
    requests_per_member: int


FULL = Scale(
    rounds=3,
    settle_s=2.0,
    produced_bytes=200_000_000,
    passes=3,
    requests=10_000,
    pipelined_requests=200_000,
    paced_s=10.0,
    groups=5,
    catch_up_bytes=2_000_000_000,
    partitions=10_000,
    storm_s=5.0,
    compacted_records=2_500_000,
    members=1_000,
    requests_per_member=40,
)
QUICK = Scale(
    rounds=1,
    settle_s=0.1,
    produced_bytes=4_000_000,
    passes=2,
    requests=200,
    pipelined_requests=2_000,
    paced_s=0.5,
    groups=1,
    catch_up_bytes=8_000_000,
    partitions=50,
    storm_s=0.3,
    compacted_records=100_000,
    members=100,
    requests_per_member=4,
)


def percentile(values: Sequence[float], per_cent: int) -> float:
    """The value that `per_cent` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * per_cent // 100)]


def medians(rounds: Sequence[Measurements]) -> dict[Metric, float]:
    """The median over the rounds of every metric that some round measured."""
    values: dict[Metric, list[float]] = {}
    for measured in rounds:
        for metric, value in measured.items():
            values.setdefault(metric, []).append(value)
    return {metric: statistics.median(seen) for metric, seen in values.items()}
