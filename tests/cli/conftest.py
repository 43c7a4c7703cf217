"""The `kpy` command as a process of its own."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

PATIENCE_SECONDS = 60

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., "Serving"]


class Serving:
    """A `kpy serve` that has said that it is ready."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        assert process.stdout is not None
        self.banner = process.stdout.readline()

    @property
    def address(self) -> str:
        """The address that the banner names."""
        return self.banner.split(" is ready at ")[1].split(",")[0]

    def end(self, signal_number: int) -> str:
        """Send a signal and wait for the end; what was logged."""
        self.process.send_signal(signal_number)
        return self.process.communicate(timeout=PATIENCE_SECONDS)[1]


@pytest.fixture
def kpy() -> Run:
    """Runs `kpy` with these arguments to its end."""

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "kpy", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)

    return run


@pytest.fixture
def serve() -> Iterator[Start]:
    """Starts `kpy serve --port 0` with more arguments; what still runs at the end is killed."""
    with ExitStack() as stack:

        def start(*arguments: str) -> Serving:
            command = [sys.executable, "-m", "kpy", "serve", "--port", "0", *arguments]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            stack.enter_context(process)
            stack.callback(process.kill)
            return Serving(process)

        yield start
