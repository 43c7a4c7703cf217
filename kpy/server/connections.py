"""All connections of a broker: how many there may be, which are idle, and how they end."""

import logging
import sys
from collections import Counter
from collections.abc import Callable
from typing import Protocol

import trio

from kpy.server.connection import Connection
from kpy.server.log_limit import OncePerSecond
from kpy.server.network import ByteStream

logger = logging.getLogger(__name__)


class Limits(Protocol):
    """The part of a broker's configuration that connections live by."""

    max_connections: int
    max_connections_per_ip: int
    connections_max_idle_ms: int


class Connections:
    """The open connections, bounded by `max.connections` and `max.connections.per.ip` as they are at each moment.

    Nor may they take the descriptors that the logs need: `descriptors` is how many there are for both.
    """

    def __init__(self, config: Callable[[], Limits], *, descriptors: int = sys.maxsize) -> None:
        self._config = config
        self._most = descriptors * 3 // 4
        self._logs_refusal = OncePerSecond()
        self.refusing = False
        self._open: set[Connection] = set()
        self._per_address: Counter[str] = Counter()
        self._changed = trio.Event()

    def __len__(self) -> int:
        return len(self._open)

    def start(self, nursery: trio.Nursery, stream: ByteStream, connect: Callable[[ByteStream], Connection]) -> None:
        """Serve `stream` in a task of its own, or close it if there are too many already."""
        refusal = self._why_not(stream.peer)
        if refusal:
            if self._logs_refusal():
                logger.warning("refused a connection from %s: %s", stream.peer, refusal)
            stream.close()
            return
        connection = connect(stream)
        self._open.add(connection)
        self._per_address[connection.peer] += 1
        nursery.start_soon(self._serve, connection)

    def _why_not(self, peer: str) -> str | None:
        if self.refusing:
            return "the broker is stopping"
        config = self._config()
        if len(self._open) >= config.max_connections:
            return f"there are {len(self._open)} already (max.connections)"
        if len(self._open) >= self._most:
            return f"there are {len(self._open)} already, and other files need descriptors too (ulimit -n)"
        if self._per_address[peer] >= config.max_connections_per_ip:
            return f"that address has {self._per_address[peer]} already (max.connections.per.ip)"
        return None

    async def _serve(self, connection: Connection) -> None:
        try:
            await connection.serve()
        finally:
            self._open.remove(connection)
            self._per_address[connection.peer] -= 1
            if not self._per_address[connection.peer]:
                del self._per_address[connection.peer]
            self._changed.set()
            self._changed = trio.Event()

    async def close_idle_forever(self) -> None:
        """Close each connection that has made no progress for `connections.max.idle.ms`."""
        while True:
            now = trio.current_time()
            max_idle_seconds = self._config().connections_max_idle_ms / 1000
            next_check = now + max_idle_seconds
            for connection in self._open:
                idle_at = connection.last_progress + max_idle_seconds
                if idle_at > now:
                    next_check = min(next_check, idle_at)
                elif not connection.waiting_on_broker:
                    connection.close("it has made no progress for connections.max.idle.ms")
                elif connection.is_abandoned():
                    connection.close("its peer has left while a request is parked")
            await trio.sleep_until(next_check)

    async def finish(self, *, grace_seconds: float) -> None:
        """Answer what has arrived, then close; what is not done after the grace is cut off."""
        self.refusing = True
        for connection in self._open:
            connection.finish()
        with trio.move_on_after(grace_seconds):
            while self._open:
                await self._changed.wait()
        for connection in self._open:
            connection.close("the broker stops")
