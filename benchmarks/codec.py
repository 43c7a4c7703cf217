"""The codec, on every request and response in every version, a typical message and a large one: `python -m
benchmarks.codec`. For a part of them: `--only fetch`.

A line is a message: its bytes, and for decoding and for encoding the microseconds, the nanoseconds a byte, and, where
kafka-python has that message and version, the microseconds of its generated codec and how many times as long that is.
Both codecs are given the very same bytes, and messages that they have made of these; that they agree on them is checked
first. Each number is CPU time, the best of several rounds in which the two take turns, so that a busy machine harms
none of them; where they are close there are more rounds. The summary is what docs/performance.md shows.
"""

import argparse
import statistics
import time
import timeit
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from benchmarks.codec_messages import SHAPES, Shape, every_version, message
from kpy.protocol.schema import Data
from tests.protocol import kafka_python_codec

ROUNDS = 7
SECONDS_A_ROUND = 0.002
CLOSE_RATIO = 1.25
MORE_ROUNDS = 30
SLOWEST = 10


class Case(NamedTuple):
    """A message to measure."""

    declaration: type[Data]
    version: int
    shape: Shape


@dataclass(frozen=True, slots=True)
class Measured:
    """One direction of one case."""

    name: str
    direction: str
    shape: str
    size_bytes: int
    us: float
    theirs_us: float | None

    @property
    def ns_per_byte(self) -> float:
        return self.us * 1000 / max(self.size_bytes, 1)

    @property
    def ratio(self) -> float | None:
        return None if self.theirs_us is None else self.theirs_us / self.us


def cases() -> list[Case]:
    """All that there is to measure."""
    return [Case(declaration, version, shape) for declaration, version in every_version() for shape in SHAPES]


def measure(case: Case, seconds_a_round: float = SECONDS_A_ROUND) -> list[Measured]:
    """Decoding and encoding."""
    declaration, version, shape = case
    ours = message(declaration, version, shape)
    encoded = ours.encode(version)
    if declaration.decode(encoded, version) != ours:
        raise SystemExit(f"{declaration.__name__} version {version} is not what it was")
    actions: list[Callable[[], object]] = [
        lambda: declaration.decode(encoded, version),
        lambda: ours.encode(version),
    ]
    if kafka_python_codec.has_codec(declaration):
        codec = kafka_python_codec.codec_of(declaration)
        theirs = their_message(codec, encoded, version)
        actions += [lambda: codec.decode(encoded, version=version), lambda: theirs.encode(version=version)]
    decode_us, encode_us, *their_us = best_us(actions, seconds_a_round)
    their_decode_us, their_encode_us = their_us or (None, None)
    name = f"{declaration.__name__} v{version}"
    return [
        Measured(name, "decode", shape.name, len(encoded), decode_us, their_decode_us),
        Measured(name, "encode", shape.name, len(encoded), encode_us, their_encode_us),
    ]


def their_message(codec: Any, encoded: bytes, version: int) -> Any:
    """What kafka-python makes of these bytes, and writes as the same."""
    theirs = codec.decode(encoded, version=version)
    theirs._header = None  # which decoding leaves out and encoding asks for
    if bytes(theirs.encode(version=version)) != encoded:
        raise SystemExit(f"{codec.__name__} version {version}: the two codecs disagree")
    return theirs


def best_us(actions: Sequence[Callable[[], object]], seconds_a_round: float) -> list[float]:
    """The best time of each, taken in turn: our two first, then, if there are any, their two."""
    timers = [timeit.Timer(action, timer=time.process_time) for action in actions]
    numbers = [max(1, round(seconds_a_round / max(timer.timeit(2) / 2, 1e-7))) for timer in timers]

    def one_round() -> list[float]:
        return [timer.timeit(number) / number * 1e6 for timer, number in zip(timers, numbers, strict=True)]

    best = one_round()
    for done in range(1, ROUNDS + MORE_ROUNDS):
        if done >= ROUNDS and all(theirs > CLOSE_RATIO * ours for ours, theirs in zip(best, best[2:], strict=False)):
            break
        best = [min(pair) for pair in zip(best, one_round(), strict=True)]
    return best


def line(pair: Sequence[Measured]) -> str:
    """Of the table of all messages."""
    first = pair[0]
    columns = "".join(
        f"{each.us:11.2f}{each.ns_per_byte:8.2f}{_number(each.theirs_us):>10}{_number(each.ratio):>7}" for each in pair
    )
    return f"{first.name + ', ' + first.shape:62}{first.size_bytes:9}{columns}"


def summary(measured: Iterable[Measured]) -> str:
    """How many are at least as fast, and the slowest."""
    everything = list(measured)
    lines = [
        "| | messages | in kafka-python | at least as fast | least ratio | median ratio | the rest, median ns/byte |",
        "| - | -: | -: | -: | -: | -: | -: |",
    ]
    for direction in ("decode", "encode"):
        for shape in SHAPES:
            some = [each for each in everything if (each.direction, each.shape) == (direction, shape.name)]
            ratios = [each.ratio for each in some if each.ratio is not None]
            rest = [each.ns_per_byte for each in some if each.ratio is None]
            lines.append(
                f"| {direction}, {shape.name} | {len(some)} | {len(ratios)} | {sum(ratio >= 1 for ratio in ratios)} "
                f"| {_number(min(ratios, default=None))} | {_number(statistics.median(ratios) if ratios else None)} "
                f"| {_number(statistics.median(rest) if rest else None)} |"
            )
    slowest = sorted((each for each in everything if each.ratio is not None), key=lambda each: each.ratio or 0)
    lines += ["", f"The slowest {SLOWEST}, by ratio:", ""]
    lines += [
        f"{each.ratio:.2f}  {each.direction} {each.name}, {each.shape}: {each.us:.2f} us for {each.size_bytes} bytes"
        for each in slowest[:SLOWEST]
    ]
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.codec", description=__doc__)
    parser.add_argument("--only", default="", metavar="TEXT", help="messages with that in their name")
    only = parser.parse_args().only.lower()
    head = "".join(f"{name:>11}{'ns/B':>8}{'theirs':>10}{'ratio':>7}" for name in ("decode", "encode"))
    print(f"{'microseconds':62}{'bytes':>9}{head}")
    everything: list[Measured] = []
    for case in cases():
        if only in case.declaration.__name__.lower():
            everything += (pair := measure(case))
            print(line(pair), flush=True)
    print(f"\n{summary(everything)}")


if __name__ == "__main__":
    main()
