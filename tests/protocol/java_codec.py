"""Apache Kafka 4.3.1's own codecs as an oracle: the classes of its clients and brokers, in a small Java process.

`java/KafkaCodec.java` says what travels between that process and this one. The jars are those of the interoperability
oracle; a JDK compiles the source as it starts.
"""

import base64
import json
import shutil
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from interop_tests.oracle.libraries import libraries_directory

SOURCE = Path(__file__).parent / "java" / "KafkaCodec.java"
SMALL = ("-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
STOP_TIMEOUT_S = 10.0
LENGTH = struct.Struct(">i")


class JavaError(Exception):
    """Kafka's code refused; the message is its stack trace."""


def missing() -> str | None:
    """What this machine lacks, and what it is for."""
    if shutil.which("javac") is None:
        return "no `javac` on this machine: comparing with Apache Kafka's own codecs needs a JDK, 17 or newer"
    if not any(libraries_directory().glob("kafka-clients-*.jar")):
        return f"{libraries_directory()} has no jars: `python -m interop_tests.oracle --libraries` fetches them"
    return None


class JavaCodec:
    """The process, from `with` to its end."""

    def __init__(self, scratch: Path) -> None:
        java = ["java", *SMALL, f"-Djava.io.tmpdir={scratch}", "-cp", f"{libraries_directory()}/*"]
        self._process = subprocess.Popen([*java, SOURCE], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        assert self._process.stdout
        with self._process.stdin, self._process.stdout:
            self._process.stdin.close()
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def message(self, class_name: str, version: int, encoded: bytes) -> tuple[Any, bytes]:
        """The message that Java reads, as Kafka's JSON, and the bytes that it writes for it."""
        described, written = self._ask(f"message {class_name} {version}", encoded)
        return json.loads(described), written

    def read_batches(self, encoded: bytes) -> list[dict[str, Any]]:
        """The record batches that Java reads."""
        described, _ = self._ask("read-batches", encoded)
        batches: list[dict[str, Any]] = json.loads(described)
        return batches

    def write_batch(self, described: dict[str, Any]) -> bytes:
        """A record batch that Java writes; of what `read_batches` tells, it takes all that does not follow."""
        return self._ask("write-batch", json.dumps(described).encode())[1]

    def partitions_of_groups(self, group_ids: Sequence[str], partition_count: int) -> list[int]:
        """Where Kafka's group coordinator puts each of these groups."""
        described, _ = self._ask(f"group-partitions {partition_count}", json.dumps(group_ids).encode())
        partitions: list[int] = json.loads(described)
        return partitions

    def hash_map_order(self, keys: Sequence[str]) -> list[str]:
        """These keys as a HashMap lists them."""
        described, _ = self._ask("hash-map-order", json.dumps(keys).encode())
        order: list[str] = json.loads(described)
        return order

    def _ask(self, command: str, data: bytes) -> tuple[bytes, bytes]:
        stdin = self._process.stdin
        assert stdin
        stdin.write(b"".join([LENGTH.pack(len(command)), command.encode(), LENGTH.pack(len(data)), data]))
        stdin.flush()
        error, described, answer = self._part(), self._part(), self._part()
        if error:
            raise JavaError(error.decode())
        return described, answer

    def _part(self) -> bytes:
        assert self._process.stdout
        (length,) = LENGTH.unpack(self._read(LENGTH.size))
        return self._read(length)

    def _read(self, size: int) -> bytes:
        assert self._process.stdout
        found = self._process.stdout.read(size)
        assert len(found) == size, f"the Java process ended with exit status {self._process.wait(STOP_TIMEOUT_S)}"
        return found


def to_base64(data: bytes | None) -> str | None:
    """How JSON has bytes."""
    return None if data is None else base64.b64encode(data).decode()
