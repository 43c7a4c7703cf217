"""A connection answers in order, lets others run, and ends when it should."""

import logging
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from types import SimpleNamespace

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from kpy.protocol.messages.heartbeat import HeartbeatResponse
from kpy.server.connection import (
    SECONDS_BETWEEN_CHECKPOINTS,
    Connection,
    ProtocolViolation,
)
from kpy.server.connections import Connections
from kpy.server.memory import RequestMemory
from kpy.server.network import Part, StreamClosed
from kpy.server.replies import Promise, Reply, ReplySlot


class FakeStream:
    """Bytes that a test feeds, and the parts that the connection sends, grouped by send."""

    is_served_in_rounds = False

    def __init__(self, peer: str = "198.51.100.7") -> None:
        self.peer = peer
        self.sends: list[list[bytes]] = []
        self.closed = False
        self.gone = False
        self._data = b""
        self._ended = False
        self.reading = trio.Event()
        self.reading.set()
        self._send_channel, self._receive_channel = trio.open_memory_channel[bytes](100)

    def serve_again(self, *, must: bool) -> None:
        raise AssertionError("it is not served in rounds")

    def may_have_more(self) -> bool:
        return True

    def feed(self, data: bytes) -> None:
        self._send_channel.send_nowait(data)

    def has_ended(self) -> bool:
        return self.gone

    def end_receiving(self) -> None:
        self.feed(b"")

    async def until_served(self, serve: Callable[[], bool]) -> None:
        while not serve():
            self._data = await self._receive_channel.receive()
            self._ended = not self._data

    def receive_now(self, buffer: memoryview) -> int | None:
        if not self._data and not self._ended:
            try:
                self._data = self._receive_channel.receive_nowait()
            except trio.WouldBlock:
                return None
            self._ended = not self._data
        taken = min(len(self._data), len(buffer))
        buffer[:taken] = self._data[:taken]
        self._data = self._data[taken:]
        return taken

    def send_now(self, parts: Sequence[Part]) -> Sequence[Part]:
        if not self.reading.is_set():
            return parts
        self.sends.append([bytes(part) for part in parts])
        return ()

    async def send(self, parts: Sequence[Part]) -> None:
        await self.reading.wait()
        self.sends.append([bytes(part) for part in parts])

    def close(self) -> None:
        self.closed = True

    @property
    def sent(self) -> bytes:
        return b"".join(part for parts in self.sends for part in parts)


class Stopwatch:
    """Time that passes while a handler works, as a test says."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture(autouse=True)
def stopwatch(monkeypatch: pytest.MonkeyPatch) -> Stopwatch:
    made = Stopwatch()
    monkeypatch.setattr("kpy.server.connection.perf_counter", made)
    return made


def frame(body: bytes) -> bytes:
    return struct.pack(">i", len(body)) + body


def echo(frame: memoryview, connection: Connection) -> Reply:
    return [bytes(frame)]


def make_connection(
    stream: FakeStream, handle: object = echo, *, max_request_bytes: int = 1000, memory: RequestMemory | None = None
) -> Connection:
    return Connection(
        stream,
        handle,  # type: ignore[arg-type]
        listener="PLAINTEXT",
        max_request_bytes=max_request_bytes,
        request_memory=memory or RequestMemory(1 << 30),
    )


async def test_frames_that_arrive_together_are_answered_in_one_send(autojump_clock: MockClock) -> None:
    """Every whole frame in the buffer is answered before the next wait, and the replies leave together."""
    stream = FakeStream()
    stream.feed(frame(b"one") + frame(b"two") + frame(b"three")[:5])
    stream.feed(frame(b"three")[5:])
    stream.feed(b"")

    await make_connection(stream).serve()

    assert stream.sends == [[b"one", b"two"], [b"three"]]
    assert stream.closed


async def test_a_parked_request_holds_back_later_replies_and_lets_earlier_ones_go(autojump_clock: MockClock) -> None:
    """Replies keep the order of their requests, and a finished one does not wait for a parked one behind it."""
    stream = FakeStream()
    release = trio.Event()

    async def park() -> Reply:
        await release.wait()
        return [b"parked"]

    def handle(frame: memoryview, connection: Connection) -> Reply | Awaitable[Reply]:
        return park() if bytes(frame) == b"park" else [bytes(frame)]

    stream.feed(frame(b"before") + frame(b"park") + frame(b"after"))
    stream.feed(b"")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(make_connection(stream, handle).serve)
        await wait_all_tasks_blocked()
        assert stream.sent == b"before"
        release.set()

    assert stream.sent == b"beforeparkedafter"


async def test_a_request_without_a_reply_sends_nothing(autojump_clock: MockClock) -> None:
    """None is no reply at all."""
    stream = FakeStream()
    stream.feed(frame(b"x"))
    stream.feed(b"")

    await make_connection(stream, lambda frame, connection: None).serve()

    assert stream.sends == []


async def test_a_violation_closes_the_connection_after_the_replies_before_it(autojump_clock: MockClock) -> None:
    """What was answered before the peer broke the protocol still reaches it."""
    stream = FakeStream()

    def handle(frame: memoryview, connection: Connection) -> Reply:
        if bytes(frame) == b"bad":
            raise ProtocolViolation("bad")
        return [bytes(frame)]

    stream.feed(frame(b"good") + frame(b"bad") + frame(b"never"))

    await make_connection(stream, handle).serve()

    assert stream.sent == b"good"
    assert stream.closed


@pytest.mark.parametrize("size", [-1, -(2**31), 1001, 2**31 - 1])
async def test_a_frame_size_that_cannot_be_closes_the_connection(size: int, autojump_clock: MockClock) -> None:
    """A negative size and one above the limit end the connection at once."""
    stream = FakeStream()
    stream.feed(struct.pack(">i", size) + b"something")

    await make_connection(stream).serve()

    assert stream.closed
    assert stream.sends == []


async def test_a_bug_in_a_handler_is_loud_and_ends_only_its_connection(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception that is no answer is logged with its traceback."""
    stream = FakeStream()
    stream.feed(frame(b"x"))

    def handle(frame: memoryview, connection: Connection) -> Reply:
        raise ZeroDivisionError

    await make_connection(stream, handle).serve()

    assert stream.closed
    assert "ZeroDivisionError" in caplog.text


def connections_for_test(*, descriptors: int = 1000, **limits: int) -> Connections:
    config = {"max_connections": 10, "max_connections_per_ip": 10, "connections_max_idle_ms": 1000} | limits
    return Connections(lambda: SimpleNamespace(**config), descriptors=descriptors)


async def test_an_idle_connection_is_closed_and_a_busy_one_is_not(autojump_clock: MockClock) -> None:
    """A byte now and then is no progress, a parked request is not idleness, a request in time is progress."""
    connections = connections_for_test()
    silent, dripping, parked, active = FakeStream(), FakeStream(), FakeStream(), FakeStream()

    async def park() -> Reply:
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        for stream in (silent, dripping, active):
            connections.start(nursery, stream, make_connection)
        connections.start(nursery, parked, lambda stream: make_connection(stream, lambda *_: park()))
        parked.feed(frame(b"x"))
        nursery.start_soon(connections.close_idle_forever)
        for _ in range(4):
            dripping.feed(b"\0")
            active.feed(frame(b"x"))
            await trio.sleep(0.6)
        assert (silent.closed, dripping.closed, parked.closed, active.closed) == (True, True, False, False)
        nursery.cancel_scope.cancel()


async def test_a_parked_request_that_nobody_waits_for_is_given_up(autojump_clock: MockClock) -> None:
    """A peer that left is noticed within the idle time, however long its request would be held."""
    connections = connections_for_test()
    there, gone = FakeStream(), FakeStream()
    gone.gone = True

    async def park() -> Reply:
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(connections.close_idle_forever)
        for stream in (there, gone):
            connections.start(nursery, stream, lambda stream: make_connection(stream, lambda *_: park()))
            stream.feed(frame(b"x"))
        await trio.sleep(5)
        assert (there.closed, gone.closed) == (False, True)
        nursery.cancel_scope.cancel()


async def test_a_peer_that_does_not_take_its_replies_is_idle(autojump_clock: MockClock) -> None:
    """Whoever sends requests and never reads is closed like one who is silent."""
    connections = connections_for_test()
    stream = FakeStream()
    stream.reading = trio.Event()
    stream.feed(frame(b"x"))
    async with trio.open_nursery() as nursery:
        connections.start(nursery, stream, make_connection)
        nursery.start_soon(connections.close_idle_forever)
        await trio.sleep(3)
        assert stream.closed
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("limits", [{"max_connections": 2}, {"max_connections_per_ip": 2}])
async def test_connections_beyond_the_limit_are_refused_until_one_ends(
    limits: dict[str, int], autojump_clock: MockClock
) -> None:
    """The bound holds, and a place that becomes free is given again."""
    connections = connections_for_test(**limits)
    first, second, third, fourth = (FakeStream() for _ in range(4))
    async with trio.open_nursery() as nursery:
        for stream in (first, second, third):
            connections.start(nursery, stream, make_connection)
        assert third.closed
        first.feed(b"")
        await wait_all_tasks_blocked()
        connections.start(nursery, fourth, make_connection)
        await wait_all_tasks_blocked()
        assert (second.closed, fourth.closed) == (False, False)
        nursery.cancel_scope.cancel()


async def test_finishing_answers_what_has_arrived_and_cuts_off_what_is_stuck(autojump_clock: MockClock) -> None:
    """An orderly stop closes quiet connections at once and waits for busy ones, but not for ever."""
    connections = connections_for_test()
    quiet, busy, stuck = FakeStream(), FakeStream(), FakeStream()

    async def answer_later() -> Reply:
        await trio.sleep(0.1)
        return [b"late"]

    async def never() -> Reply:
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        connections.start(nursery, quiet, make_connection)
        connections.start(nursery, busy, lambda stream: make_connection(stream, lambda *_: answer_later()))
        connections.start(nursery, stuck, lambda stream: make_connection(stream, lambda *_: never()))
        busy.feed(frame(b"x"))
        stuck.feed(frame(b"x"))
        await wait_all_tasks_blocked()
        start = trio.current_time()
        await connections.finish(grace_seconds=0.25)
        assert trio.current_time() - start == pytest.approx(0.25)

    assert busy.sent == b"late"
    assert (quiet.closed, busy.closed, stuck.closed) == (True, True, True)


class InRounds(FakeStream):
    """A stream that is served together with others."""

    is_served_in_rounds = True

    async def until_served(self, serve: Callable[[], bool]) -> None:
        self._served = trio.Event()
        self._serve = serve
        self._raised: Exception | None = None
        self._look()
        await self._served.wait()
        if self._raised is not None:
            raise self._raised

    def serve_again(self, *, must: bool) -> None:
        if must or self._data or self._receive_channel.statistics().current_buffer_used:
            self._look()

    def arrive(self, data: bytes) -> None:
        self.feed(data)
        self._look()

    def _look(self) -> None:
        try:
            if self._serve():
                self._served.set()
        except Exception as error:  # noqa: BLE001 - raised in the task that it belongs to
            self._raised = error
            self._served.set()

    def may_have_more(self) -> bool:
        return bool(self._receive_channel.statistics().current_buffer_used)


class Promising:
    """A handler that promises a reply where it may, and keeps its word when a test says so."""

    def __init__(self) -> None:
        self.slots: list[ReplySlot[HeartbeatResponse]] = []

    def __call__(self, frame: memoryview, connection: Connection) -> Reply | Promise:
        if not connection.may_answer_later:
            return [bytes(frame)]
        self.slots.append(ReplySlot(lambda _: HeartbeatResponse(error_code=0)))
        return Promise(self.slots[-1], lambda _, reply=bytes(frame): [reply])

    def keep(self) -> None:
        self.slots.pop(0).resolve(HeartbeatResponse(error_code=0))


@asynccontextmanager
async def served(stream: FakeStream, handle: object) -> AsyncIterator[None]:
    """A connection that waits for its first request, to its end."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(make_connection(stream, handle).serve)
        await wait_all_tasks_blocked()
        yield


async def test_a_promised_reply_is_sent_when_it_is_there(autojump_clock: MockClock) -> None:
    """No task is woken for it, and what arrived meanwhile is answered behind it."""
    stream, promising = InRounds(), Promising()
    async with served(stream, promising):
        stream.arrive(frame(b"one"))
        stream.arrive(frame(b"two"))
        assert (stream.sent, len(promising.slots)) == (b"", 1)
        promising.keep()
        assert (stream.sent, len(promising.slots)) == (b"one", 1)
        promising.keep()
        assert stream.sent == b"onetwo"
        stream.arrive(b"")

    assert stream.closed


async def test_a_request_with_others_beside_it_is_promised_nothing(autojump_clock: MockClock) -> None:
    """Neither before nor behind another of its connection, whose replies leave in one send."""
    stream, promising = InRounds(), Promising()
    async with served(stream, promising):
        stream.arrive(frame(b"one") + frame(b"two") + frame(b"three"))
        assert stream.sends == [[b"one", b"two", b"three"]]
        stream.arrive(b"")

    assert promising.slots == []


async def test_what_the_peer_does_not_take_of_a_promised_reply_waits_for_it(autojump_clock: MockClock) -> None:
    """It leaves when the peer reads again, and what comes after it is answered then."""
    stream, promising = InRounds(), Promising()
    async with served(stream, promising):
        stream.arrive(frame(b"one"))
        stream.reading = trio.Event()
        promising.keep()
        stream.feed(frame(b"two"))
        await wait_all_tasks_blocked()
        assert (stream.sent, promising.slots) == (b"", [])
        stream.reading.set()
        await wait_all_tasks_blocked()
        promising.keep()
        assert stream.sent == b"onetwo"
        stream.arrive(b"")


async def test_a_connection_that_is_lost_at_a_promised_reply_ends_as_any(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """In its own task, with one line in the log: whoever kept the promise learns nothing of it."""

    class Lost(InRounds):
        def send_now(self, parts: Sequence[Part]) -> Sequence[Part]:
            raise StreamClosed("reset")

    stream, promising = Lost(), Promising()
    with caplog.at_level(logging.INFO):
        async with served(stream, promising):
            stream.arrive(frame(b"one"))
            promising.keep()

    assert stream.closed
    assert "lost: reset" in caplog.text


async def test_a_promise_is_no_idleness(autojump_clock: MockClock) -> None:
    """A reply that the broker owes may take its time, and once it is there the peer has all of its own."""
    connections = connections_for_test()
    stream, promising = InRounds(), Promising()
    async with trio.open_nursery() as nursery:
        connections.start(nursery, stream, lambda stream: make_connection(stream, promising))
        nursery.start_soon(connections.close_idle_forever)
        await wait_all_tasks_blocked()
        stream.arrive(frame(b"one"))
        await trio.sleep(5)
        promising.keep()
        await trio.sleep(0.5)
        assert not stream.closed
        nursery.cancel_scope.cancel()


class BrokenStream(FakeStream):
    """A peer that is gone when it is answered."""

    def send_now(self, parts: Sequence[Part]) -> Sequence[Part]:
        raise StreamClosed("reset")

    async def send(self, parts: Sequence[Part]) -> None:
        raise StreamClosed("reset")


async def test_a_parked_request_is_cleaned_up_if_the_peer_is_gone_before_it_waits(autojump_clock: MockClock) -> None:
    """What a handler set up for a request that it parks is taken down, though nobody waited for it yet."""
    stream = BrokenStream()
    waiting: set[str] = {"parked"}

    async def park() -> Reply:
        try:
            await trio.sleep_forever()
        finally:
            waiting.clear()

    def handle(frame: memoryview, connection: Connection) -> Reply | Awaitable[Reply]:
        return park() if bytes(frame) == b"park" else [bytes(frame)]

    stream.feed(frame(b"before") + frame(b"park"))

    await make_connection(stream, handle).serve()

    assert waiting == set()
    assert stream.closed


async def test_requests_that_take_long_let_others_run(autojump_clock: MockClock, stopwatch: Stopwatch) -> None:
    """A few requests that cost as much as many small ones do not keep the other connections waiting for as long."""
    stream = FakeStream()
    stream.feed(frame(b"x") * 10)
    stream.feed(b"")
    handled: list[int] = []
    seen_by_others: list[int] = []

    def handle(frame: memoryview, connection: Connection) -> Reply:
        handled.append(len(handled))
        stopwatch.seconds += 0.6 * SECONDS_BETWEEN_CHECKPOINTS
        return [b"x"]

    async def other() -> None:
        while len(handled) < 10:
            seen_by_others.append(len(handled))
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(make_connection(stream, handle).serve)
        nursery.start_soon(other)

    assert [len(parts) for parts in stream.sends] == [2] * 5
    assert len(set(seen_by_others)) > 3


async def test_a_large_request_that_keeps_arriving_lets_others_run(
    autojump_clock: MockClock, stopwatch: Stopwatch
) -> None:
    """A peer that sends as fast as the broker receives does not have it to itself until its frame is whole."""
    pieces = 50

    class Fast(FakeStream):
        received = 0

        def receive_now(self, buffer: memoryview) -> int | None:
            stopwatch.seconds += SECONDS_BETWEEN_CHECKPOINTS / 5
            self.received += 1
            return super().receive_now(buffer)

    stream = Fast()
    request = frame(b"v" * 100 * pieces)
    for start in range(0, len(request), 100):
        stream.feed(request[start : start + 100])
    stream.feed(b"")
    seen: list[int] = []

    async def other() -> None:
        while not stream.closed:
            seen.append(stream.received)
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        await make_connection(stream, max_request_bytes=100 * pieces).serve()

    assert stream.sends == [[b"v" * 100 * pieces]]
    assert max(after - before for before, after in pairwise(seen)) <= 2 * 6  # trio runs those of a round in any order


async def test_a_send_that_is_cut_off_is_not_begun_again(autojump_clock: MockClock) -> None:
    """When a connection is closed in the middle of a reply, its peer never sees the beginning of that a second time."""
    begun: list[Sequence[Part]] = []

    class Stuck(FakeStream):
        def send_now(self, parts: Sequence[Part]) -> Sequence[Part]:
            return parts

        async def send(self, parts: Sequence[Part]) -> None:
            begun.append(parts)
            await trio.sleep_forever()

    async def park() -> Reply:
        await trio.sleep_forever()

    stream = Stuck()
    stream.feed(frame(b"x") + frame(b"park"))
    connection = make_connection(stream, lambda frame, _: park() if bytes(frame) == b"park" else [bytes(frame)])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(connection.serve)
        await wait_all_tasks_blocked()
        connection.close("the test says so")

    assert len(begun) == 1


async def test_a_large_buffer_is_given_back_when_its_frame_is_answered(autojump_clock: MockClock) -> None:
    """Whoever waits for the next request holds no more memory than others; as long as a frame comes in, it counts."""
    memory = RequestMemory(1 << 30)
    stream = FakeStream()
    large = frame(bytes(1 << 20))
    stream.feed(large[:-1])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(make_connection(stream, max_request_bytes=1 << 21, memory=memory).serve)
        await wait_all_tasks_blocked()
        assert memory.held_bytes >= len(large)
        stream.feed(large[-1:])
        await wait_all_tasks_blocked()
        assert len(stream.sent) == len(large) - 4
        assert memory.held_bytes == 0
        stream.feed(b"")


async def test_connections_leave_descriptors_for_the_logs(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A flood of connections is refused before it has all descriptors, and takes one line a second of the log."""
    connections = connections_for_test(max_connections=1000, max_connections_per_ip=1000, descriptors=40)
    streams = [FakeStream() for _ in range(100)]
    async with trio.open_nursery() as nursery:
        for stream in streams:
            connections.start(nursery, stream, make_connection)
        assert len(connections) == 30
        assert [stream.closed for stream in streams] == [False] * 30 + [True] * 70
        assert caplog.text.count("refused") == 1
        nursery.cancel_scope.cancel()


async def test_one_line_is_logged_for_a_connection_that_comes_and_goes(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A second one tells only what went wrong."""
    caplog.set_level(logging.INFO)
    quiet, hostile = FakeStream(), FakeStream()
    quiet.feed(frame(b"x"))
    quiet.feed(b"")
    hostile.feed(b"GET / HTTP/1.1")
    await make_connection(quiet).serve()
    assert caplog.messages == [f"connection from {quiet.peer}"]
    await make_connection(hostile).serve()
    assert len(caplog.messages) == 3
    assert "closed: a frame of" in caplog.messages[-1]


async def test_receive_buffers_stay_within_their_limit(autojump_clock: MockClock) -> None:
    """However many large frames come at the same time, half of them, and end, no more than one is beyond the limit."""
    size, limit = 16 << 20, 24 << 20
    memory = RequestMemory(limit)
    streams = [FakeStream() for _ in range(12)]
    most = 0
    async with trio.open_nursery() as nursery:
        for stream in streams:
            nursery.start_soon(make_connection(stream, max_request_bytes=size, memory=memory).serve)
            stream.feed(frame(bytes(size - 4))[: 5 << 20])
            await wait_all_tasks_blocked()
        for stream in streams:
            stream.feed(b"")
            await wait_all_tasks_blocked()
            most = max(most, memory.held_bytes)
    assert 0 < most <= limit + size
    assert memory.held_bytes == 0
