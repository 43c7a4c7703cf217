"""A TCP proxy that writes down what goes through it, on every connection, in the order in which it went."""

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

RECEIVED_BYTES_MAX = 65536
PATIENCE_SECONDS = 60


class RecordingProxy:
    """Listens at `address` for what shall go to `target`; `events` are (connection number, from the client, data)."""

    def __init__(self, address: tuple[str, int], target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(address)
        self.events: list[tuple[int, bool, bytes]] = []
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for each in [self._listener, *self._sockets]:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)

    def _start(self, what: object, *arguments: object) -> None:
        thread = threading.Thread(target=what, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        number = 0
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                broker = socket.create_connection(self._target)
                self._sockets += (client, broker)
                self._start(self._copy, number, True, client, broker)
                self._start(self._copy, number, False, broker, client)
                number += 1

    def _copy(self, number: int, from_client: bool, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(RECEIVED_BYTES_MAX):
                self.events.append((number, from_client, data))
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)
