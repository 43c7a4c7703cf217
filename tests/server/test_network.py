"""Bytes go out whole and in order, files without passing through Python, on sockets that block and break."""

import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from kpy.server.network import Endpoint, SocketStream, StreamClosed, accept_forever, bind
from kpy.storage.disk_files import DiskFiles
from kpy.storage.memory_files import MemoryFiles

MEGABYTE = bytes(range(256)) * 4096


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    (sock,) = bind("127.0.0.1", 0, backlog=10)
    with sock:
        yield sock


async def connect(listener: socket.socket) -> tuple[SocketStream, trio.SocketStream]:
    """The broker's side and the client's side of one connection."""
    client = await trio.open_tcp_stream("127.0.0.1", listener.getsockname()[1])
    sock, _ = listener.accept()
    return SocketStream(sock), client


async def receive(client: trio.SocketStream, size: int) -> bytes:
    received = b""
    while len(received) < size:
        chunk = await client.receive_some()
        if not chunk:
            break
        received += chunk
    return received


@pytest.mark.parametrize("sendfile", [True, False])
@pytest.mark.parametrize("in_memory", [True, False])
async def test_parts_arrive_in_order_whatever_they_are(
    listener: socket.socket, tmp_path: Path, in_memory: bool, sendfile: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small buffers, large ones that block, and ranges of files: the peer reads their concatenation."""
    if not sendfile:
        monkeypatch.delattr(os, "sendfile")
    file = (MemoryFiles() if in_memory else DiskFiles(tmp_path)).open("log")
    file.append(MEGABYTE * 3)
    parts = [b"head", file.range(100, len(MEGABYTE) * 2), memoryview(MEGABYTE), b"tail", file.range(5, 7)]
    expected = b"head" + (MEGABYTE * 3)[100 : 100 + 2 * len(MEGABYTE)] + MEGABYTE + b"tail" + MEGABYTE[5:12]
    stream, client = await connect(listener)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.send, parts)
        assert await receive(client, len(expected)) == expected
    stream.close()
    await client.aclose()


async def test_many_small_buffers_go_out_whole(listener: socket.socket) -> None:
    """A reply of many parts is all sent."""
    parts = [b"%05d" % number for number in range(1000)]
    stream, client = await connect(listener)

    await stream.send(parts)

    assert await receive(client, 5 * len(parts)) == b"".join(parts)
    stream.close()
    await client.aclose()


async def test_receiving_waits_for_bytes_and_tells_the_end(listener: socket.socket) -> None:
    """What the peer sends comes into the buffer; 0 says that it has closed."""
    stream, client = await connect(listener)
    buffer = bytearray(100)
    await client.send_all(b"hello")
    assert await stream.receive_into(memoryview(buffer)) == 5
    assert buffer[:5] == b"hello"
    await client.aclose()
    assert await stream.receive_into(memoryview(buffer)) == 0
    stream.close()


async def test_what_has_arrived_is_received_after_the_end_of_receiving(listener: socket.socket) -> None:
    """A stream gives what there is and then 0, also to one who waits already; it can still send."""
    stream, client = await connect(listener)
    buffer = bytearray(100)
    await client.send_all(b"in time")
    stream.end_receiving()
    assert await stream.receive_into(memoryview(buffer)) == 7
    assert await stream.receive_into(memoryview(buffer)) == 0
    await stream.send([b"answer"])
    assert await receive(client, 6) == b"answer"
    stream.close()
    await client.aclose()


async def test_whether_the_peer_is_there_is_seen_without_receiving(listener: socket.socket) -> None:
    """Bytes that are there stay there; a peer that has closed, or was reset, has ended."""
    stream, client = await connect(listener)
    assert not stream.has_ended()
    await client.send_all(b"x")
    assert not stream.has_ended()
    buffer = bytearray(10)
    assert await stream.receive_into(memoryview(buffer)) == 1
    client.socket.shutdown(socket.SHUT_WR)
    await trio.lowlevel.wait_readable(stream._sock)
    assert stream.has_ended()
    stream.close()
    await client.aclose()
    assert stream.has_ended()


async def test_one_who_waits_for_bytes_learns_of_the_end_of_receiving(listener: socket.socket) -> None:
    """A pending receive gives 0."""
    stream, client = await connect(listener)
    received: list[int] = []

    async def receive_all() -> None:
        received.append(await stream.receive_into(memoryview(bytearray(100))))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive_all)
        await wait_all_tasks_blocked()
        stream.end_receiving()
    assert received == [0]
    stream.close()
    await client.aclose()


async def test_a_peer_that_is_gone_ends_a_send(listener: socket.socket) -> None:
    """Sending to a reset connection raises StreamClosed, however much there is to send."""
    stream, client = await connect(listener)
    await client.aclose()
    with pytest.raises(StreamClosed):
        for _ in range(100):
            await stream.send([MEGABYTE])
    stream.close()


async def test_closing_a_stream_wakes_who_waits_on_it(listener: socket.socket) -> None:
    """A close from elsewhere ends a pending receive; closing twice is nothing."""
    stream, client = await connect(listener)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_expect_closed, stream)
        await trio.testing.wait_all_tasks_blocked()
        stream.close()
    stream.close()
    await client.aclose()


async def _expect_closed(stream: SocketStream) -> None:
    with pytest.raises(trio.ClosedResourceError):
        await stream.receive_into(memoryview(bytearray(10)))


def test_localhost_is_both_loopbacks_on_one_port() -> None:
    """A listener on localhost answers on 127.0.0.1 and, where there is one, on ::1, on the same free port."""
    sockets = bind("localhost", 0, backlog=10)
    ports = {sock.getsockname()[1] for sock in sockets}
    families = [sock.family for sock in sockets]
    for sock in sockets:
        sock.close()

    assert len(ports) == 1
    assert families[0] == socket.AF_INET
    assert 0 not in ports


def test_a_port_in_use_is_an_error(listener: socket.socket) -> None:
    """Binding where another program listens fails with EADDRINUSE."""
    with pytest.raises(OSError) as caught:
        bind("localhost", listener.getsockname()[1], backlog=10)

    assert caught.value.errno == errno.EADDRINUSE


def test_an_endpoint_is_printed_so_that_clients_can_use_it() -> None:
    """IPv6 addresses stand in brackets."""
    assert str(Endpoint("localhost", 9092)) == "localhost:9092"
    assert str(Endpoint("::1", 9092)) == "[::1]:9092"


class FailingListener:
    """Raises each error once, then has no connections."""

    def __init__(self, *errors: int) -> None:
        self.errors = list(errors)

    def accept(self) -> tuple[socket.socket, object]:
        if self.errors:
            number = self.errors.pop(0)
            raise OSError(number, os.strerror(number))
        raise KeyboardInterrupt


async def test_running_out_of_descriptors_is_logged_and_tried_again(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The broker goes on accepting when descriptors are free again; a peer that left is passed over.

    What is wrong is said, but not with each attempt.
    """
    listener = FailingListener(errno.EMFILE, errno.ECONNABORTED, errno.ENFILE)
    with pytest.raises(KeyboardInterrupt):
        await accept_forever(listener, lambda stream: None)  # type: ignore[arg-type]

    assert listener.errors == []
    assert caplog.text.count("trying again") == 1


async def test_an_accept_error_that_nobody_expects_is_loud(autojump_clock: trio.testing.MockClock) -> None:
    """A listener that is broken ends the broker rather than being ignored."""
    with pytest.raises(OSError) as caught:
        await accept_forever(FailingListener(errno.EBADF), lambda stream: None)  # type: ignore[arg-type]

    assert caught.value.errno == errno.EBADF


async def test_a_peer_that_left_before_it_was_served_is_passed_over(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Whatever its socket says then, it is closed, and the next one is accepted."""
    gone, other = socket.socket(), socket.socketpair()

    accepted = [gone, other[0]]

    class Listener:
        def accept(self) -> tuple[socket.socket, object]:
            if accepted:
                return accepted.pop(0), None
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await accept_forever(Listener(), lambda stream: None)  # type: ignore[arg-type]

    assert (gone.fileno(), other[0].fileno()) == (-1, -1)
    other[1].close()
