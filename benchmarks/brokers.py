"""Broker processes: started on a free port, stopped for good, and read from outside through /proc.

CPU time and memory are those of the one process that the command becomes: a command that needs a shell ends in `exec`.
"""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from compileall import compile_dir
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.wire import Connection, api_versions
from interop_tests.brokers import free_port, resident_bytes
from interop_tests.oracle.node import KafkaNode

PACKAGE = Path(__file__).parent.parent / "kpy"
START_TIMEOUT_S = 300.0
STOP_TIMEOUT_S = 120.0
START_POLL_S = 0.001
OUTPUT_TAIL_BYTES = 4_000
KAFKA_HEAP = "1g"
KAFKA_JAVA_OPTIONS = (  # what Kafka's own start script gives
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
)


class BrokerFailed(Exception):
    """A broker that ended, or did not answer in time; the message has the end of its output."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A broker that takes part: its name, and what makes its command line for a scratch directory and a port."""

    name: str
    command: Callable[[Path, int], Sequence[str]]


class RunningBroker:
    """A broker that has answered its first request; `directory` is where its files are, if it has any."""

    def __init__(self, candidate: Candidate, directory: Path) -> None:
        self.name = candidate.name
        self.port = free_port()
        self.directory = directory
        self.start_s = 0.0
        self._command = candidate.command(directory, self.port)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self._running.pid

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, f"{self.name} is not running"
        return self._process

    def start(self) -> None:
        """From exec to the first answer."""
        with (self.directory / "output").open("ab") as output:
            started = time.perf_counter()
            self._process = subprocess.Popen(self._command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        _await_answer(self._process, self.port, started + START_TIMEOUT_S)
        self.start_s = time.perf_counter() - started

    def stop(self) -> None:
        """SIGTERM, and wait."""
        if self._process is not None:
            _end(self._process)
            self._process = None

    def check_alive(self) -> None:
        _check_alive(self._running)

    def keeps_files(self) -> bool:
        """Whether its data is on the disk, as with the brokers of `kpy` and `kafka` here."""
        return (self.directory / "data").exists()

    def descriptors(self) -> int:
        """How many files and sockets it has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def cpu_s(self) -> float:
        """User and system time of all its threads so far, to the nanosecond: Linux's clock of another process."""
        return time.clock_gettime((~self.pid << 3) | 2)

    def resident_mib(self) -> float:
        return resident_bytes(self.pid) / (1 << 20)


def kpy(*settings: str, in_memory: bool = False) -> Callable[[Path, int], Sequence[str]]:
    """`kpy serve` of this checkout, with its files in the scratch directory or without any.

    Its bytecode is written first, as `pip install` does; a checkout may have none.
    """

    def command(scratch: Path, port: int) -> Sequence[str]:
        compile_dir(PACKAGE, quiet=1)
        storage = [] if in_memory else ["--data-dir", str(scratch / "data")]
        return [sys.executable, "-m", "kpy", "serve", "--port", str(port), *storage, *settings]

    return command


def kafka(scratch: Path, port: int) -> Sequence[str]:
    """Apache Kafka as its own scripts start it, formatted here."""
    node = KafkaNode(scratch=scratch, port=port, heap=KAFKA_HEAP, java_options=KAFKA_JAVA_OPTIONS)
    node.prepare()
    return node.command()


def from_template(template: str) -> Callable[[Path, int], Sequence[str]]:
    """A command line in which `{port}` and, if it wants files, `{directory}` are filled in."""

    def command(scratch: Path, port: int) -> Sequence[str]:
        words = shlex.split(template)
        return [word.replace("{port}", str(port)).replace("{directory}", str(scratch)) for word in words]

    return command


@contextmanager
def running(candidate: Candidate) -> Iterator[RunningBroker]:
    """The broker from its first answer to the end of the block; then it and its files are gone."""
    with TemporaryDirectory(prefix=f"benchmark-{candidate.name}-", ignore_cleanup_errors=True) as directory:
        broker = RunningBroker(candidate, Path(directory))
        try:
            broker.start()
            yield broker
            broker.check_alive()
        except Exception as error:
            tail = (broker.directory / "output").read_bytes()[-OUTPUT_TAIL_BYTES:].decode(errors="replace")
            raise BrokerFailed(f"{candidate.name}: {error!r}\n{tail}") from error
        finally:
            broker.stop()


def _await_answer(process: subprocess.Popen[bytes], port: int, deadline: float) -> None:
    while True:
        try:
            with Connection(port) as connection:
                connection.exchange(api_versions())
                return
        except OSError:
            _check_alive(process)
            if time.perf_counter() > deadline:
                raise BrokerFailed(f"no answer within {START_TIMEOUT_S:g} s") from None
            time.sleep(START_POLL_S)


def _check_alive(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        raise BrokerFailed(f"ended by itself with status {process.returncode}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def processors() -> int:
    return len(os.sched_getaffinity(0))
