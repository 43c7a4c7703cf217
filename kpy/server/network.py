"""The seam between connections and bytes: listening sockets, streams, and who sends what without copying.

Reading and writing try the non-blocking call first and wait for readiness only when the kernel says that it would
block: a request that is already there costs no trip through the scheduler. File ranges leave with `os.sendfile`; on
platforms without it, and for ranges in memory, the same parts go out by copy. Either way, what is not in memory is read
by a worker before (`kpy.server.sending`).
"""

import errno
import logging
import os
import resource
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from time import perf_counter
from typing import NamedTuple, Protocol

import trio

from kpy.protocol.crc import Buffer
from kpy.server.arrivals import Arrivals, Serve
from kpy.server.log_limit import OncePerSecond
from kpy.server.sending import PIECE_BYTES_MAX, RESIDENT_SECONDS, Sending, must_read_ahead
from kpy.storage.files import Content, FileRange

logger = logging.getLogger(__name__)

Part = Buffer | FileRange

ACCEPT_RETRY_SECONDS = 0.1
ACCEPTED_BETWEEN_CHECKPOINTS = 64
"""Between two of them every other connection that is ready is served."""
FREE_PORT_ATTEMPTS = 16
ACCEPT_ERRORS_OF_THE_MACHINE = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}
ACCEPT_ERRORS_OF_THE_PEER = {
    getattr(errno, name)
    for name in (
        "ECONNABORTED", "ECONNRESET", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH", "ENONET", "ENOPROTOOPT",
        "EOPNOTSUPP", "EPERM", "EPROTO", "ETIMEDOUT",
    )
    if hasattr(errno, name)
}  # fmt: skip
"""Errors of the network that wait on the new socket: accept(2) says to try again."""
COPY_BYTES_MAX = 1 << 18
SMALL_RANGE_BYTES = 1 << 14
"""Up to here a file range is read and sent together with what surrounds it: one call, and one wake-up of the peer."""
SENDING_SECONDS_MAX = 0.001
"""How long a reply goes out before others run: a few of its pieces, for a stop after each costs CPU."""
_MORE_FOLLOWS = getattr(socket, "MSG_MORE", 0)


class StreamClosed(Exception):
    """The peer is gone, or this side closed the stream."""


class ByteStream(Protocol):
    """What a connection needs of whatever carries its bytes."""

    peer: str
    is_served_in_rounds: bool
    """Whether it is served together with others (`kpy.server.rounds`)."""

    async def until_served(self, serve: Serve) -> None:
        """Call `serve` now and whenever bytes arrive, until it returns true. It has to take all with `receive_now`."""

    def serve_again(self, *, must: bool) -> None:
        """Call again what `until_served` was given: when the round ends, or now if none is open.

        Unless it `must`, only if there is something to receive. Only of a stream that `is_served_in_rounds`.
        """

    def receive_now(self, buffer: memoryview) -> int | None:
        """Put bytes that have arrived in front of `buffer`; 0 when the peer has closed, None if there is nothing."""

    def may_have_more(self) -> bool:
        """Whether there may be something to receive, as far as is known without trying."""

    def has_ended(self) -> bool:
        """Whether the peer has closed, as far as can be seen without receiving anything."""

    def end_receiving(self) -> None:
        """Wait for no more bytes: when those that have arrived are received, the peer counts as having closed."""

    def send_now(self, parts: Sequence[Part]) -> Sequence[Part]:
        """Send as much as goes without waiting; what is left is for `send`. Raises StreamClosed."""

    async def send(self, parts: Sequence[Part]) -> None:
        """Send all parts in order; raises StreamClosed."""

    def close(self) -> None:
        """Close at once; a pending receive or send ends."""


class SocketStream:
    """A connected, non-blocking TCP socket."""

    def __init__(self, sock: socket.socket, sending: Sending | None = None, arrivals: Arrivals | None = None) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock = sock
        self.peer = str(sock.getpeername()[0])
        self._sending = sending or Sending()
        self._aborted_because = ""
        self._sending_since = 0.0
        self._arrivals = arrivals
        self._watched = None if arrivals is None else arrivals.watch(sock)
        self.is_served_in_rounds = self._watched is not None

    async def until_served(self, serve: Serve) -> None:
        while not serve():
            if self._watched is not None:
                await self._watched.wait(serve)
                return
            await trio.lowlevel.wait_readable(self._sock)

    def serve_again(self, *, must: bool) -> None:
        watched, arrivals = self._watched, self._arrivals
        if watched is None or arrivals is None:
            raise AssertionError("it is not served in rounds")
        if must or watched.may_be_readable:
            if arrivals.rounds.is_open:
                arrivals.rounds.put_off(watched.serve)
            else:
                watched.serve()

    def receive_now(self, buffer: memoryview) -> int | None:
        """A read that leaves room in the buffer has taken all there was: one that finds nothing is spared."""
        watched = self._watched
        if watched is not None and not watched.may_be_readable:
            return None
        try:
            received = self._sock.recv_into(buffer)
        except BlockingIOError:
            if watched is not None:
                watched.may_be_readable = watched.has_hung_up
            return None
        except OSError:
            return 0
        if watched is not None and received < len(buffer):
            watched.may_be_readable = watched.has_hung_up
        return received

    def may_have_more(self) -> bool:
        return self._watched is None or self._watched.may_be_readable

    def has_ended(self) -> bool:
        try:
            return not self._sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def end_receiving(self) -> None:
        with suppress(OSError):  # the peer is gone already
            self._sock.shutdown(socket.SHUT_RD)

    def send_now(self, parts: Sequence[Part]) -> Sequence[Part]:
        """Nothing, if there is a range among them that is large or may have to be waited for."""
        buffers: list[Buffer] = []
        try:
            for part in parts:
                if isinstance(part, FileRange):
                    read = _read_now(part) if part.size_bytes <= SMALL_RANGE_BYTES else None
                    if read is None:
                        return parts
                    buffers.append(read)
                else:
                    buffers.append(part)
            data = b"".join(buffers)
            sent = self._sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise StreamClosed(self._aborted_because or str(error)) from error
        return () if sent == len(data) else (memoryview(data)[sent:],)

    async def send(self, parts: Sequence[Part]) -> None:
        self._sending_since = perf_counter()
        try:
            buffers: list[Buffer] = []
            for part in parts:
                if not isinstance(part, FileRange):
                    buffers.append(part)
                elif part.size_bytes <= SMALL_RANGE_BYTES:
                    buffers.append(await self._read(part))
                else:
                    if buffers:
                        await self._send_all(b"".join(buffers), parts, _MORE_FOLLOWS)
                        buffers = []
                    await self._send_range(part, parts)
            if buffers:
                await self._send_all(b"".join(buffers), parts)
        except (OSError, trio.ClosedResourceError) as error:
            raise StreamClosed(self._aborted_because or str(error)) from error
        finally:
            self._sending.let_go(self)

    async def _wait_writable(self, parts: Sequence[Part]) -> None:
        """Wait for the peer to take more, with the files of what is being sent held."""
        self._sending.hold(self, [part.content for part in parts if isinstance(part, FileRange)])
        await trio.lowlevel.wait_writable(self._sock)
        self._sending_since = perf_counter()

    async def _read(self, file_range: FileRange) -> Buffer:
        data = _read_now(file_range)
        if data is not None:
            return data
        content, position, size_bytes = file_range.content, file_range.position, file_range.size_bytes
        await self._sending.make_ready(content, position, size_bytes)
        return _read_all(content, position, size_bytes)

    async def _send_all(self, data: Buffer, parts: Sequence[Part], flags: int = 0) -> None:
        try:
            sent = self._sock.send(data, flags)
        except BlockingIOError:
            sent = 0
        if sent == len(data):
            return
        rest = memoryview(data)[sent:]
        while rest:
            await self._wait_writable(parts)
            try:
                rest = rest[self._sock.send(rest, flags) :]
            except BlockingIOError:
                continue

    async def _send_range(self, file_range: FileRange, parts: Sequence[Part]) -> None:
        content = file_range.content
        fileno = content.fileno() if hasattr(os, "sendfile") else None
        position, end = file_range.position, file_range.position + file_range.size_bytes
        ready_until = position
        was_cold = position <= content.brought_until < position + PIECE_BYTES_MAX  # the next of a cold catch-up
        is_recent = file_range.is_recent
        while position < end:
            if position >= ready_until:
                ready_until = min(position + PIECE_BYTES_MAX, end)
                size = ready_until - position
                is_resident = partial(content.is_resident, position, size)
                was_cold = must_read_ahead(was_cold=was_cold, is_recent=is_recent, is_resident=is_resident)
                if was_cold:
                    await self._sending.make_ready(content, position, size)
            if fileno is None:
                size = min(COPY_BYTES_MAX, ready_until - position)
                await self._send_all(_read_all(content, position, size), parts)
                position += size
                continue
            if content.is_cut(position, ready_until - position):
                raise StreamClosed("the file was cut before the end of the range that was promised")
            try:
                sent = os.sendfile(self._sock.fileno(), fileno, position, ready_until - position)
            except BlockingIOError:
                waited_since = trio.current_time()
                await self._wait_writable(parts)
                if trio.current_time() - waited_since > RESIDENT_SECONDS:
                    ready_until = position
                    is_recent = False
                continue
            if sent == 0:
                raise StreamClosed(f"the file ended {end - position} bytes before the range that was promised")
            position += sent
            if perf_counter() - self._sending_since >= SENDING_SECONDS_MAX:
                await trio.lowlevel.checkpoint()
                self._sending_since = perf_counter()

    def abort(self, reason: str) -> None:
        self._aborted_because = reason
        self.close()

    def close(self) -> None:
        if self._sock.fileno() >= 0:
            if self._arrivals is not None:
                self._arrivals.forget(self._sock)
            trio.lowlevel.notify_closing(self._sock)
            self._sock.close()


def _read_now(file_range: FileRange) -> Buffer | None:
    """The bytes of a range; None if the disk would have to be waited for."""
    content, position, size_bytes = file_range.content, file_range.position, file_range.size_bytes
    if file_range.is_recent:
        return _read_all(content, position, size_bytes)
    return content.read_if_resident(position, size_bytes)


def _read_all(content: Content, position: int, size: int) -> Buffer:
    """All of the bytes that were promised: with fewer, what follows on the connection would be taken for them."""
    data = content.read_at(position, size)
    if len(data) != size:
        raise StreamClosed(f"the file ended {size - len(data)} bytes before the range that was promised")
    return data


class Endpoint(NamedTuple):
    """A host and a port, as bound or as advertised."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def bind(host: str, port: int, *, backlog: int) -> list[socket.socket]:
    """Listening sockets for one listener, all on the same port.

    `localhost` is both loopback addresses, whatever the resolver says, because clients that resolve it try either
    first. An empty host is every interface, as in Kafka. Port 0 takes a free port. Raises OSError if the address
    cannot be bound; that IPv6 is missing on this machine is no error where IPv4 was bound.
    """
    if host == "localhost":
        return _listen_on_both_loopbacks(port, backlog)
    if host in ("", "0.0.0.0"):  # noqa: S104 - asked for by the user
        return [_listen(socket.AF_INET, "0.0.0.0", port, backlog)]  # noqa: S104 - as above
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    return [_listen(family, str(address[0]), port, backlog)]


def _listen_on_both_loopbacks(port: int, backlog: int) -> list[socket.socket]:
    for _ in range(FREE_PORT_ATTEMPTS):
        first = _listen(socket.AF_INET, "127.0.0.1", port, backlog)
        try:
            return [first, _listen(socket.AF_INET6, "::1", first.getsockname()[1], backlog)]
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return [first]
            first.close()
            if port:
                raise
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _listen(family: int, address: str, port: int, backlog: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if address == "::" else 1)
        sock.bind((address, port))
        sock.listen(backlog)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


async def accept_forever(
    listener: socket.socket,
    serve: Callable[[SocketStream], None],
    sending: Sending | None = None,
    arrivals: Arrivals | None = None,
) -> None:
    """Hand each new connection to `serve`.

    Running out of descriptors or memory is logged and tried again; a peer that left before it was served is passed
    over; any other failure is loud.
    """
    logs = OncePerSecond()
    accepted = 0
    while True:
        try:
            sock, _ = listener.accept()
        except BlockingIOError:
            await trio.lowlevel.wait_readable(listener)
        except OSError as error:
            if error.errno in ACCEPT_ERRORS_OF_THE_MACHINE:
                if logs():
                    logger.error("cannot accept connections: %s; trying again", os.strerror(error.errno or 0))
                await trio.sleep(ACCEPT_RETRY_SECONDS)
            elif error.errno not in ACCEPT_ERRORS_OF_THE_PEER:
                raise
        else:
            try:
                stream = SocketStream(sock, sending, arrivals)
            except OSError:  # it is connected no more
                sock.close()
            else:
                serve(stream)
            accepted += 1
            if accepted % ACCEPTED_BETWEEN_CHECKPOINTS == 0:
                await trio.lowlevel.checkpoint()


def descriptor_limit() -> int:
    """How many files and sockets this process may have open."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit


def raise_descriptor_limit() -> None:
    """Take as many as the system lets us, as every JVM does; what it refuses is no error."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(ValueError, OSError):  # macOS names a hard limit that it does not grant
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
