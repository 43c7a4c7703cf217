"""Waiting for a condition with a deadline: the only way these scenarios wait."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE_S = 60.0
"""How long a condition that should hold at once may take on a busy machine."""


def eventually(
    condition: Callable[[], T],
    what: str,
    *,
    within_s: float = PATIENCE_S,
    every_s: float = 0.02,
    ignoring: tuple[type[Exception], ...] = (),
) -> T:
    """Ask until the answer is true, and return it; an AssertionError says `what` never came, and the last answer."""
    deadline = time.monotonic() + within_s
    while True:
        last: T | Exception
        try:
            last = condition()
            if last:
                return last
        except ignoring as error:
            last = error
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {within_s:g} s: {what} (last answer: {last!r})")
        time.sleep(every_s)
