"""Timers fire once, at their time, however often they were moved."""

import socket
from functools import partial

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from kpy.server.timers import Timers


async def run_for(seconds: float, timers: Timers) -> None:
    with trio.move_on_after(seconds):
        await timers.run()


async def test_a_timer_fires_once_after_its_delay(autojump_clock: MockClock) -> None:
    """A timer fires at its delay and not again."""
    fired: list[float] = []
    timers = Timers()
    timers.alarm(lambda: fired.append(trio.current_time())).set(1500)
    start = trio.current_time()

    await run_for(10, timers)

    assert fired == [start + 1.5]


async def test_timers_fire_in_the_order_of_their_deadlines(autojump_clock: MockClock) -> None:
    """The earliest deadline fires first, whatever the order in which timers were set."""
    fired: list[str] = []
    timers = Timers()
    for name, delay_ms in (("last", 300), ("first", 100), ("second", 200)):
        timers.alarm(partial(fired.append, name)).set(delay_ms)

    await run_for(1, timers)

    assert fired == ["first", "second", "last"]


async def test_setting_an_alarm_again_moves_it(autojump_clock: MockClock) -> None:
    """One that is moved later fires only then; one moved earlier fires only earlier."""
    fired: list[tuple[str, float]] = []
    timers = Timers()
    start = trio.current_time()

    def note(name: str) -> None:
        fired.append((name, trio.current_time() - start))

    later, earlier = timers.alarm(lambda: note("later")), timers.alarm(lambda: note("earlier"))
    later.set(100)
    later.set(900)
    earlier.set(900)
    earlier.set(100)

    await run_for(5, timers)

    assert [name for name, _ in fired] == ["earlier", "later"]
    assert [round(at, 3) for _, at in fired] == [0.1, 0.9]


async def test_a_cancelled_timer_does_not_fire(autojump_clock: MockClock) -> None:
    """Cancelling what is not set does nothing; what was cancelled can be set again."""
    fired: list[str] = []
    timers = Timers()
    cancelled, never_set, again = (timers.alarm(partial(fired.append, name)) for name in ("a", "never set", "again"))
    cancelled.set(100)
    cancelled.cancel()
    never_set.cancel()
    again.set(100)
    again.cancel()
    again.set(200)

    await run_for(1, timers)

    assert fired == ["again"]


async def test_a_running_timer_task_learns_of_an_earlier_deadline(autojump_clock: MockClock) -> None:
    """A timer that is set while the task sleeps towards a later one still fires at its own time."""
    fired: list[float] = []
    timers = Timers()
    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(timers.run)
        timers.alarm(lambda: fired.append(trio.current_time() - start)).set(60_000)
        await trio.sleep(1)
        timers.alarm(lambda: fired.append(trio.current_time() - start)).set(500)
        await trio.sleep(2)
        nursery.cancel_scope.cancel()

    assert fired == [1.5]


async def test_what_has_arrived_is_heard_before_a_timer_fires(mock_clock: MockClock) -> None:
    """A process that stood still past a deadline finds what came meanwhile, a heartbeat perhaps, and that moves it."""
    fired: list[int] = []
    timers = Timers()
    session = timers.alarm(lambda: fired.append(0))
    here, there = socket.socketpair()

    async def hear() -> None:
        while True:
            await trio.lowlevel.wait_readable(here)
            here.recv(1)
            session.set(1000)

    with here, there:
        async with trio.open_nursery() as nursery:
            session.set(1000)
            nursery.start_soon(timers.run)
            nursery.start_soon(hear)
            for _ in range(20):  # the order in which tasks run is random
                await wait_all_tasks_blocked()
                there.send(b"x")
                mock_clock.jump(1.5)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()

    assert fired == []


async def test_a_timer_may_set_itself_again(autojump_clock: MockClock) -> None:
    """Firing leaves it free for the next round."""
    fired: list[float] = []
    timers = Timers()
    start = trio.current_time()

    def again() -> None:
        fired.append(round(trio.current_time() - start, 3))
        alarm.set(1000)

    alarm = timers.alarm(again)
    alarm.set(1000)
    await run_for(3.5, timers)

    assert fired == [1.0, 2.0, 3.0]


async def test_what_is_cancelled_and_set_again_and_again_takes_no_room(autojump_clock: MockClock) -> None:
    """A million rebalances within a session timeout are no million entries; what is set still fires."""
    fired: list[str] = []
    timers = Timers()
    timers.alarm(lambda: fired.append("kept")).set(5_000)
    session = timers.alarm(lambda: fired.append("session"))
    moved = timers.alarm(lambda: fired.append("moved"))
    for number in range(10_000):
        session.set(10_000)
        session.cancel()
        moved.set(20_000 if number % 2 else 10_000)
    assert len(timers._heap) < 100

    await run_for(30, timers)

    assert fired == ["kept", "moved"]


async def test_what_is_cancelled_for_good_is_forgotten(autojump_clock: MockClock) -> None:
    """A member that leaves leaves next to nothing behind, and nothing once its time is over."""
    timers = Timers()
    for _ in range(10_000):
        session = timers.alarm(lambda: None)
        session.set(10_000)
        session.cancel()
    assert len(timers._heap) < 100

    await run_for(30, timers)

    assert timers._heap == []


async def test_a_bug_in_one_timer_is_loud_and_leaves_the_others(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The broker goes on when what a timer calls breaks, as it does for a request."""
    fired: list[str] = []
    timers = Timers()

    def broken() -> None:
        raise ZeroDivisionError

    timers.alarm(broken).set(100)
    timers.alarm(lambda: fired.append("sound")).set(200)

    await run_for(1, timers)

    assert fired == ["sound"]
    assert "ZeroDivisionError" in caplog.text
