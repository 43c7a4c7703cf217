"""`kpy serve` as a process: how it says that it is ready, and how it ends."""

import re
import resource
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from kpy.cli.serve import SIGNALS, _stop_on_signal

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., Any]


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_in_memory(serve: Start, signal_number: int) -> None:
    """The banner names the address and says that nothing is kept; a signal ends the broker with status 0."""
    broker = serve()

    assert re.fullmatch(r"kpy \S+ is ready at localhost:\d+, data in memory: .*--data-dir DIR.*\n", broker.banner)
    port = int(broker.address.rpartition(":")[2])
    for address in ("127.0.0.1", "::1") if socket.has_dualstack_ipv6() else ("127.0.0.1",):
        socket.create_connection((address, port)).close()
    logged = broker.end(signal_number)
    assert broker.process.returncode == 0
    assert "Traceback" not in logged
    assert "flushed the logs in" in logged


def test_on_disk(serve: Start, kpy: Run, tmp_path: Path) -> None:
    """The banner names the directory, which belongs to one broker at a time and is marked clean when it goes."""
    directory = tmp_path / "data"
    broker = serve("--data-dir", str(directory))

    assert broker.banner.endswith(f", data in {directory}\n")
    second = kpy("serve", "--port", "0", "--data-dir", str(directory))
    assert second.returncode == 1
    assert len(second.stderr.splitlines()) == 1
    assert str(directory) in second.stderr
    assert not (directory / ".kafka_cleanshutdown").exists()
    broker.end(signal.SIGTERM)
    assert (directory / ".kafka_cleanshutdown").exists()


def test_ready_file(serve: Start, tmp_path: Path) -> None:
    """The file has the address while the broker runs, replaces what an earlier one left, and goes with the broker."""
    ready_file = tmp_path / "ready"
    ready_file.write_text("stale")
    broker = serve("--ready-file", str(ready_file))

    assert ready_file.read_text() == f"{broker.address}\n"
    broker.end(signal.SIGTERM)
    assert list(tmp_path.iterdir()) == []


def test_a_ready_file_that_cannot_be_written(kpy: Run, tmp_path: Path) -> None:
    """A broker that nobody would find does not go on."""
    result = kpy("serve", "--port", "0", "--log-level", "error", "--ready-file", str(tmp_path / "missing" / "ready"))

    assert result.returncode == 1
    assert result.stderr == f"kpy: error: --ready-file {tmp_path}/missing/ready: No such file or directory\n"


@pytest.mark.parametrize(
    ("arguments", "address"),
    [
        (["-c", "advertised.listeners=PLAINTEXT://from.command:2", "--advertise", "from.option:3"], "from.option:3"),
        (["-c", "listeners=PLAINTEXT://127.0.0.1:1"], r"127\.0\.0\.1:\d\d+"),
        (["--host", "127.0.0.1"], r"127\.0\.0\.1:\d+"),
        (["--advertise", "from.option:0"], r"from.option:\d\d+"),
    ],
)
def test_precedence(serve: Start, tmp_path: Path, arguments: list[str], address: str) -> None:
    """The command line counts before -c, and that before the file."""
    file = tmp_path / "server.properties"
    file.write_text("listeners=PLAINTEXT://localhost:1\nadvertised.listeners=PLAINTEXT://from.file:1\n")

    assert re.fullmatch(address, serve("--config", str(file), *arguments).address)


def test_warnings_are_logged(serve: Start) -> None:
    """What is not honoured is said, and the broker runs."""
    broker = serve("-c", "num.io.threads=8", "-c", "log.local.retention.ms=1")
    logged = broker.end(signal.SIGTERM)

    assert "WARNING kpy.cli.serve: -c: not honoured by kpy: num.io.threads" in logged
    assert "-c: log.local.retention.ms is kept and shown but changes nothing" in logged


def test_the_second_signal_is_the_systems() -> None:
    """After the first signal the system's own handler is back, which ends the process at once."""

    class Broker:
        stops = 0

        def stop(self) -> None:
            self.stops += 1

    broker = Broker()

    async def run() -> None:
        _stop_on_signal(broker)  # type: ignore[arg-type]
        signal.raise_signal(signal.SIGTERM)
        await trio.testing.wait_all_tasks_blocked()

    before = [signal.getsignal(number) for number in SIGNALS]
    try:
        trio.run(run)
        handlers = {signal.getsignal(number) for number in SIGNALS}
    finally:
        for number, handler in zip(SIGNALS, before, strict=True):
            signal.signal(number, handler)

    assert broker.stops == 1
    assert handlers == {signal.SIG_DFL}


def test_as_many_descriptors_as_the_system_allows(serve: Start) -> None:
    """The soft limit of open files that most shells set is raised to the hard one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lower = min(hard, 512)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lower, hard))
    try:
        broker = serve()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    limits = Path(f"/proc/{broker.process.pid}/limits")
    if limits.exists():
        (line,) = [line for line in limits.read_text().splitlines() if line.startswith("Max open files")]
        assert line.split()[3] == line.split()[4]
