"""One client's connection: frames in, replies out, in order.

Every whole frame that has arrived is handled before the next wait, and the replies of that round leave in one send.
A handler that has to wait (a long poll, a join) first lets the finished replies go. After a bounded number of
requests, or time, the replies leave and other tasks run, so that one busy client never starves the rest.

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

logger = logging.getLogger(__name__)

REQUESTS_BETWEEN_CHECKPOINTS = 64
SECONDS_BETWEEN_CHECKPOINTS = 0.005
"""Some requests are more work than others: a compressed megabyte, a thousand topics. It also bounds the replies that
are gathered, for those in memory take time to make.
"""
REPLY_PARTS_GATHERED_MAX = 256
PROGRESS_BYTES = 1 << 16

Reply = list[Part] | None
RequestHandler = Callable[[memoryview, "Connection"], Reply | Awaitable[Reply]]


class ProtocolViolation(Exception):
    """The peer sent what Kafka answers by closing the connection; the message says what, for the log."""


class Connection:
    """Serves one stream until either side is done.

    Invariant: replies are sent in the order of their requests.
    `last_progress` moves when the peer does its part: a whole frame, a good piece of a large one, a reply taken.
    `waiting_on_broker` is true while a request is parked, which is no fault of the peer. A handler sets `is_worked_for`
    while that is because of work, and not by the request's own wish.
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
        self._buffer_bytes = 0
        self._bytes_since_progress = 0
        self._requests = 0
        self._round_started = 0.0
        self._ready: list[Part] = []
        self._parked: Awaitable[Reply] | None = None
        self._must_let_others_run = False
        self._has_turn = False
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

    def finish(self) -> None:
        """End the connection once the requests that have arrived are answered."""
        self._stream.end_receiving()

    async def _serve(self) -> None:
        try:
            while True:
                if self._must_take_turns:
                    await self._memory.turn(self)
                    self._has_turn = True
                await self._stream.until_served(self._serve_now)
                if self._has_ended:
                    return
                await self._catch_up()
        finally:
            await self._flush()

    @property
    def _must_take_turns(self) -> bool:
        return self._memory.exhausted and not self._has_turn and self._reader.buffered_bytes > 0

    def _serve_now(self) -> bool:
        """Answer what has arrived; whether the peer has closed, or something has to be waited for."""
        self._begin_round()
        reader = self._reader
        while True:
            if self._memory.exhausted and self._must_take_turns:
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
            self._has_turn = False
            reader.commit(received)
            self._bytes_since_progress += received
            if self._bytes_since_progress >= PROGRESS_BYTES:
                self._made_progress()
            if self._answer_frames():
                return True
            if perf_counter() - self._round_started >= SECONDS_BETWEEN_CHECKPOINTS:  # of a large frame there is more
                self._must_let_others_run = True
                return True

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
                if type(reply) is not list:
                    self._parked = reply  # type: ignore[assignment]  # neither None nor a list
                    return True
                ready += reply
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
        if frame is not None:
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
