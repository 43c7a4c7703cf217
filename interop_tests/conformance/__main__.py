"""`python -m interop_tests.conformance SUITE`: ask a fresh broker precise questions, and compare its answers.

SUITE is a directory with a `conform.py` that takes `record --broker HOST:PORT --messages kafka-clients.jar --out FILE`,
and a `golden.json` with Apache Kafka's answers to the same questions. Without --area and --probe it asks about what kpy
serves. What differs and is not listed in `differences.py` is printed, and so is what is listed and does not differ; the
exit status is 1 then.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from interop_tests.brokers import Broker, KpyBroker, RemoteBroker
from interop_tests.conformance.comparison import (
    Outcome,
    Steps,
    Verdict,
    area_of,
    by_question,
    compare_all,
    counts,
)
from interop_tests.conformance.differences import DIFFERENCES, QUESTIONS, SERVED
from interop_tests.oracle.libraries import ToolchainMissing, jar
from interop_tests.oracle.node import KafkaNode


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m interop_tests.conformance", description=__doc__)
    parser.add_argument("suite", type=Path)
    parser.add_argument("--broker", default="kpy", help="kpy (default), kafka, or HOST:PORT of a kpy just started")
    parser.add_argument("--area", action="append", help="only questions of this area (repeatable)")
    parser.add_argument("--probe", action="append", help="only questions with this in their names (repeatable)")
    options = parser.parse_args()
    golden = options.suite / "golden.json"
    if not golden.is_file():
        parser.error(f"no golden.json in {options.suite}: nothing to run")
    areas, parts = options.area or [], options.probe or []
    if not areas and not parts:
        parts = list(SERVED)

    def is_asked(name: str) -> bool:
        """As `conform.py record` chooses."""
        return (not areas or area_of(name) in areas) and (not parts or any(part in name for part in parts))

    arguments = [*flags("--area", areas), *flags("--probe", parts)]
    try:
        got = ask(options.suite / "conform.py", options.broker, arguments)
    except (ToolchainMissing, subprocess.CalledProcessError) as failure:
        print(failure, file=sys.stderr)
        return 1
    kafka = {name: steps for name, steps in answers(golden).items() if is_asked(name)}
    listed = {} if options.broker == "kafka" else by_question(DIFFERENCES)
    outcomes = compare_all(kafka, got, {name: each for name, each in listed.items() if is_asked(name)})
    print("\n".join(report(outcomes, is_whole=parts == list(SERVED))))
    return int(not outcomes or any(outcome.verdict is Verdict.OTHERWISE for outcome in outcomes.values()))


def flags(name: str, values: Sequence[str]) -> Iterator[str]:
    for value in values:
        yield from (name, value)


def ask(script: Path, kind: str, arguments: Sequence[str]) -> Mapping[str, Steps]:
    """The answers of a broker of that kind."""
    messages = jar("kafka-clients")
    broker: Broker
    if kind == "kpy":
        broker = KpyBroker(host="127.0.0.1")  # as the broker that gave the answers
    elif kind == "kafka":
        broker = KafkaNode()
    else:
        broker = RemoteBroker(kind)
    with tempfile.TemporaryDirectory() as scratch, closing(broker):
        broker.start()
        out = Path(scratch) / "answers.json"
        options = ["--broker", broker.bootstrap, "--messages", str(messages), "--out", str(out)]
        subprocess.run([sys.executable, str(script), "record", *options, *arguments], check=True)
        if end := broker.died():
            print(end, file=sys.stderr)
        return answers(out)


def answers(file: Path) -> dict[str, Steps]:
    return {name: answer["steps"] for name, answer in json.loads(file.read_text(encoding="utf-8")).items()}


def report(outcomes: Mapping[str, Outcome], *, is_whole: bool) -> Iterator[str]:
    for name, outcome in outcomes.items():
        if outcome.lines:
            yield f"{name}, step and path: what it should be | what it is"
            yield from (f"    {line}" for line in outcome.lines)
    yield f"{'area':<14}{'questions':>10}{''.join(f'{verdict.value:>12}' for verdict in Verdict)}"
    for area, row in counts(outcomes).items():
        yield f"{area:<14}{sum(row.values()):>10}{''.join(f'{row[verdict]:>12}' for verdict in Verdict)}"
        if is_whole and area in QUESTIONS and QUESTIONS[area] != sum(row.values()):
            yield f"    docs/conformance.md, by `differences.py`, is about {QUESTIONS[area]} questions"


if __name__ == "__main__":
    sys.exit(main())
