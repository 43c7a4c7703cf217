"""docs/conformance.md, written from the list of differences: `make docs`. A test keeps the file true to the list, and a
run of `python -m interop_tests.conformance` the list to the broker.
"""

import sys
from collections.abc import Iterator

from interop_tests.conformance.comparison import area_of
from interop_tests.conformance.differences import DIFFERENCES, QUESTIONS

INTRODUCTION = """\
# Conformance

How kpy's answers compare with those that Apache Kafka 4.3.1 gave to some 1 200 precise questions about edges: which
error code, in which field, at which version, with which side effect.

    make conformance SUITE=<directory of the questions>

asks a fresh kpy. "Exact" means that the whole normalised reply is equal; where Kafka fails with UNKNOWN_SERVER_ERROR,
any error is as good. "As listed" means that it differs in nothing but what `interop_tests/conformance/differences.py`
says of it, field by field, for one of the reasons below. No other answer differs: a run fails for a difference that is
not listed, and for one that is listed and does not happen. This page is made from that list by `make docs`.

| area | questions | exact | as listed |
| - | -: | -: | -: |
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
    listed = [area_of(name) for difference in DIFFERENCES for name in difference.changes]
    for area, questions in QUESTIONS.items():
        yield f"| {area} | {questions} | {questions - listed.count(area)} | {listed.count(area)} |\n"
    yield f"| total | {sum(QUESTIONS.values())} | {sum(QUESTIONS.values()) - len(listed)} | {len(listed)} |\n"
    yield "\nWhat differs, and why:\n\n"
    for difference in DIFFERENCES:
        areas = sorted({area_of(name) for name in difference.changes})
        yield f"- **{', '.join(areas)}**, {len(difference.changes)}: {difference.reason}\n"
    yield LEFT_OUT


if __name__ == "__main__":
    sys.stdout.write(reference())
