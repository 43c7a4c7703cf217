"""Apache Kafka 4.3.1's own classes as an oracle, in a small Java process that a test asks.

The jars are those of the interoperability oracle; Maven builds the programs, of `tests/java`, when they have changed.
"""

import hashlib
import os
import subprocess
from pathlib import Path
from typing import IO, Final, Self

import pytest

from interop_tests.cache import build_once
from interop_tests.oracle.libraries import KAFKA_VERSION, ToolchainMissing, command, libraries_directory, run_maven

WHAT: Final = "the tests' programs in Java"
PROJECT: Final = Path(__file__).parent / "java"
BUILDS: Final = PROJECT / "target"
_SMALL: Final = ("-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_STOP_TIMEOUT_S: Final = 10.0


class JavaProcess:
    """The process that runs one program, from `with` to its end.

    A test that asks for one is skipped where this machine lacks something, and fails if `KPY_REQUIRE_ALL` is set.
    """

    main_class: str

    def __init__(self, scratch: Path) -> None:
        java = [*_java(), f"-Djava.io.tmpdir={scratch}", self.main_class]
        self._process = subprocess.Popen(java, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

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


def _java() -> list[str]:
    """The command up to the name of a class."""
    try:
        java = command("java", f"{WHAT} need Java 17 or newer")
        return [java, *_SMALL, "-cp", os.pathsep.join([f"{libraries()}/*", str(classes())])]
    except ToolchainMissing as missing:
        reason = str(missing)
    if os.environ.get("KPY_REQUIRE_ALL"):
        pytest.fail(reason)
    pytest.skip(reason)


def libraries() -> Path:
    """The directory of Kafka's jars, which no test fetches."""
    directory = libraries_directory()
    if not any(directory.glob("kafka-clients-*.jar")):
        raise ToolchainMissing(f"{directory} has no jars: `python -m interop_tests.oracle --libraries` fetches them")
    return directory


def classes(builds: Path = BUILDS) -> Path:
    """The directory of the programs' classes, built if there is none for what the project's files are now."""
    sources = [PROJECT / "pom.xml", *sorted(PROJECT.glob("src/**/*.java"))]
    digest = hashlib.sha256(KAFKA_VERSION.encode())
    for source in sources:
        digest.update(hashlib.sha256(source.read_bytes()).digest())
    directory = builds / digest.hexdigest()[:12]
    return build_once(directory, directory.is_dir, _build) / "classes"


def _build(directory: Path) -> None:
    command("javac", f"{WHAT} need a JDK, 17 or newer")
    run_maven(PROJECT / "pom.xml", WHAT, KAFKA_VERSION, ["compile", f"-Dbuilt.directory={directory}"])
