"""The seam between connections and bytes: listening sockets, streams, and who sends what without copying.

Reading and writing try the non-blocking call first and wait for readiness only when the kernel says that it would
block: a request that is already there costs no trip through the scheduler. Ranges of files leave with `os.sendfile`,
whatever their size, in the same packets as what surrounds them; on platforms without it, and for files in memory, the
same parts go out by copy. Either way, what is not in memory is read by a worker before (`kpy.server.sending`).
"""

import errno
import logging
import os
import resource
import socket
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
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
Wait = Callable[[deque[Part]], Awaitable[None]]

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
JOINED_BYTES_MAX = 1 << 12
"""Up to here a range of a file in memory is copied to what surrounds it, for less than a call of its own costs."""
SENDING_SECONDS_MAX = 0.001
"""How long a reply goes out before others run: a few of its pieces, for a stop after each costs CPU."""
CORKED_BYTES_MAX = 1 << 16
"""Up to here a range leaves in the same packets as what follows; to hold back the last of larger ones costs more."""
_MORE_FOLLOWS = getattr(socket, "MSG_MORE", 0)
_CORK = getattr(socket, "TCP_CORK", 0)


class StreamClosed(Exception):
    """The peer is gone, or this side closed the stream."""


class ByteStream(Protocol):
    """What a connection needs of whatever carries its bytes."""

    peer: str

    @property
    def is_served_in_rounds(self) -> bool:
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
        self._is_corked = False
        self._must_let_others_run = False
        self._arrivals = arrivals
        self._watched = None if arrivals is None else arrivals.watch(sock)

    @property
    def is_served_in_rounds(self) -> bool:
        return self._watched is not None

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
        """For as long as others may wait, and nothing of a file that may have to be waited for."""
        try:
            if FileRange not in map(type, parts):  # the replies of most requests: spares looking at each part
                rest = self._send_some(b"".join(parts))  # type: ignore[arg-type]  # there is none
                return () if rest is None else (rest,)
            left = deque(parts)
            self._must_let_others_run = self._send_ready(left) is _let_others_run
        except OSError as error:
            raise StreamClosed(self._aborted_because or str(error)) from error
        return left

    async def send(self, parts: Sequence[Part]) -> None:
        left = deque(parts)
        try:
            if self._must_let_others_run:
                self._must_let_others_run = False
                await _let_others_run(left)
            while wait := self._send_ready(left):
                await wait(left)
        except (OSError, trio.ClosedResourceError) as error:
            raise StreamClosed(self._aborted_because or str(error)) from error
        finally:
            self._sending.let_go(self)

    def _send_ready(self, left: deque[Part]) -> Wait | None:
        """Send what goes at once, and take it out; how to wait until more goes, None if nothing is left."""
        gathered: list[Buffer] = []
        wait: Wait | None = None
        started = perf_counter()
        while left and wait is None:
            part = left[0]
            if not isinstance(part, FileRange):
                gathered.append(part)
                left.popleft()
                continue
            wait = self._send_range(part, gathered, left)
            if wait is None and perf_counter() - started >= SENDING_SECONDS_MAX:
                wait = _let_others_run
        if gathered:
            wait = self._send_gathered(gathered, left) or wait
        self._cork(False)
        return wait

    def _cork(self, is_corked: bool) -> None:
        """Have the kernel gather what it is given into large packets, or send all of it now."""
        if is_corked != self._is_corked and _CORK:
            self._sock.setsockopt(socket.IPPROTO_TCP, _CORK, is_corked)
            self._is_corked = is_corked

    def _send_gathered(self, gathered: list[Buffer], left: deque[Part], flags: int = 0) -> Wait | None:
        """All of it; what does not go now is put in front of what is left."""
        data = gathered[0] if len(gathered) == 1 else b"".join(gathered)
        gathered.clear()
        rest = self._send_some(data, flags)
        if rest is None:
            return None
        left.appendleft(rest)
        return self._wait_writable

    def _send_some(self, data: Buffer, flags: int = 0) -> memoryview | None:
        """What the kernel does not take now."""
        try:
            sent = self._sock.send(data, flags)
        except BlockingIOError:
            sent = 0
        return None if sent == len(data) else memoryview(data)[sent:]

    def _send_range(self, part: FileRange, gathered: list[Buffer], left: deque[Part]) -> Wait | None:
        """What was gathered, and of the range that is first as much as one call moves."""
        if part.size_bytes <= JOINED_BYTES_MAX and part.fileno() is None:
            gathered.append(part.read())
            left.popleft()
            return None
        if not part.is_resident:
            if must_read_ahead(part):
                return partial(self._read_ahead, part)
            if part.size_bytes > PIECE_BYTES_MAX:
                part = _cut(left, part, is_rest_resident=None)
        if gathered and (wait := self._send_gathered(gathered, left, _MORE_FOLLOWS)):
            return wait
        self._cork(part.size_bytes <= CORKED_BYTES_MAX and (self._is_corked or len(left) > 1))
        try:
            sent = self._send_file(part.content, part.position, min(part.size_bytes, PIECE_BYTES_MAX))
        except BlockingIOError:
            return self._wait_writable
        if sent == part.size_bytes:
            left.popleft()
        else:
            left[0] = FileRange(part.content, part.position + sent, part.size_bytes - sent, True)
        return None

    def _send_file(self, content: Content, position: int, size_bytes: int) -> int:
        """All of the bytes were promised: with fewer, what follows on the connection would be taken for them."""
        if content.is_cut(position, size_bytes):
            raise StreamClosed("the file was cut before the end of the range that was promised")
        fileno = content.fileno() if hasattr(os, "sendfile") else None
        if fileno is None:
            sent = self._sock.send(content.read_at(position, min(size_bytes, COPY_BYTES_MAX)))
        else:
            sent = os.sendfile(self._sock.fileno(), fileno, position, size_bytes)
        if not sent:
            raise StreamClosed(f"the file ended {size_bytes} bytes before the range that was promised")
        return sent

    async def _wait_writable(self, left: deque[Part]) -> None:
        """Wait for the peer to take more, with the files of what is left held."""
        waited_since = trio.current_time()
        self._sending.hold(self, [part.content for part in left if isinstance(part, FileRange)])
        await trio.lowlevel.wait_writable(self._sock)
        if trio.current_time() - waited_since > RESIDENT_SECONDS:
            for number, part in enumerate(left):
                if isinstance(part, FileRange) and part.is_resident:
                    left[number] = replace(part, is_resident=None)

    async def _read_ahead(self, part: FileRange, left: deque[Part]) -> None:
        """Have a piece of the range that is first read."""
        piece = _cut(left, part, is_rest_resident=False)
        await self._sending.make_ready(piece.content, piece.position, piece.size_bytes)

    def abort(self, reason: str) -> None:
        self._aborted_because = reason
        self.close()

    def close(self) -> None:
        if self._sock.fileno() >= 0:
            if self._arrivals is not None:
                self._arrivals.forget(self._sock)
            trio.lowlevel.notify_closing(self._sock)
            self._sock.close()


async def _let_others_run(_left: deque[Part]) -> None:
    await trio.lowlevel.checkpoint()


def _cut(left: deque[Part], part: FileRange, *, is_rest_resident: bool | None) -> FileRange:
    """Make of the range that is first a piece, which is resident, and a rest."""
    content, position, size_bytes = part.content, part.position, min(part.size_bytes, PIECE_BYTES_MAX)
    piece = left[0] = FileRange(content, position, size_bytes, True)
    if size_bytes < part.size_bytes:
        left.insert(1, FileRange(content, position + size_bytes, part.size_bytes - size_bytes, is_rest_resident))
    return piece


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
