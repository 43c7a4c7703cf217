"""Members of groups, of either protocol, as programs: they print what they are assigned and what they read.

A line is `assigned TOPIC-PARTITION ...`, all of them whenever there is a change, or `value VALUE`. SIGTERM makes a
member leave, SIGKILL does not.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from interop_tests.clients import AUTO_COMMIT_INTERVAL_MS
from interop_tests.clients.python_programs import require_package
from interop_tests.oracle.libraries import ToolchainMissing, java, libraries
from interop_tests.oracle.node import LOGGING, QUICK_START
from interop_tests.processes import LineProcess

SOURCE = Path(__file__).parent / "java" / "GroupMember.java"
CLASSIC_SESSION_MS = 6000
CLASSIC_HEARTBEAT_MS = 200
COMPILE_TIMEOUT_S = 120

CLASSIC, CONSUMER = "classic", "consumer"


class Library(ABC):
    """A client library that knows both protocols."""

    name: str
    strategy: str
    """The assignor of its members of the classic protocol."""

    @abstractmethod
    def require(self) -> None:
        """Raise ToolchainMissing if this machine lacks it."""

    @abstractmethod
    def command(self, settings: dict[str, str], topic: str, *, is_pattern: bool) -> Sequence[str]:
        """The program, for a topic or for all whose names match."""

    def member(
        self,
        bootstrap: str,
        group: str,
        topic: str,
        *,
        protocol: str = CONSUMER,
        instance: str | None = None,
        is_pattern: bool = False,
    ) -> "Member":
        settings = {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "group.protocol": protocol,
            "auto.offset.reset": "earliest",
            "auto.commit.interval.ms": str(AUTO_COMMIT_INTERVAL_MS),
            "metadata.max.age.ms": "1000",
        }
        if protocol == CLASSIC:
            settings["session.timeout.ms"] = str(CLASSIC_SESSION_MS)
            settings["heartbeat.interval.ms"] = str(CLASSIC_HEARTBEAT_MS)
            settings["partition.assignment.strategy"] = self.strategy
        if instance is not None:
            settings["group.instance.id"] = instance
        return Member(self.command(settings, topic, is_pattern=is_pattern))


class Java(Library):
    name = "java"
    strategy = "org.apache.kafka.clients.consumer.CooperativeStickyAssignor"

    def require(self) -> None:
        java()
        libraries()
        compiled()

    def command(self, settings: dict[str, str], topic: str, *, is_pattern: bool) -> Sequence[str]:
        machine = (java(), "-Xmx128m", *QUICK_START, LOGGING, "-cp", f"{libraries()}/*:{compiled().name}")
        subscription = "PATTERN" if is_pattern else "TOPIC"
        return (*machine, "GroupMember", subscription, topic, *(f"{name}={value}" for name, value in settings.items()))


@cache
def compiled() -> "tempfile.TemporaryDirectory[str]":
    """The Java program, compiled once; the directory goes with this process."""
    directory = tempfile.TemporaryDirectory(prefix="group-member-")
    compiler = Path(java()).with_name("javac")
    if not compiler.exists():
        raise ToolchainMissing(f"no {compiler}: the Java consumer's scenarios need a JDK, 17 or newer")
    command = [str(compiler), "-cp", f"{libraries()}/*", "-d", directory.name, str(SOURCE)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=COMPILE_TIMEOUT_S, check=False)
    assert run.returncode == 0, run.stderr
    return directory


class Confluent(Library):
    name = "confluent-kafka"
    strategy = "range"  # its sticky one leaves marks in assignments, with which no broker lets a group go over

    def require(self) -> None:
        require_package(self.name)

    def command(self, settings: dict[str, str], topic: str, *, is_pattern: bool) -> Sequence[str]:
        return (
            *(sys.executable, "-m", __name__, f"^{topic}" if is_pattern else topic),
            *(f"{name}={value}" for name, value in settings.items()),
        )


class Member(LineProcess):
    """One member, from `with` to its end."""

    @property
    def assigned(self) -> list[str]:
        """What it says that it is assigned now."""
        last = next((line for line in reversed(self.lines) if line.startswith("assigned")), "assigned")
        return last.split()[1:]

    @property
    def history(self) -> list[list[str]]:
        """All that it ever was assigned."""
        return [line.split()[1:] for line in self.lines if line.startswith("assigned")]

    @property
    def values(self) -> list[str]:
        return [line.removeprefix("value ") for line in self.lines if line.startswith("value ")]


def work(topic: str, settings: dict[str, str]) -> None:
    """The program of confluent-kafka."""
    from confluent_kafka import Consumer

    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: stopped.append(number))
    consumer = Consumer(settings)
    consumer.subscribe([topic])
    known: list[str] = []
    while not stopped:
        message = consumer.poll(0.1)
        if message is not None and message.error() is None:
            print("value", (message.value() or b"").decode())
        assigned = sorted(f"{place.topic}-{place.partition}" for place in consumer.assignment())
        if assigned != known:
            print("assigned", *assigned)
            known = assigned
    consumer.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("topic")
    parser.add_argument("settings", nargs="*")
    options = parser.parse_args()
    work(options.topic, dict(setting.split("=", 1) for setting in options.settings))
