"""Bytes go out whole and in order, files without passing through Python, on sockets that block and break."""

import errno
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from kpy.server.network import Endpoint, Part, SocketStream, StreamClosed, accept_forever, bind
from kpy.storage.disk_files import DiskFiles
from kpy.storage.files import FileRange
from kpy.storage.memory_files import MemoryFiles
from tests.server.failing_files import Disk, FailingFiles

MEGABYTE = bytes(range(256)) * 4096


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    (sock,) = bind("127.0.0.1", 0, backlog=10)
    with sock:
        yield sock


@pytest.fixture
def no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes at once is not stopped, however busy the machine is."""
    monkeypatch.setattr("kpy.server.network.perf_counter", lambda: 0.0)


async def connect(listener: socket.socket) -> tuple[SocketStream, trio.SocketStream]:
    """The broker's side and the client's side of one connection."""
    client = await trio.open_tcp_stream("127.0.0.1", listener.getsockname()[1])
    sock, _ = listener.accept()
    return SocketStream(sock), client


async def receive_into(stream: SocketStream, buffer: bytearray) -> int:
    """Wait for bytes and put them in front of `buffer`."""
    received: list[int] = []

    def take() -> bool:
        taken = stream.receive_now(memoryview(buffer))
        if taken is not None:
            received.append(taken)
        return taken is not None

    await stream.until_served(take)
    return received[0]


async def receive(client: trio.SocketStream, size: int) -> bytes:
    received = bytearray()
    while len(received) < size:
        chunk = await client.receive_some()
        if not chunk:
            break
        received += chunk
    return bytes(received)


def unsent_bytes(stream: SocketStream) -> int:
    """What the kernel was given and has not sent, as Linux tells it (tcpi_notsent_bytes)."""
    return tcp_info(stream, 144)


def sent_segments(stream: SocketStream) -> int:
    """How many segments with data the kernel has sent, as Linux tells it (tcpi_data_segs_out)."""
    return tcp_info(stream, 156)


def tcp_info(stream: SocketStream, position: int) -> int:
    if not hasattr(socket, "TCP_INFO"):
        pytest.skip("this platform does not tell what it has sent")
    info = stream._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
    return int(struct.unpack_from("I", info, position)[0])


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


@pytest.mark.parametrize("sendfile", [True, False])
async def test_a_cold_range_is_read_ahead_piece_by_piece(
    listener: socket.socket, tmp_path: Path, disk: Disk, sendfile: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never more than one piece before the client has taken the last; what is in memory is not read at all."""
    if not sendfile:
        monkeypatch.delattr(os, "sendfile")
    files = FailingFiles(tmp_path)
    cold, warm = files.open("cold"), files.open("warm")
    cold.append(MEGABYTE * 17)
    warm.append(MEGABYTE)
    disk.is_cold = lambda path: path.endswith("cold")
    parts = [cold.range(10, 1000), cold.range(100, 16 * len(MEGABYTE)), warm.range(0, len(MEGABYTE))]
    stream, client = await connect(listener)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.send, parts)
        await wait_all_tasks_blocked()
        before = len(disk.brought)
        assert 0 < before < 15
        data = (MEGABYTE * 5)[10:1010] + (MEGABYTE * 17)[100 : 100 + 16 * len(MEGABYTE)] + MEGABYTE
        assert await receive(client, len(data)) == data
    brought = [(position, size) for _path, position, size in disk.brought]
    assert brought == [(10, 1000), *((100 + piece * len(MEGABYTE), len(MEGABYTE)) for piece in range(16))]
    stream.close()
    await client.aclose()


@pytest.mark.parametrize("range_bytes", [1 << 16, 16 << 20], ids=["many ranges", "one range"])
async def test_a_long_reply_lets_others_run(
    listener: socket.socket, tmp_path: Path, range_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once in a millisecond or so, whether it is made of many ranges or of one, and not after each call."""
    now_s = 0.0
    calls = turns = 0

    def sendfile(_out: int, _in: int, _position: int, size: int) -> int:
        nonlocal now_s, calls
        now_s += size / (4 << 30)  # 0.25 ms for each MiB
        calls += 1
        return size

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    monkeypatch.setattr(os, "sendfile", sendfile)
    monkeypatch.setattr("kpy.server.network.perf_counter", lambda: now_s)
    file = DiskFiles(tmp_path).open("log")
    file.append(bytes(16 << 20))
    ranges = [file.range(position, range_bytes) for position in range(0, 16 << 20, range_bytes)]
    stream, client = await connect(listener)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(others)
        await stream.send(ranges)
        nursery.cancel_scope.cancel()
    stream.close()
    await client.aclose()
    assert now_s == pytest.approx(0.004, rel=0.1)
    assert 2 <= turns <= 4
    assert calls >= 16


async def test_what_was_in_memory_may_not_be_after_a_while(
    listener: socket.socket, tmp_path: Path, disk: Disk, autojump_clock: trio.testing.MockClock
) -> None:
    """A client that takes nothing for long finds its piece read again."""
    file = FailingFiles(tmp_path).open("file")
    file.append(MEGABYTE * 5)
    stream, client = await connect(listener)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.send, [file.range(0, 5 * len(MEGABYTE))])
        await trio.sleep(3)
        assert disk.brought == []
        disk.is_cold = lambda path: True
        assert await receive(client, 5 * len(MEGABYTE)) == MEGABYTE * 5
    assert 0 < disk.brought[0][1] < 5 * len(MEGABYTE)
    stream.close()
    await client.aclose()


async def test_a_range_that_cannot_be_read_ends_the_connection(
    listener: socket.socket, tmp_path: Path, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    """The size of the reply is said already. The file is remembered, and a line in the log says why."""
    file = FailingFiles(tmp_path).open("file")
    file.append(MEGABYTE)
    disk.is_cold = lambda path: True
    disk.refuses = lambda operation, path: operation == "bring"
    stream, client = await connect(listener)
    part = file.range(0, len(MEGABYTE))
    with pytest.raises(StreamClosed):
        await stream.send([part])
    assert part.content.has_failed
    assert "the disk fails" in caplog.text
    stream.close()
    await client.aclose()


@pytest.mark.parametrize("sendfile", [True, False])
async def test_deleting_replacing_and_cutting_change_nothing_of_a_reply(
    listener: socket.socket, tmp_path: Path, sendfile: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the client takes its time. What was cut off is not sent, and nothing else in its place."""
    if not sendfile:
        monkeypatch.delattr(os, "sendfile")
    files = DiskFiles(tmp_path, open_files_max=1)
    file, other, cut = (files.open(name) for name in ("file", "other", "cut"))
    for each in (file, other, cut):
        each.append(MEGABYTE * 5)
    stream, client = await connect(listener)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.send, [file.range(0, 5 * len(MEGABYTE)), other.range(7, len(MEGABYTE))])
        await wait_all_tasks_blocked()
        files.remove("file")
        files.replace("other", b"something else")
        file.close()
        expected = MEGABYTE * 5 + (MEGABYTE * 5)[7 : 7 + len(MEGABYTE)]
        assert await receive(client, len(expected)) == expected

    received = bytearray()
    with pytest.RaisesGroup(StreamClosed):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.send, [cut.range(0, 5 * len(MEGABYTE))])
            await wait_all_tasks_blocked()
            cut.truncate(4 * len(MEGABYTE))
            cut.append(b"X" * len(MEGABYTE))
            while len(received) < 5 * len(MEGABYTE):
                received += await client.receive_some()  # what came before the end counts, too
    stream.close()
    received += await receive(client, 5 * len(MEGABYTE))
    assert received == (MEGABYTE * 5)[: len(received)]
    await client.aclose()


@pytest.mark.parametrize("sendfile", [True, False])
@pytest.mark.parametrize("size", [100, 100_000])
async def test_a_file_that_somebody_else_cut_ends_the_connection(
    listener: socket.socket, tmp_path: Path, size: int, sendfile: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its bytes were promised: to send fewer would have the client take the next reply for them."""
    if not sendfile:
        monkeypatch.delattr(os, "sendfile")
    file = DiskFiles(tmp_path).open("log")
    file.append(MEGABYTE)
    part = file.range(0, size)
    os.truncate(tmp_path / "log", size // 2)
    stream, client = await connect(listener)
    with pytest.raises(StreamClosed):
        await stream.send([b"head", part, b"tail"])
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


@pytest.mark.usefixtures("no_time_passes")
async def test_what_goes_at_once_is_sent_without_waiting(listener: socket.socket) -> None:
    """Buffers and ranges go out as far as the kernel takes them; the rest is given back."""
    stream, client = await connect(listener)
    file = MemoryFiles().open("log")
    file.append(MEGABYTE)

    assert not stream.send_now([b"head", file.range(1, 3), b"tail"])
    assert await receive(client, 11) == b"head" + MEGABYTE[1:4] + b"tail"
    left = b"".join(map(bytes, stream.send_now([MEGABYTE] * 50)))  # type: ignore[arg-type]  # none of them a range
    assert 0 < len(left) < 50 * len(MEGABYTE)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.send, [left])
        assert await receive(client, 50 * len(MEGABYTE)) == MEGABYTE * 50
    await client.aclose()
    with pytest.raises(StreamClosed):
        for _ in range(100):
            stream.send_now([MEGABYTE])
    stream.close()


@pytest.mark.parametrize("sendfile", [True, False])
@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.usefixtures("no_time_passes")
async def test_a_range_goes_at_once_as_far_as_it_goes(
    listener: socket.socket, tmp_path: Path, in_memory: bool, sendfile: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left begins with a shorter range, and sending it completes the reply."""
    if not sendfile:
        monkeypatch.delattr(os, "sendfile")
    file = (MemoryFiles() if in_memory else DiskFiles(tmp_path)).open("log")
    file.append(MEGABYTE * 20)
    stream, client = await connect(listener)

    left = list(stream.send_now([b"head", file.range(0, file.size), b"tail"]))
    ranges = [part for part in left if isinstance(part, FileRange)]
    assert 0 < ranges[0].position < file.size
    assert sum(part.size_bytes for part in ranges) == file.size - ranges[0].position
    assert left == [*ranges, b"tail"]
    expected = b"head" + MEGABYTE * 20 + b"tail"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.send, left)
        assert await receive(client, len(expected)) == expected
    stream.close()
    await client.aclose()


async def test_what_goes_at_once_does_not_take_long(
    listener: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a millisecond the rest is given back, and others run before it goes."""
    now_s = 0.0
    turns = 0
    turns_before: list[int] = []

    def sendfile(_out: int, _in: int, _position: int, size: int) -> int:
        nonlocal now_s
        now_s += size / (4 << 30)  # 0.25 ms for each MiB
        turns_before.append(turns)
        return size

    async def let_others_run() -> None:
        nonlocal turns
        turns += 1

    monkeypatch.setattr(os, "sendfile", sendfile)
    monkeypatch.setattr("kpy.server.network.perf_counter", lambda: now_s)
    file = DiskFiles(tmp_path).open("log")
    file.append(bytes(16 << 20))
    stream, client = await connect(listener)
    monkeypatch.setattr(trio.lowlevel, "checkpoint", let_others_run)
    left = stream.send_now([file.range(0, file.size)])
    assert isinstance(left[0], FileRange)
    assert left[0].position == 5 << 20
    await stream.send(left)
    monkeypatch.undo()
    assert turns_before == [0] * 5 + [1] * 5 + [2] * 5 + [3]
    stream.close()
    await client.aclose()


@pytest.mark.usefixtures("no_time_passes")
async def test_what_may_be_cold_does_not_go_at_once(listener: socket.socket, tmp_path: Path, disk: Disk) -> None:
    """What goes before it leaves, and does not linger until it is read."""
    files = FailingFiles(tmp_path)
    cold, warm = files.open("cold"), files.open("warm")
    for file in (cold, warm):
        file.append(MEGABYTE)
    disk.is_cold = lambda path: path.endswith("cold")
    stream, client = await connect(listener)
    parts = [b"head", warm.range(5, 1000), b"next", cold.range(7, 10), b"tail"]

    assert list(stream.send_now(parts)) == parts[3:]
    assert unsent_bytes(stream) == 0
    assert await receive(client, 1008) == b"head" + MEGABYTE[5:1005] + b"next"
    assert disk.brought == []
    await stream.send(parts[3:])
    assert await receive(client, 14) == MEGABYTE[7:17] + b"tail"
    assert [(position, size) for _path, position, size in disk.brought] == [(7, 10)]
    stream.close()
    await client.aclose()


@pytest.mark.parametrize(
    ("ranges", "tail", "segments"), [(1, b"", 1), (1, b"tail", 1), (50, b"", 15), (50, b"tail", 15)]
)
@pytest.mark.usefixtures("no_time_passes")
async def test_a_reply_with_ranges_leaves_together_and_at_once(
    listener: socket.socket, tmp_path: Path, ranges: int, tail: bytes, segments: int
) -> None:
    """The peer is not woken for each part, and nothing waits in the kernel for more, which it would for 200 ms.

    A segment has room for a few ranges: those of the page cache are not copied into it.
    """
    file = DiskFiles(tmp_path).open("log")
    file.append(MEGABYTE)
    parts: list[Part] = []
    expected = b""
    for number in range(ranges):
        parts += [b"head%02d" % number, file.range(number * 1111, 1000)]
        expected += b"head%02d" % number + MEGABYTE[number * 1111 : number * 1111 + 1000]
    stream, client = await connect(listener)
    for _ in range(2):
        before = sent_segments(stream)
        assert not stream.send_now([*parts, tail] if tail else parts)
        assert unsent_bytes(stream) == 0
        assert sent_segments(stream) - before <= segments
        assert await receive(client, len(expected + tail)) == expected + tail
    stream.close()
    await client.aclose()


@pytest.mark.parametrize("size", [100, 16 << 10, 3 << 20])
@pytest.mark.parametrize("is_recent", [True, False])
async def test_a_file_on_the_disk_is_never_read_to_be_sent(
    listener: socket.socket, tmp_path: Path, size: int, is_recent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the size of a range, and whether it goes at once or not; one byte is read to ask if it is in memory."""
    file = DiskFiles(tmp_path).open("log")
    file.append(MEGABYTE * 4)
    if not is_recent:
        file = DiskFiles(tmp_path).open("log")
    parts = [b"head", file.range(10, size), b"next", file.range(30, size), b"tail"]
    expected = b"head" + (MEGABYTE * 4)[10 : 10 + size] + b"next" + (MEGABYTE * 4)[30 : 30 + size] + b"tail"
    read_bytes: list[int] = []
    preadv = os.preadv

    def read(_number: int, length: int, _position: int) -> bytes:
        read_bytes.append(length)
        return b""

    def read_into(number: int, buffers: list[bytearray], position: int, flags: int = 0) -> int:
        read_bytes.extend(map(len, buffers))
        return preadv(number, buffers, position, flags)

    monkeypatch.setattr(os, "pread", read)
    monkeypatch.setattr(os, "preadv", read_into)
    stream, client = await connect(listener)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.send, parts)
        assert await receive(client, len(expected)) == expected
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.send, list(stream.send_now(parts)))
        assert await receive(client, len(expected)) == expected
    assert set(read_bytes) <= {1}
    stream.close()
    await client.aclose()


async def test_receiving_waits_for_bytes_and_tells_the_end(listener: socket.socket) -> None:
    """What the peer sends comes into the buffer; 0 says that it has closed."""
    stream, client = await connect(listener)
    buffer = bytearray(100)
    await client.send_all(b"hello")
    assert await receive_into(stream, buffer) == 5
    assert buffer[:5] == b"hello"
    await client.aclose()
    assert await receive_into(stream, buffer) == 0
    stream.close()


async def test_what_has_arrived_is_received_after_the_end_of_receiving(listener: socket.socket) -> None:
    """A stream gives what there is and then 0, also to one who waits already; it can still send."""
    stream, client = await connect(listener)
    buffer = bytearray(100)
    await client.send_all(b"in time")
    stream.end_receiving()
    assert await receive_into(stream, buffer) == 7
    assert await receive_into(stream, buffer) == 0
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
    assert await receive_into(stream, buffer) == 1
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
        received.append(await receive_into(stream, bytearray(100)))

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
        await receive_into(stream, bytearray(10))


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


async def test_connections_that_wait_are_accepted_together(listener: socket.socket) -> None:
    """Members that start at the same time are not served one after the other, each after all requests of the others."""
    turns, accepted = [0], []

    async def others() -> None:
        while True:
            turns[0] += 1
            await trio.lowlevel.checkpoint()

    async with AsyncExitStack() as stack:
        for _ in range(8):
            port = listener.getsockname()[1]
            await stack.enter_async_context(await trio.open_tcp_stream("127.0.0.1", port))
        nursery = await stack.enter_async_context(trio.open_nursery())
        nursery.start_soon(others)
        nursery.start_soon(accept_forever, listener, lambda stream: accepted.append((turns[0], stream)))
        while len(accepted) < 8:
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    for _, stream in accepted:
        stream.close()

    assert len({turn for turn, _ in accepted}) == 1


async def test_errors_of_the_network_end_nothing(autojump_clock: trio.testing.MockClock) -> None:
    """accept(2) tells of what has become of a connection that nobody has seen yet: the next one is accepted."""
    errors = (errno.ENETDOWN, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ECONNRESET, errno.ETIMEDOUT)
    with pytest.raises(KeyboardInterrupt):
        await accept_forever(FailingListener(*errors), lambda stream: None)  # type: ignore[arg-type]


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
