"""One client's connection: frames in, replies out, in order.

Every whole frame that has arrived is handled before the next wait, and the replies to them leave in one send. A handler
that has to wait (a long poll, a join) first lets the finished replies go. A reply may also be promised, where the work
is done together with that of other connections (`kpy.server.rounds`). After a bounded number of requests, or time, the
replies leave and other tasks run, so that one busy client never starves the rest.

A connection ends when its peer closes it, when the peer breaks the protocol, or when it has made no progress for
`connections.max.idle.ms`; a peer that sends a byte now and then, or stops reading, makes no progress.
"""

import logging
from collections.abc import Awaitable, Callable
from time import perf_counter

import trio

from kpy.protocol.framing import FrameError, FrameReader
from kpy.server.memory import RequestMemory
from kpy.server.network import ByteStream, Part, StreamClosed
from kpy.server.replies import Promise, Reply

logger = logging.getLogger(__name__)

REQUESTS_BETWEEN_CHECKPOINTS = 64
SECONDS_BETWEEN_CHECKPOINTS = 0.005
"""Some requests are more work than others: a compressed megabyte, a thousand topics. It also bounds the replies that
are gathered, for those in memory take time to make.
"""
REPLY_PARTS_GATHERED_MAX = 256
PROGRESS_BYTES = 1 << 16

RequestHandler = Callable[[memoryview, "Connection"], Reply | Promise | Awaitable[Reply]]


class ProtocolViolation(Exception):
    """The peer sent what Kafka answers by closing the connection; the message says what, for the log."""


class Connection:
    """Serves one stream until either side is done.

    Invariant: replies are sent in the order of their requests.
    `last_progress` moves when the peer does its part: a whole frame, a good piece of a large one, a reply taken.
    `waiting_on_broker` is true while a reply is waited for, which is no fault of the peer. A handler sets
    `is_worked_for` while that is because of work, and not by the request's own wish.
    """

    def __init__(
        self,
        stream: ByteStream,
        handle: RequestHandler,
        *,
        listener: str,
        max_request_bytes: int,
        request_memory: RequestMemory,
    ) -> None:
        self.peer = stream.peer
        self.listener = listener
        self.last_progress = trio.current_time()
        self.waiting_on_broker = False
        self.is_worked_for = False
        self._stream = stream
        self._handle = handle
        self._reader = FrameReader(max_request_bytes, request_memory.spares)
        self._buffer_bytes = self._reader.capacity
        self._bytes_since_progress = 0
        self._requests = 0
        self._round_started = 0.0
        self._ready: list[Part] = []
        self._parked: Awaitable[Reply] | None = None
        self._promise: Promise | None = None
        self._failure: Exception | None = None
        self._must_let_others_run = False
        self._has_ended = False
        self._memory = request_memory
        self._scope = trio.CancelScope()

    async def serve(self) -> None:
        """Answer requests until the connection ends, then close it."""
        logger.info("connection from %s", self.peer)
        try:
            with self._scope:
                await self._serve()
            logger.debug("connection from %s ended", self.peer)
        except (ProtocolViolation, FrameError) as error:
            logger.info("connection from %s closed: %s", self.peer, error)
        except StreamClosed as error:
            logger.info("connection from %s lost: %s", self.peer, error)
        except Exception:
            logger.exception("a bug in the broker ends the connection from %s", self.peer)
        finally:
            self._memory.release(self)
            self._stream.close()

    def close(self, reason: str) -> None:
        """End the connection at once, whatever it is doing."""
        logger.info("connection from %s closed: %s", self.peer, reason)
        self._scope.cancel()

    def is_abandoned(self) -> bool:
        """Whether nobody is there any more to take the answer of a parked request."""
        return self._stream.has_ended()

    @property
    def may_answer_later(self) -> bool:
        """Whether the request at hand may be answered when the round ends: of this connection there is no other."""
        return self._stream.is_served_in_rounds and not self._ready and not self._reader.buffered_bytes

    def finish(self) -> None:
        """End the connection once the requests that have arrived are answered."""
        self._stream.end_receiving()

    async def _serve(self) -> None:
        try:
            while True:
                if self._lacks_room():
                    await self._memory.turn(self, self._reader.wanted_bytes)
                await self._stream.until_served(self._serve_now)
                if self._has_ended:
                    return
                await self._catch_up()
        finally:
            await self._flush()

    def _lacks_room(self) -> bool:
        """Whether there is more to come of a frame than the buffer takes, and no larger one to be had now."""
        reader = self._reader
        return reader.buffered_bytes == self._buffer_bytes and not self._memory.may_hold(self, reader.wanted_bytes)

    def _serve_now(self) -> bool:
        """Answer what has arrived; whether the peer has closed, or something has to be waited for."""
        self._begin_round()
        reader = self._reader
        if self._promise is not None:
            return False
        if self._failure is not None:
            raise self._failure
        if self._ready:
            return True
        while True:
            if self._lacks_room():
                return True
            buffer = reader.get_buffer()
            if reader.capacity != self._buffer_bytes:
                self._buffer_bytes = reader.capacity
                self._memory.hold(self, self._buffer_bytes)
            received = self._stream.receive_now(buffer)
            if received is None:
                return False
            if received == 0:
                self._has_ended = True
                return True
            reader.commit(received)
            self._bytes_since_progress += received
            if self._bytes_since_progress >= PROGRESS_BYTES:
                self._made_progress()
            if self._answer_frames():
                return True
            if self.waiting_on_broker or not self._stream.may_have_more():
                return False
            if perf_counter() - self._round_started >= SECONDS_BETWEEN_CHECKPOINTS:  # of a large frame there is more
                self._must_let_others_run = True
                return True

    def _keep_promise(self) -> None:
        """Send the reply, as far as that goes at once, and go on with what has arrived since it was promised."""
        promise, self._promise = self._promise, None
        self.waiting_on_broker = False
        self._made_progress()
        try:
            if promise is not None:
                self._ready += self._stream.send_now(promise.reply() or ())
        except Exception as error:  # noqa: BLE001 - raised where the connection is served
            self._failure = error
        self._stream.serve_again(must=bool(self._ready) or self._failure is not None)

    def _begin_round(self) -> None:
        self._requests = 0
        self._round_started = perf_counter()

    def _answer_frames(self) -> bool:
        """Answer every whole frame in the buffer; whether something has to be waited for before all are."""
        ready, requests = self._ready, self._requests
        frame = None
        for frame in self._reader:
            reply = self._handle(frame, self)
            if reply is not None:
                if type(reply) is list:
                    ready += reply
                elif type(reply) is Promise:  # nothing comes after it, or it would be none
                    self._promise = reply
                    self.waiting_on_broker = True
                    reply.then(self._keep_promise)
                else:
                    self._parked = reply  # type: ignore[assignment]  # it is none of the others
                    return True
            requests += 1
            if (
                requests >= REQUESTS_BETWEEN_CHECKPOINTS
                or perf_counter() - self._round_started >= SECONDS_BETWEEN_CHECKPOINTS
                or len(ready) >= REPLY_PARTS_GATHERED_MAX
            ):
                self._must_let_others_run = True
                return True
        self._requests = requests
        if ready:
            self._ready = []
            self._ready += self._stream.send_now(ready)
        if frame is not None and not self.waiting_on_broker:
            self._made_progress()
        return bool(self._ready)

    async def _catch_up(self) -> None:
        """Wait for what has to be waited for, and answer the frames that are left."""
        while True:
            parked, self._parked = self._parked, None
            if parked is not None:
                reply = await self._wait(parked)
                if reply is not None:
                    self._ready += reply
                self._begin_round()
            else:
                await self._flush()
            if self._must_let_others_run:
                self._must_let_others_run = False
                await trio.lowlevel.checkpoint()
                self._begin_round()
            if not self._answer_frames():
                return

    async def _wait(self, parked: Awaitable[Reply]) -> Reply:
        """Let the finished replies go, then wait for the one that is parked."""
        try:
            await self._flush()
        except BaseException:
            with trio.CancelScope() as nobody_waits:
                nobody_waits.cancel()
                await parked  # so that it takes down what it has set up
            raise
        self.waiting_on_broker = True
        reply = await parked
        self.waiting_on_broker = False
        self._made_progress()
        return reply

    async def _flush(self) -> None:
        """Send what is ready, once: it is taken out before, for a send may be cut off in the middle."""
        if self._ready:
            parts, self._ready = self._ready, []
            await self._stream.send(parts)

    def _made_progress(self) -> None:
        self._bytes_since_progress = 0
        self.last_progress = trio.current_time()
