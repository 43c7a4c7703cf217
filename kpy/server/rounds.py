"""What is put off until all that has arrived at once was looked at, so that it is done together.

A round is open while one task serves what has arrived on many connections (`kpy.server.arrivals`). It ends before any
other task runs, and what was put off is done by then.
"""

from collections.abc import Callable


class Rounds:
    """One round after another. Invariant: between two of them nothing is put off."""

    def __init__(self) -> None:
        self.is_open = False
        self._put_off: list[Callable[[], None]] = []

    def begin(self) -> None:
        self.is_open = True

    def put_off(self, call: Callable[[], None]) -> None:
        """Call that at the end of the round, which has to be open. It must not raise."""
        self._put_off.append(call)

    def end(self) -> None:
        """Do what was put off, and then what was put off by that, which finds the round closed."""
        self._do()
        self.is_open = False
        self._do()

    def _do(self) -> None:
        calls, self._put_off = self._put_off, []
        for call in calls:
            call()
