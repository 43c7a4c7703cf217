"""Parked requests wake when enough bytes came, or when told to look again."""

from kpy.server.waiters import Waiter, Waiters


def test_a_waiter_wakes_when_the_bytes_of_all_its_partitions_suffice() -> None:
    """Bytes of several partitions add up."""
    first, second = Waiters(), Waiters()
    waiter = Waiter(100)
    first.add(waiter)
    second.add(waiter)

    first.more_bytes(60)
    assert not waiter.woken.is_set()

    second.more_bytes(40)
    assert waiter.woken.is_set()


def test_a_waiter_that_was_discarded_hears_nothing() -> None:
    """After discard, appends are nobody's business."""
    waiters = Waiters()
    waiter = Waiter(1)
    waiters.add(waiter)
    waiters.discard(waiter)

    waiters.more_bytes(10)
    waiters.wake()

    assert not waiter.woken.is_set()


def test_waking_does_not_ask_for_bytes() -> None:
    """A changed partition wakes its waiters at once."""
    waiters = Waiters()
    waiter = Waiter(1_000_000)
    waiters.add(waiter)

    waiters.wake()

    assert waiter.woken.is_set()
