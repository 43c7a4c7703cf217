"""kcat as Debian packages it: a librdkafka of 2023 on the command line. It creates topics by producing to them."""

import json
import subprocess
from collections.abc import Sequence

from interop_tests.eventually import PATIENCE_S
from interop_tests.old_clients import Member, OldClient, Record
from interop_tests.old_clients.agent import HEADER, HEARTBEAT_INTERVAL_MS, SESSION_TIMEOUT_MS
from interop_tests.oracle.libraries import command
from interop_tests.processes import LineProcess

FIELDS = r"%p\t%o\t%T\t%k\t%h\t%s\n"
"""A record as `Record.parse` reads it, but for the header, which has its name in front."""


class Kcat(OldClient):
    def __init__(self, bootstrap: str, name: str) -> None:
        super().__init__(bootstrap, name)
        self._program = command("kcat", "Debian's package `kcat` has it")
        self._members: list[KcatMember] = []

    def close(self) -> None:
        for member in self._members:
            member.close()

    def produce(
        self,
        topic: str,
        records: Sequence[tuple[str, str]],
        *,
        codec: str = "none",
        acks: str = "all",
        idempotent: bool = False,
    ) -> None:
        settings = ("-X", f"acks={acks}", "-X", f"enable.idempotence={'true' if idempotent else 'false'}")
        text = "".join(f"{key}:{value}\n" for key, value in records)
        options = ("-P", "-t", topic, "-K:", "-z", codec, "-H", f"{HEADER}={self.name}", *settings)
        self.run(*options, standard_input=text)

    def read(self, topic: str, count: int) -> list[Record]:
        options = ("-C", "-t", topic, "-o", "beginning", "-c", str(count), "-q", "-f", FIELDS)
        lines = self.run(*options).splitlines()
        return [Record.parse(line.replace(f"\t{HEADER}=", "\t"), separator="\t") for line in lines]

    def offset_at(self, topic: str, timestamp_ms: int) -> int:
        """As `kcat -Q` says it: `TOPIC [PARTITION] offset OFFSET`."""
        return int(self.run("-Q", "-t", f"{topic}:0:{timestamp_ms}").split()[-1])

    def bounds(self, topic: str) -> tuple[int, int]:
        return self.offset_at(topic, -2), self.offset_at(topic, -1)

    def join(self, topic: str, group: str) -> Member:
        settings = {
            "client.id": self.name,
            "auto.offset.reset": "earliest",
            "session.timeout.ms": SESSION_TIMEOUT_MS,
            "heartbeat.interval.ms": HEARTBEAT_INTERVAL_MS,
        }
        options = [part for name, value in settings.items() for part in ("-X", f"{name}={value}")]
        process = LineProcess([*self.command(), "-q", "-u", "-f", r"%s\n", *options, "-G", group, topic])
        self._members.append(KcatMember(process))
        return self._members[-1]

    def topics(self) -> dict[str, int]:
        """All topics with their numbers of partitions."""
        return {topic["topic"]: len(topic["partitions"]) for topic in json.loads(self.run("-L", "-J"))["topics"]}

    def command(self) -> Sequence[str]:
        return (self._program, "-b", self.bootstrap)

    def run(self, *options: str, standard_input: str = "") -> str:
        """What it printed."""
        arguments = [*self.command(), *options]
        run = subprocess.run(
            arguments, input=standard_input, capture_output=True, text=True, timeout=2 * PATIENCE_S, check=False
        )
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout


class KcatMember(Member):
    """`kcat -G`, which commits what it has printed when it is asked to end."""

    def __init__(self, process: LineProcess) -> None:
        self._process = process

    def received(self) -> list[str]:
        return list(self._process.lines)

    def leave(self) -> None:
        self._process.terminate()

    def close(self) -> None:
        self._process.close()
