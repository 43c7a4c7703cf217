"""Lines of the log that hostile clients or a broken machine could cause without end: one a second is enough."""

import trio


class OncePerSecond:
    """True when it is asked for the first time in a second."""

    __slots__ = ("_next",)

    def __init__(self) -> None:
        self._next = 0.0

    def __call__(self) -> bool:
        now = trio.current_time()
        if now < self._next:
            return False
        self._next = now + 1.0
        return True
