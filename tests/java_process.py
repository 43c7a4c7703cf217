"""Apache Kafka 4.3.1's own classes as an oracle, in a small Java process that a test asks.

The jars are those of the interoperability oracle; a JDK compiles the source as it starts.
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import IO, Final, Self

import pytest

from interop_tests.oracle.libraries import libraries_directory

_SMALL: Final = ("-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_STOP_TIMEOUT_S: Final = 10.0


class JavaProcess:
    """The process that runs one source, from `with` to its end."""

    source: Path

    def __init__(self, scratch: Path) -> None:
        java = ["java", *_SMALL, f"-Djava.io.tmpdir={scratch}", "-cp", f"{libraries_directory()}/*"]
        self._process = subprocess.Popen([*java, self.source], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._stdin, self._stdout:
            self._stdin.close()
            try:
                self._process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    @property
    def _stdin(self) -> IO[bytes]:
        assert self._process.stdin
        return self._process.stdin

    @property
    def _stdout(self) -> IO[bytes]:
        assert self._process.stdout
        return self._process.stdout


def require_java() -> None:
    """A test is skipped where Java or Kafka's classes are missing, and fails if `KPY_REQUIRE_ALL` is set."""
    if reason := _missing():
        if os.environ.get("KPY_REQUIRE_ALL"):
            pytest.fail(reason)
        pytest.skip(reason)


def _missing() -> str | None:
    """What this machine lacks, and what it is for."""
    if shutil.which("javac") is None:
        return "no `javac` on this machine: comparing with Apache Kafka's own classes needs a JDK, 17 or newer"
    if not any(libraries_directory().glob("kafka-clients-*.jar")):
        return f"{libraries_directory()} has no jars: `python -m interop_tests.oracle --libraries` fetches them"
    return None
