"""The table of the benchmarks."""

from benchmarks.metrics import Metric, medians, percentile
from benchmarks.report import as_json, markdown

LATENCY = Metric("latency", "us")
RATE = Metric("rate", "records/s", higher_is_better=True)


def test_table() -> None:
    """Each broker has its median, and the last columns say how many times better kpy is, whichever way is better."""
    results = {
        "kpy": [{LATENCY: 30.0, RATE: 5000.0}, {LATENCY: 50.0, RATE: 1000.0}, {LATENCY: 40.0, RATE: 3000.0}],
        "kpy in memory": [{LATENCY: 0.123456}],
        "kafka": [{LATENCY: 80.0, RATE: 6000.0}],
    }
    assert markdown(results).splitlines() == [
        "|  | unit | kpy | kpy in memory | kafka | better than kafka |",
        "| - | - | -: | -: | -: | -: |",
        "| latency | us | 40.0 | 0.123 | 80.0 | 2.00x |",
        "| rate | records/s | 3 000 | - | 6 000 | 0.50x |",
    ]


def test_a_broker_that_measured_nothing() -> None:
    """A broker that failed has a column of dashes."""
    assert markdown({"kpy": [{LATENCY: 1.0}], "kafka": [{}]}).splitlines()[-1] == "| latency | us | 1.00 | - | - |"


def test_rounds_are_kept() -> None:
    """The JSON has the values of every round."""
    assert '"latency": 2.0' in as_json({"kpy": [{LATENCY: 1.0}, {LATENCY: 2.0}]})


def test_medians_and_percentiles() -> None:
    """A metric that some rounds lack is the median of the others; a percentile is one of the values."""
    assert medians([{LATENCY: 1.0}, {LATENCY: 5.0, RATE: 7.0}, {LATENCY: 3.0}]) == {LATENCY: 3.0, RATE: 7.0}
    assert [percentile(range(1, 101), per_cent) for per_cent in (0, 50, 99, 100)] == [1, 51, 100, 100]
