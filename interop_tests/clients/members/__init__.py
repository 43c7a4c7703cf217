"""Members of groups as programs: what they are told on standard input, they do; what happens to them, they print.

    hang                stop polling, with the connections open        go on     poll again
    end of input        leave the group and end

    assigned TOPIC:PARTITION ...        revoked TOPIC:PARTITION ...
    record TOPIC:PARTITION OFFSET VALUE

The same for every client library, with the same `Membership`.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from interop_tests.clients.python_programs import program, require_package
from interop_tests.oracle.libraries import java_for_sources, libraries
from interop_tests.oracle.node import LOGGING, QUICK_START
from interop_tests.processes import LineProcess

JAVA_SOURCE = Path(__file__).parent / "GroupMember.java"
POLL_S = 0.1
CLASSIC, CONSUMER = "classic", "consumer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """What a member is told at its start. It reads `topics`, or those whose names match `pattern`.

    Of the consumer protocol (KIP-848) the broker knows the assignor and the times, and matches patterns itself.
    """

    bootstrap: str
    group: str
    protocol: str = CLASSIC
    topics: Sequence[str] = ()
    pattern: str | None = None
    assignor: str = "range"
    instance: str | None = None
    session_ms: int = 10_000
    heartbeat_ms: int = 100
    max_poll_ms: int = 300_000
    metadata_ms: int = 60_000


class MemberProcess(LineProcess):
    """A member that runs; `partitions` is what it has now."""

    @property
    def partitions(self) -> set[str]:
        owned: set[str] = set()
        for event, *places in map(str.split, self.lines[:]):
            if event == "assigned":
                owned.update(places)
            elif event == "revoked":
                owned.difference_update(places)
        return owned

    @property
    def revoked(self) -> set[str]:
        """Everything that was ever taken from it."""
        return {place for event, *places in map(str.split, self.lines[:]) if event == "revoked" for place in places}

    @property
    def events(self) -> list[str]:
        """All that happened to its partitions."""
        return [line for line in self.lines[:] if not line.startswith("record ")]

    @property
    def values(self) -> list[str]:
        """The records that it has received."""
        return [line.split()[3] for line in self.lines[:] if line.startswith("record ")]


@dataclass(frozen=True, slots=True)
class MemberKind:
    """A client library that members are made with."""

    name: str
    assignors: Sequence[str]
    require: Callable[[], object]
    command: Callable[[str], Sequence[str]]

    def start(self, membership: Membership) -> MemberProcess:
        return MemberProcess(self.command(json.dumps(asdict(membership))))


def _python(module: str) -> Callable[[str], Sequence[str]]:
    return lambda arguments: program(f"{__name__}.{module}", arguments)


def _java(arguments: str) -> Sequence[str]:
    return (
        java_for_sources(),
        "-Xmx96m",
        *QUICK_START,
        LOGGING,
        "-cp",
        f"{libraries()}/*",
        str(JAVA_SOURCE),
        arguments,
    )


KINDS = (
    MemberKind("kafka-python", ("range", "cooperative-sticky"), lambda: None, _python("kafka_python_member")),
    MemberKind("aiokafka", ("range",), lambda: require_package("aiokafka"), _python("aiokafka_member")),
    MemberKind(
        "confluent-kafka",
        ("range", "cooperative-sticky"),
        lambda: require_package("confluent-kafka"),
        _python("confluent_member"),
    ),
    MemberKind("java", ("range", "cooperative-sticky"), lambda: (java_for_sources(), libraries()), _java),
)


class Orders:
    """What a program was told last, read by a thread of its own."""

    def __init__(self) -> None:
        self.hangs = False
        self.ended = False
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in sys.stdin:
            self.hangs = line.strip() == "hang"
        self.ended = True


def told() -> Membership:
    """The membership on the command line."""
    return Membership(**json.loads(sys.argv[1]))


def report(event: str, partitions: Iterable[Any]) -> None:
    """Of any library's topic partitions."""
    places = sorted(f"{partition.topic}:{partition.partition}" for partition in partitions)
    if places:
        print(event, *places, flush=True)


def report_record(topic: str, partition: int, offset: int, value: bytes) -> None:
    print(f"record {topic}:{partition} {offset} {value.decode()}", flush=True)
