"""Client programs that speak in lines: standard input is what they send, standard output what they received."""

import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from interop_tests.eventually import PATIENCE_S, eventually


class LineProcess:
    """A child process; `lines` holds what it has printed so far. At the end of the block it is gone in any case."""

    def __init__(self, command: Sequence[str]) -> None:
        self.lines: list[str] = []
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the process
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "ignore"}
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            bufsize=1,
            env=environment,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Gone in any case, and what it said forgotten."""
        self.stop()
        self._errors.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def wait_for(self, count: int, *, within_s: float = PATIENCE_S) -> None:
        """Until it has printed that many lines."""
        self.wait_until(lambda: len(self.lines) >= count, f"{count} lines", within_s=within_s)

    def wait_until(self, condition: Callable[[], bool], what: str, *, within_s: float = PATIENCE_S) -> None:
        """Until that holds of what it prints; RuntimeError if it fails before."""

        def holds() -> bool:
            failed = self._process.poll()
            if not condition() and failed:
                raise RuntimeError(f"{self._process.args!r} ended with {failed}: {self.errors()}")
            return condition()

        eventually(holds, what, within_s=within_s)

    def finish(self, within_s: float = PATIENCE_S) -> int:
        """End of input; its exit status."""
        assert self._process.stdin
        self._process.stdin.close()
        status = self._process.wait(within_s)
        self._reader.join()
        return status

    def terminate(self, within_s: float = PATIENCE_S) -> None:
        """Ask it to stop, and wait."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(within_s)
        self._reader.join()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()

    def stop(self) -> None:
        """Gone without ceremony."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream
            with suppress(BrokenPipeError):
                stream.close()

    def errors(self) -> str:
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")[-4000:]

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self.lines.append(line.rstrip("\n"))
