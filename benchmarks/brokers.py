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
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
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


@dataclass(frozen=True, slots=True)
class RunningBroker:
    """A started broker that has answered its first request."""

    name: str
    port: int
    pid: int
    start_s: float
    directory: Path
    """Where its files are, somewhere below."""

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

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
        scratch, port = Path(directory), free_port()
        command = candidate.command(scratch, port)
        with (scratch / "output").open("wb") as output:
            started = time.perf_counter()
            process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        try:
            _await_answer(process, port, started + START_TIMEOUT_S)
            yield RunningBroker(candidate.name, port, process.pid, time.perf_counter() - started, scratch)
            _check_alive(process)
        except Exception as error:
            tail = (scratch / "output").read_bytes()[-OUTPUT_TAIL_BYTES:].decode(errors="replace")
            raise BrokerFailed(f"{candidate.name}: {error!r}\n{tail}") from error
        finally:
            _end(process)


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
