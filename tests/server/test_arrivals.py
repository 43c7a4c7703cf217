"""Connections are served where their bytes are seen to arrive; their tasks are woken for what takes waiting."""

import select
import socket
from collections.abc import AsyncIterator

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from kpy.server.arrivals import EVENTS_AT_ONCE, Arrivals
from kpy.server.network import SocketStream, bind
from kpy.server.rounds import Rounds

pytestmark = pytest.mark.skipif(not hasattr(select, "epoll"), reason="the kernel has no epoll")


class Served:
    """Takes what arrives at one stream until `until` has come; remembers what came in which task."""

    def __init__(self, stream: SocketStream, until: bytes = b"", *, buffer_bytes: int = 100) -> None:
        self.stream = stream
        self.taken: list[bytes] = []
        self.tasks: list[str] = []
        self.has_ended = False
        self._until = until
        self._buffer = bytearray(buffer_bytes)

    def __call__(self) -> bool:
        while (size := self.stream.receive_now(memoryview(self._buffer))) is not None:
            if size == 0:
                self.has_ended = True
                return True
            self.taken.append(bytes(self._buffer[:size]))
            self.tasks.append(trio.lowlevel.current_task().name)
            if self._until and self.taken[-1].endswith(self._until):
                return True
        return False

    async def run(self) -> None:
        await self.stream.until_served(self)


class Network:
    """Connections whose arrivals are watched by one task."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.nursery = nursery
        self.arrivals = Arrivals(Rounds(), few=0)
        (self._listener,) = bind("127.0.0.1", 0, backlog=200)
        self._open: list[socket.socket] = [self._listener]
        nursery.start_soon(self.arrivals.run, name="arrivals")

    async def connect(self) -> tuple[SocketStream, socket.socket]:
        client = socket.create_connection(self._listener.getsockname())
        await trio.lowlevel.wait_readable(self._listener)
        accepted, _ = self._listener.accept()
        self._open += [client, accepted]
        return SocketStream(accepted, arrivals=self.arrivals), client

    def close(self) -> None:
        for sock in self._open:
            sock.close()


@pytest.fixture
async def network() -> AsyncIterator[Network]:
    async with trio.open_nursery() as nursery:
        made = Network(nursery)
        yield made
        nursery.cancel_scope.cancel()
    made.close()


async def test_what_arrives_is_served_without_waking_the_task(network: Network) -> None:
    """A connection's own task does the first look and what follows a wait; all else is done where arrivals are seen."""
    stream, client = await network.connect()
    served = Served(stream, until=b"!")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(served.run, name="its own")
        for piece in (b"one", b"two", b"three!"):
            await wait_all_tasks_blocked()
            client.sendall(piece)

    assert served.taken == [b"one", b"two", b"three!"]
    assert served.tasks == ["arrivals"] * 3


async def test_what_arrives_while_nobody_waits_is_not_forgotten(network: Network) -> None:
    """Bytes that come while the task does something else, or do not fit the buffer, are there when it asks again."""
    stream, client = await network.connect()
    first = Served(stream, until=b"1", buffer_bytes=4)
    client.sendall(b"0001")
    await first.run()
    client.sendall(b"00000002")
    await wait_all_tasks_blocked()

    second = Served(stream, until=b"2", buffer_bytes=4)
    with trio.fail_after(10):
        await second.run()

    assert (first.taken, second.taken) == ([b"0001"], [b"0000", b"0002"])


@pytest.mark.parametrize("last", [b"", b"last words"])
async def test_the_end_is_seen_also_behind_bytes_that_came_with_it(network: Network, last: bytes) -> None:
    """A peer that closes is told of once: with its last bytes, or after them."""
    stream, client = await network.connect()
    served = Served(stream)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(served.run)
        await wait_all_tasks_blocked()
        if last:
            client.sendall(last)
        client.shutdown(socket.SHUT_WR)

    assert served.has_ended
    assert b"".join(served.taken) == last


async def test_the_end_that_came_while_nobody_waited_is_seen(network: Network) -> None:
    """Also if the read that took the last bytes left room in the buffer."""
    stream, client = await network.connect()
    first = Served(stream, until=b"!")
    client.sendall(b"!")
    client.shutdown(socket.SHUT_WR)
    await wait_all_tasks_blocked()
    await first.run()

    second = Served(stream)
    with trio.fail_after(10):
        await second.run()

    assert second.has_ended


async def test_the_end_of_receiving_is_an_end(network: Network) -> None:
    """A broker that stops tells its quiet connections so by closing their receiving side."""
    stream, _ = await network.connect()
    served = Served(stream)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(served.run)
        await wait_all_tasks_blocked()
        stream.end_receiving()

    assert served.has_ended


async def test_a_failure_belongs_to_the_task_that_waits(network: Network) -> None:
    """What goes wrong in serving is raised where the connection is looked after, and others are served on."""
    (bad, bad_client), (good, good_client) = await network.connect(), await network.connect()
    served = Served(good, until=b"!")

    def fail() -> bool:
        if bad.receive_now(memoryview(bytearray(10))) is not None:
            raise ZeroDivisionError
        return False

    async def run_bad() -> None:
        with pytest.raises(ZeroDivisionError):
            await bad.until_served(fail)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_bad)
        nursery.start_soon(served.run)
        await wait_all_tasks_blocked()
        bad_client.sendall(b"x")
        await wait_all_tasks_blocked()
        good_client.sendall(b"fine!")

    assert served.taken == [b"fine!"]


async def test_who_is_cancelled_while_served_first_comes_to_the_end_of_it(network: Network) -> None:
    """A handler may close its own connection: what it leaves behind is there when the task learns of it."""
    stream, client = await network.connect()
    scope = trio.CancelScope()
    steps: list[str] = []

    def serve() -> bool:
        if stream.receive_now(memoryview(bytearray(10))) is None:
            return False
        scope.cancel()
        steps.append("served")
        return False

    async def run() -> None:
        with scope:
            await stream.until_served(serve)
            steps.append("woken")
            await trio.lowlevel.checkpoint()
            steps.append("not cancelled")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await wait_all_tasks_blocked()
        client.sendall(b"x")

    assert steps == ["served", "woken"]


async def test_cancelling_and_closing_end_a_wait(network: Network) -> None:
    """At once, and what arrives afterwards is nobody's."""
    (cancelled, client), (closed, _) = await network.connect(), await network.connect()
    quiet = Served(cancelled)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(quiet.run)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    client.sendall(b"late")
    await wait_all_tasks_blocked()
    assert quiet.taken == []

    async def expect_closed() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await closed.until_served(Served(closed))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(expect_closed)
        await wait_all_tasks_blocked()
        closed.close()


async def test_many_that_arrive_together_let_others_run(network: Network) -> None:
    """Between two bursts of connections that are served everybody else has a turn."""
    pairs = [await network.connect() for _ in range(3 * EVENTS_AT_ONCE)]
    served = [Served(stream, until=b"!") for stream, _ in pairs]
    seen_by_others: set[int] = set()
    async with trio.open_nursery() as nursery:
        for each in served:
            nursery.start_soon(each.run)
        await wait_all_tasks_blocked()
        for _, client in pairs:
            client.sendall(b"!")
        while not all(each.taken for each in served):
            seen_by_others.add(sum(bool(each.taken) for each in served))
            await trio.lowlevel.checkpoint()

    assert [each.taken for each in served] == [[b"!"]] * len(served)
    assert seen_by_others - {0}


async def test_a_few_connections_wait_for_themselves() -> None:
    """Their tasks are woken by their own sockets; what is one of a few is counted among those that are open."""
    async with trio.open_nursery() as nursery:
        network = Network(nursery)
        network.arrivals = Arrivals(Rounds(), few=1)
        nursery.start_soon(network.arrivals.run, name="arrivals")
        for number in range(3):
            (alone, alone_client), (other, other_client) = await network.connect(), await network.connect()
            served = [Served(alone, until=b"!"), Served(other, until=b"!")]
            async with trio.open_nursery() as waiting:
                waiting.start_soon(served[0].run, name="its own")
                waiting.start_soon(served[1].run, name="its own")
                await wait_all_tasks_blocked()
                alone_client.sendall(b"!")
                other_client.sendall(b"!")
            assert (number, [each.tasks for each in served]) == (number, [["its own"], ["arrivals"]])
            alone.close()
            other.close()
        nursery.cancel_scope.cancel()
    network.close()
