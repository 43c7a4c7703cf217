"""Brokers under test: one face for kpy, Apache Kafka and a broker that somebody else runs.

A broker that is ours keeps its address and its data directory over `stop`, `kill` and `start`, so that a client of it
sees a restart as a client of a real cluster does.
"""

import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from interop_tests.eventually import eventually

FAIR_SETTINGS: Mapping[str, str] = {
    "num.partitions": "4",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "100",
    "group.consumer.min.heartbeat.interval.ms": "100",
    "group.consumer.min.session.timeout.ms": "1000",
}
"""What every broker under test is told, so that the scenarios are quick and the same everywhere."""


class Broker:
    """A broker at an address; what is below `bootstrap` only holds for one that these tests started."""

    name = "a broker"
    restartable = False

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port

    @property
    def bootstrap(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def pid(self) -> int | None:
        return None

    def start(self) -> None:
        """Return when the broker serves Metadata with itself in it."""

    def stop(self) -> None:
        """A clean stop: SIGTERM, and wait."""

    def kill(self) -> None:
        """SIGKILL."""

    def died(self) -> str | None:
        """How an own broker ended that nobody stopped, else None."""
        return None

    def close(self) -> None:
        """Stop and remove everything."""

    def restart(self, *, clean: bool) -> None:
        if clean:
            self.stop()
        else:
            self.kill()
        self.start()


class RemoteBroker(Broker):
    """A broker that was there before the tests, as `--broker HOST:PORT`."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        super().__init__(host.strip("[]"), int(port))
        self.name = address

    def start(self) -> None:
        eventually(lambda: serves_metadata(self.host, self.port), f"{self.name} answers", within_s=5)


class OwnBroker(Broker):
    """A broker process with a scratch directory, its output in a file there."""

    start_timeout_s = 60.0
    stop_timeout_s = 60.0
    restartable = True

    def __init__(self, scratch: Path | None = None) -> None:
        super().__init__("127.0.0.1", 0)
        self._own_scratch = (
            None if scratch else tempfile.TemporaryDirectory(prefix=f"{self.name}-", ignore_cleanup_errors=True)
        )
        self.scratch = scratch or Path(self._own_scratch.name if self._own_scratch else "")
        self.output = self.scratch / "output.log"
        self.data_directory = self.scratch / "data"
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> Sequence[str]:
        raise NotImplementedError

    def prepare(self) -> None:
        """What has to be done before each start."""

    def answers(self) -> bool:
        return serves_metadata(self.host, self.port)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        assert self._process is None, f"{self.name} runs already"
        self.prepare()
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                self.command(), stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=self.environment()
            )
        try:
            eventually(self._ready, f"{self.name} answers", within_s=self.start_timeout_s)
        except BaseException as error:
            self.kill()
            raise RuntimeError(f"{self.name} did not start: {error}\n{self.tail()}") from error

    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    def stop(self) -> None:
        if process := self._process:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(self.stop_timeout_s)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"{self.name} did not stop in {self.stop_timeout_s:g} s\n{self.tail()}") from None
            self._process = None

    def kill(self) -> None:
        if process := self._process:
            process.kill()
            process.wait()
            self._process = None

    def died(self) -> str | None:
        if self._process is None or self._process.poll() is None:
            return None
        status = self._process.returncode
        self._process = None
        return f"{self.name} ended by itself with status {status}:\n{self.tail()}"

    def close(self) -> None:
        try:
            self.stop()
        finally:
            self.kill()
            if self._own_scratch:
                self._own_scratch.cleanup()

    def tail(self, size_bytes: int = 4000) -> str:
        """The end of what the broker printed."""
        return self.output.read_bytes()[-size_bytes:].decode(errors="replace") if self.output.exists() else ""

    def _ready(self) -> bool:
        if end := self.died():
            raise RuntimeError(end)
        return self.answers()


class KpyBroker(OwnBroker):
    """`python -m kpy serve` of this checkout."""

    name = "kpy"

    def __init__(
        self,
        *,
        storage: str = "disk",
        settings: Mapping[str, str] | None = None,
        scratch: Path | None = None,
        host: str = "localhost",
    ) -> None:
        super().__init__(scratch)
        self.restartable = storage == "disk"
        self._listen_host = host
        self._settings = {**FAIR_SETTINGS, **(settings or {})}
        self._ready_file = self.scratch / "ready"

    def command(self) -> Sequence[str]:
        command = [
            sys.executable,
            "-m",
            "kpy",
            "serve",
            "--host",
            self._listen_host,
            "--port",
            str(self.port),
            "--ready-file",
            str(self._ready_file),
        ]
        if self.restartable:
            command += ["--data-dir", str(self.data_directory)]
        return command + [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]

    def prepare(self) -> None:
        self._ready_file.unlink(missing_ok=True)

    def answers(self) -> bool:
        if not self._ready_file.exists():
            return False
        if self.port == 0:
            self.host, _, port = self._ready_file.read_text().strip().rpartition(":")
            self.port = int(port)
        return super().answers()


def serves_metadata(host: str, port: int) -> bool:
    """Does Metadata v1 for no topics name a broker? Apache Kafka accepts connections before it does."""
    client_id = b"probe"
    request = struct.pack(f">hhih{len(client_id)}si", 3, 1, 0, len(client_id), client_id, 0)
    try:
        with socket.create_connection((host, port), timeout=2) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            reply = connection.recv(12, socket.MSG_WAITALL)
    except OSError:
        return False
    return len(reply) == 12 and struct.unpack(">iii", reply)[2] > 0


def free_port() -> int:
    """A port that nobody has at this moment, for brokers that cannot take one themselves."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def resident_bytes(pid: int) -> int:
    """The memory that a process holds, as Linux counts it."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"no VmRSS for {pid}")
