"""An in-process broker with a thread and a trio run of its own, so that any client library can talk to it."""

import logging
import threading
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Self

import trio

from kpy.config import Layer, load
from kpy.server.broker import Broker as Server

logger = logging.getLogger(__name__)


class Broker:
    """A broker on a free port of 127.0.0.1 and ::1 that keeps everything in memory; a context manager.

    `config` holds broker options under Kafka's names, for example `{"num.partitions": "3"}`. Raises ConfigError for a
    bad one, and StartupError if the broker cannot start.
    """

    def __init__(self, config: Mapping[str, str] | None = None) -> None:
        settings = {"listeners": "PLAINTEXT://localhost:0", **(config or {})}
        loaded = load([Layer("Broker", settings)])
        for warning in loaded.warnings:
            logger.warning("%s", warning)
        self._config = loaded.config
        self._server: Server | None = None
        self._token: trio.lowlevel.TrioToken | None = None
        self._failure: BaseException | None = None
        self._settled = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kpy broker", daemon=True)

    @property
    def bootstrap_servers(self) -> str:
        """`host:port`, for the client setting of that name."""
        if self._server is None:
            raise RuntimeError("the broker is not running: use it as a context manager")
        return str(self._server.addresses[0])

    def start(self) -> Self:
        """Returns when the broker accepts connections. A broker runs once."""
        self._thread.start()
        try:
            self._settled.wait()
        except BaseException:  # the test run is interrupted
            self.stop()
            raise
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        return self

    def stop(self) -> None:
        """Returns when the broker is gone. What went wrong in it meanwhile is raised here."""
        if self._thread.ident is None:
            return
        self._settled.wait()
        if self._token is not None and self._server is not None:
            with suppress(trio.RunFinishedError):  # it has ended by itself; the reason is raised below
                self._token.run_sync_soon(self._server.stop)
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _run(self) -> None:
        try:
            trio.run(self._serve)
        except BaseException as failure:  # noqa: BLE001 - handed to the thread that waits for it
            self._failure = failure
        finally:
            self._settled.set()

    async def _serve(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._server = Server(self._config)
        await self._server.run(task_status=self)

    def started(self, value: None = None) -> None:
        """The server accepts connections (trio.TaskStatus)."""
        self._settled.set()
