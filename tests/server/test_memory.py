"""The bound on receive buffers: large frames take turns, small ones are never held up, stalled ones are closed."""

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from kpy.protocol.framing import SPARE_BYTES_MAX
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
    """Any number of connections with an ordinary buffer leaves all of the room to one that needs more."""
    memory = RequestMemory(LARGE)
    for _ in range(100):
        memory.hold(FakeConnection(), SMALL_BUFFER_BYTES)

    assert memory.held_bytes == 0
    with trio.fail_after(0.1):
        await memory.turn(FakeConnection(), LARGE)


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
        await memory.turn(holder, 2 * LARGE)
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


async def test_a_buffer_counts_twice_while_it_is_copied_to_a_larger_one(autojump_clock: MockClock) -> None:
    """Room for the larger buffer alone is not enough, for the smaller one is there until the larger one is filled."""
    memory = RequestMemory(5 * LARGE)
    growing, other = FakeConnection(), FakeConnection()
    memory.hold(growing, LARGE)

    assert memory.may_hold(growing, 4 * LARGE)
    memory.hold(other, LARGE)
    assert not memory.may_hold(growing, 4 * LARGE)
    assert memory.may_hold(growing, 3 * LARGE)


async def test_spare_buffers_give_way(autojump_clock: MockClock) -> None:
    """Near the limit no buffer is kept that nobody uses; far from it they stay."""
    memory = RequestMemory(2 * SPARE_BYTES_MAX)
    memory.spares.give(bytearray(LARGE))
    assert memory.may_hold(FakeConnection(), SPARE_BYTES_MAX)
    assert memory.spares.size_bytes == LARGE

    assert memory.may_hold(FakeConnection(), SPARE_BYTES_MAX + 1)
    assert memory.spares.size_bytes == 0
    assert len(memory.spares.take(SMALL_BUFFER_BYTES)) == SMALL_BUFFER_BYTES


async def test_those_who_wait_take_what_there_is_one_after_another(autojump_clock: MockClock) -> None:
    """When a holder leaves, only as many go on as there is room for, beside the one that goes on so that it ends."""
    memory = RequestMemory(4 * LARGE)
    leaving, *waiting = (FakeConnection() for _ in range(6))
    memory.hold(leaving, 4 * LARGE)
    took: list[FakeConnection] = []

    async def grow(holder: FakeConnection) -> None:
        await memory.turn(holder, 2 * LARGE)
        memory.hold(holder, 2 * LARGE)
        took.append(holder)

    async with trio.open_nursery() as nursery:
        for holder in waiting:
            nursery.start_soon(grow, holder)
            await wait_all_tasks_blocked()
        assert took == waiting[:1]
        memory.release(leaving)
        await wait_all_tasks_blocked()
        assert len(took) == 2
        for number in range(len(waiting)):
            memory.release(took[number])
            await wait_all_tasks_blocked()
            assert memory.held_bytes <= memory.limit_bytes + 2 * LARGE
    assert len(set(took)) == len(waiting)


async def test_a_holder_that_is_worked_for_has_not_stalled(autojump_clock: MockClock) -> None:
    """A batch that takes long to validate, or to bring onto the disk, is not held against its producer."""
    memory = RequestMemory(LARGE)
    busy, waiting = FakeConnection(), FakeConnection()
    busy.is_worked_for = True
    memory.hold(busy, LARGE)
    async with trio.open_nursery() as nursery:
        for holder in (FakeConnection(), waiting):
            memory.hold(holder, LARGE)
            nursery.start_soon(memory.turn, holder, 2 * LARGE)
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
    await memory.turn(silent, 2 * LARGE)
    memory.hold(waiting, LARGE)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(memory.turn, waiting, 2 * LARGE)
        await trio.sleep(STALLED_SECONDS + 1)
        assert silent.closed
        assert not waiting.closed
        memory.release(silent)
