"""One task waits for the bytes of all connections, and has what can be answered at once answered on the spot.

A connection that waits in a task of its own costs two steps of the scheduler and two calls of the kernel for each
request, which for a small one is as much as all the rest. Here its socket is registered once, edge-triggered, and its
task sleeps until there is something to wait for. Linux has the kernel's side of it (epoll); elsewhere each task waits
for itself (`kpy.server.network`). So do the connections that come while there are few: a request that comes alone takes
two steps here, and is 1.6 us quicker there.
"""

import select
import socket
from collections.abc import Callable
from time import perf_counter

import trio

from kpy.server.rounds import Rounds

Serve = Callable[[], bool]
"""Takes what has arrived and answers it; whether there is something to wait for, which only a task can."""

_HUNG_UP = ~select.EPOLLIN if hasattr(select, "epoll") else 0

SECONDS_BETWEEN_CHECKPOINTS = 0.005
FEW_CONNECTIONS = 16
"""So many wait for themselves."""
EVENTS_AT_ONCE = 256
"""So many connections are served, or for so long, before other tasks run. The more, the more is done once for all."""


class Watched:
    """One socket. Edge-triggered: what is not read when its bytes arrive is not told a second time."""

    __slots__ = ("_failure", "_is_cancelled", "_is_serving", "_serve", "_task", "has_hung_up", "may_be_readable")

    def __init__(self) -> None:
        self.may_be_readable = True
        """Whether bytes have arrived since all were read, as far as is known."""
        self.has_hung_up = False
        """Whether the peer has closed: of that one is told once, too."""
        self._task: trio.lowlevel.Task | None = None
        self._serve: Serve | None = None
        self._is_serving = False
        self._is_cancelled = False
        self._failure: Exception | None = None

    async def wait(self, serve: Serve) -> None:
        """Have `serve` called each time that bytes arrive, until it returns true; what it raises is raised here."""
        self._serve, self._task = serve, trio.lowlevel.current_task()
        self._is_cancelled = False
        await trio.lowlevel.wait_task_rescheduled(self._abort)
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _abort(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        """The task is cancelled. If that is the doing of what is served, it first comes to its end."""
        if self._is_serving:
            self._is_cancelled = True
            return trio.lowlevel.Abort.FAILED
        self._task = self._serve = None
        return trio.lowlevel.Abort.SUCCEEDED

    def arrived(self) -> None:
        """Bytes are there for whoever waits."""
        self.may_be_readable = True
        self.serve()

    def serve(self) -> None:
        """Serve whoever waits."""
        serve = self._serve
        if serve is None:
            return
        self._is_serving = True
        try:
            is_over = serve() or self._is_cancelled
        except Exception as error:  # noqa: BLE001 - raised in the task that it belongs to
            self._failure = error
            is_over = True
        self._is_serving = False
        if is_over:
            self._resume()

    def close(self) -> None:
        """The socket is closed; so learns who waits."""
        if self._task is not None and not self._is_serving:
            self._failure = trio.ClosedResourceError("the stream was closed by another task")
            self._resume()

    def _resume(self) -> None:
        task, self._task, self._serve = self._task, None, None
        if task is not None:
            trio.lowlevel.reschedule(task)


class Arrivals:
    """The sockets that are watched, by their descriptors; `few` are not. What is served at a stretch is a round."""

    def __init__(self, rounds: Rounds, *, few: int = FEW_CONNECTIONS) -> None:
        self.rounds = rounds
        self._few = few
        self._connections = 0
        self._epoll = select.epoll()
        self._watched: dict[int, Watched] = {}

    def watch(self, sock: socket.socket) -> Watched | None:
        """From now on, until `forget`; None if its task is to wait for itself."""
        self._connections += 1
        if self._connections <= self._few:
            return None
        descriptor = sock.fileno()
        self._epoll.register(descriptor, select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET)
        watched = self._watched[descriptor] = Watched()
        return watched

    def forget(self, sock: socket.socket) -> None:
        """To be called before it is closed: its number may be another's at once."""
        self._connections -= 1
        descriptor = sock.fileno()
        watched = self._watched.pop(descriptor, None)
        if watched is not None:
            if not self._epoll.closed:
                self._epoll.unregister(descriptor)
            watched.close()

    async def run(self) -> None:
        """Serve, for ever."""
        try:
            while True:
                await trio.lowlevel.wait_readable(self._epoll.fileno())
                await self._serve_arrived()
        finally:
            self._epoll.close()

    async def _serve_arrived(self) -> None:
        """Until nothing is left, for others arrive meanwhile."""
        rounds = self.rounds
        served, started = 0, perf_counter()
        while events := self._epoll.poll(0, EVENTS_AT_ONCE):
            rounds.begin()
            for descriptor, flags in events:
                watched = self._watched.get(descriptor)
                if watched is None:  # closed since
                    continue
                if flags & _HUNG_UP:
                    watched.has_hung_up = True
                watched.arrived()
                served += 1
                if served >= EVENTS_AT_ONCE or perf_counter() - started >= SECONDS_BETWEEN_CHECKPOINTS:
                    rounds.end()
                    await trio.lowlevel.checkpoint()
                    rounds.begin()
                    served, started = 0, perf_counter()
            rounds.end()
