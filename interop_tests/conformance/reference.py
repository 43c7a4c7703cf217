"""docs/conformance.md, written from the list of differences: `make docs`. A test keeps the file true to the list, and a
run of `python -m interop_tests.conformance` the list to the broker.
"""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping

from interop_tests.conformance.comparison import Verdict, area_of
from interop_tests.conformance.differences import DIFFERENCES, QUESTIONS

INTRODUCTION = """\
# Conformance

How kpy's answers compare with those that Apache Kafka 4.3.1 gave to some 1 200 precise questions about edges: which
error code, in which field, at which version, with which side effect.

    make conformance SUITE=<directory of the questions>

asks a fresh kpy. "Exact" means that the whole normalised reply is equal; where Kafka fails with UNKNOWN_SERVER_ERROR,
any error is as good. The others differ in nothing but what `interop_tests/conformance/differences.py` says of them,
field by field: "better" serves clients that Kafka's answer does not, "stricter" refuses what Kafka guesses at, and "not
served" are answers that speak of an API that kpy does not have. No other answer differs: a run fails for a difference
that is not listed, and for one that is listed and does not happen. This page is made from that list by `make docs`.

| area | questions | exact | better | stricter | not served | exact or better, of those served |
| - | -: | -: | -: | -: | -: | -: |
"""

LEFT_OUT = """
The areas of what kpy does not serve (transactions, share groups, most of cluster administration) are left out;
[not-done.md](not-done.md) says what happens there. `ARGS="--area transactions"` asks about them all the same.
"""


def reference() -> str:
    """The page."""
    return "".join(_page())


def _page() -> Iterator[str]:
    yield INTRODUCTION
    rows = {area: Counter({Verdict.EXACT: questions}) for area, questions in QUESTIONS.items()}
    for difference in DIFFERENCES:
        for name in difference.changes:
            rows[area_of(name)][Verdict.EXACT] -= 1
            rows[area_of(name)][difference.verdict] += 1
    rows["total"] = sum(rows.values(), Counter())
    for area, row in rows.items():
        yield f"| {area} | {row.total()} | {' | '.join(map(str, _cells(row)))} |\n"
    yield "\nWhat differs, and why:\n\n"
    for difference in DIFFERENCES:
        areas = sorted({area_of(name) for name in difference.changes})
        verdict = f"{len(difference.changes)} {difference.verdict.value}"
        yield f"- **{', '.join(areas)}**, {verdict}: {difference.reason}\n"
    yield LEFT_OUT


def _cells(row: Mapping[Verdict, int]) -> Iterator[int | str]:
    """How many answers have each verdict, and how many are as good as Kafka's of those that do not speak of more."""
    for verdict in (Verdict.EXACT, Verdict.BETTER, Verdict.STRICTER, Verdict.NOT_SERVED):
        yield row[verdict]
    good = row[Verdict.EXACT] + row[Verdict.BETTER]
    yield f"{good} of {good + row[Verdict.STRICTER]}"


if __name__ == "__main__":
    sys.stdout.write(reference())
