"""The table: for each metric what every broker did, and kpy's share of it."""

import json
from collections.abc import Mapping, Sequence

from benchmarks.metrics import Measurements, Metric, medians

SUBJECT = "kpy"
MISSING = "-"

Results = Mapping[str, Sequence[Measurements]]
"""What was measured of each broker, round by round."""


def markdown(results: Results) -> str:
    """Medians over the rounds, and how many times better kpy is than each other broker (below 1: worse)."""
    median = {name: medians(rounds) for name, rounds in results.items()}
    others = [name for name in results if SUBJECT in results and not name.startswith(SUBJECT)]
    header = ["", "unit", *results, *(f"better than {name}" for name in others)]
    lines = [header, ["-", "-", *("-:" for _ in header[2:])]]
    for metric in _metrics(results):
        values = [_value(median[name].get(metric)) for name in results]
        ratios = [_advantage(metric, median[SUBJECT].get(metric), median[name].get(metric)) for name in others]
        lines.append([metric.title, metric.unit, *values, *ratios])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def as_json(results: Results) -> str:
    """Every round of every metric, for comparing runs."""
    by_title = {
        name: [{metric.title: value for metric, value in measured.items()} for measured in rounds]
        for name, rounds in results.items()
    }
    return json.dumps(by_title, indent=1)


def _metrics(results: Results) -> list[Metric]:
    """In the order in which they were measured."""
    return list(dict.fromkeys(metric for rounds in results.values() for measured in rounds for metric in measured))


def _value(value: float | None) -> str:
    if value is None:
        return MISSING
    if value >= 1_000:
        return f"{value:_.0f}".replace("_", " ")
    return f"{value:#.3g}".removesuffix(".")


def _advantage(metric: Metric, ours: float | None, theirs: float | None) -> str:
    if not ours or not theirs:
        return MISSING
    return f"{ours / theirs if metric.higher_is_better else theirs / ours:.2f}x"
