"""The bound on receive buffers: large frames take turns, small ones are never held up, stalled ones are closed."""

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from kpy.server.memory import SMALL_BUFFER_BYTES, STALLED_SECONDS, RequestMemory

LARGE = 10 * SMALL_BUFFER_BYTES


class FakeConnection:
    """A holder that notes that it was closed."""

    def __init__(self) -> None:
        self.last_progress = trio.current_time()
        self.closed = False
        self.is_worked_for = False

    def close(self, reason: str) -> None:
        self.closed = True


async def test_small_buffers_do_not_count(autojump_clock: MockClock) -> None:
    """A connection with an ordinary buffer neither adds to the sum nor waits."""
    memory = RequestMemory(LARGE)
    for _ in range(100):
        memory.hold(FakeConnection(), SMALL_BUFFER_BYTES)

    assert memory.held_bytes == 0
    assert not memory.exhausted

    memory.hold(FakeConnection(), LARGE)
    with trio.fail_after(0.1):
        await memory.turn(FakeConnection())


async def test_releasing_gives_the_bytes_back(autojump_clock: MockClock) -> None:
    """A buffer that shrinks or ends no longer counts."""
    memory = RequestMemory(LARGE)
    shrinking, ending = FakeConnection(), FakeConnection()
    memory.hold(shrinking, LARGE)
    memory.hold(ending, LARGE)

    memory.hold(shrinking, SMALL_BUFFER_BYTES)
    memory.release(ending)

    assert memory.held_bytes == 0


async def test_one_large_frame_at_a_time_goes_on_when_memory_is_used_up(autojump_clock: MockClock) -> None:
    """Of those who wait the first goes on; the next follows when it is done."""
    memory = RequestMemory(LARGE)
    first, second = FakeConnection(), FakeConnection()
    memory.hold(first, LARGE)
    memory.hold(second, LARGE)
    order: list[str] = []

    async def wait(name: str, holder: FakeConnection) -> None:
        await memory.turn(holder)
        order.append(name)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait, "first", first)
        await wait_all_tasks_blocked()
        nursery.start_soon(wait, "second", second)
        await wait_all_tasks_blocked()
        assert order == ["first"]

        memory.release(first)
        await wait_all_tasks_blocked()

    assert order == ["first", "second"]


async def test_a_holder_that_is_worked_for_has_not_stalled(autojump_clock: MockClock) -> None:
    """A batch that takes long to validate, or to bring onto the disk, is not held against its producer."""
    memory = RequestMemory(LARGE)
    busy, waiting = FakeConnection(), FakeConnection()
    busy.is_worked_for = True
    memory.hold(busy, LARGE)
    async with trio.open_nursery() as nursery:
        for holder in (FakeConnection(), waiting):
            memory.hold(holder, LARGE)
            nursery.start_soon(memory.turn, holder)
        await trio.sleep(10 * STALLED_SECONDS)
        assert not busy.closed
        busy.is_worked_for = False
        await trio.sleep(2 * STALLED_SECONDS)
        assert busy.closed
        nursery.cancel_scope.cancel()


async def test_a_holder_that_stalls_while_others_wait_is_closed(autojump_clock: MockClock) -> None:
    """Whoever claims a large frame and falls silent does not keep the others out."""
    memory = RequestMemory(LARGE)
    silent, waiting = FakeConnection(), FakeConnection()
    memory.hold(silent, LARGE)
    await memory.turn(silent)
    memory.hold(waiting, LARGE)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(memory.turn, waiting)
        await trio.sleep(STALLED_SECONDS + 1)
        assert silent.closed
        assert not waiting.closed
        memory.release(silent)
