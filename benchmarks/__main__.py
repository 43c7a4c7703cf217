"""`python -m benchmarks`: kpy, Apache Kafka and whoever else takes part, in turn, as a markdown table."""

import argparse
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import brokers
from benchmarks.brokers import BrokerFailed, Candidate, processors, running
from benchmarks.metrics import FULL, QUICK, Measurements, Metric, Scale
from benchmarks.report import as_json, markdown
from benchmarks.workloads import SUITES, Workload

CANDIDATES = (
    Candidate("kpy", brokers.kpy()),
    Candidate("kpy in memory", brokers.kpy(in_memory=True)),
    Candidate("kafka", brokers.kafka),
)


def main() -> int:
    options = _options()
    candidates = [candidate for candidate in CANDIDATES if not options.only or candidate.name in options.only]
    candidates += [_from_option(option) for option in options.broker]
    scale = QUICK if options.quick else FULL
    results: dict[str, list[Measurements]] = {candidate.name: [] for candidate in candidates}
    failures = 0
    for number in range(options.rounds or scale.rounds):
        for candidate in candidates:
            title = f"round {number + 1}, {candidate.name}"
            measured, failed = _measure(candidate, scale, _workloads(options), title)
            results[candidate.name].append(measured)
            failures += failed
    print(f"{processors()} processors, {platform.system()} {platform.machine()}, Python {platform.python_version()}\n")
    print(markdown(results))
    if options.json:
        options.json.write_text(as_json(results))
    return 1 if failures else 0


def _workloads(options: argparse.Namespace) -> Sequence[Workload]:
    chosen = SUITES[options.suite]
    return [workload for workload in chosen if options.workload is None or workload.__name__ in options.workload]


def _measure(candidate: Candidate, scale: Scale, workloads: Sequence[Workload], title: str) -> tuple[Measurements, int]:
    """One round of one broker: what was measured, and how many workloads failed."""
    measured: dict[Metric, float] = {}
    failures = 0
    try:
        with running(candidate) as broker:
            for workload in workloads:
                print(f"{title}: {workload.__name__}", file=sys.stderr, flush=True)
                try:
                    measured |= workload(broker, scale)
                except Exception as error:  # noqa: BLE001 - the others are still worth measuring
                    print(f"{title}: {workload.__name__} failed: {error!r}", file=sys.stderr)
                    failures += 1
    except BrokerFailed as failed:
        print(f"{title}: {failed}", file=sys.stderr)
        failures += 1
    return measured, failures


def _from_option(option: str) -> Candidate:
    name, _, template = option.partition("=")
    return Candidate(name, brokers.from_template(template))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few seconds a broker: does the benchmark itself work?")
    parser.add_argument("--rounds", type=int, help=f"default: {FULL.rounds}")
    names = [candidate.name for candidate in CANDIDATES]
    parser.add_argument("--only", action="append", choices=names, help="leave out the others; may be repeated")
    parser.add_argument(
        "--broker",
        action="append",
        default=[],
        metavar="NAME=COMMAND",
        help="another broker, by its command line with {port} and, if it wants one, {directory} in it; may be repeated",
    )
    parser.add_argument("--suite", choices=SUITES, default="clients", help="default: clients; log takes minutes")
    workloads = [workload.__name__ for suite in SUITES.values() for workload in suite]
    parser.add_argument("--workload", action="append", choices=workloads, help="leave out the others; may be repeated")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round's numbers there")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
