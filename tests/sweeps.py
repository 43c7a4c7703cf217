"""How far the random tests go: the same short way in every run, or, with KPY_SOAK=N, N times as far and elsewhere.

`make test` and CI draw the same examples and seeds each time, so that a failure is the change's doing. `make soak` runs
the same code with new ones. A failure prints what reproduces it: the seed, or the example.
"""

import os

SOAK_FACTOR = int(os.environ.get("KPY_SOAK", "0"))


def examples(count: int) -> int:
    """How many examples a property is tried on, `count` of them in an ordinary run."""
    return count * max(SOAK_FACTOR, 1)


def seeds(count: int) -> range:
    """The seeds of a simulation; those of a soak begin where its run number says (KPY_SOAK_FROM)."""
    first = int(os.environ.get("KPY_SOAK_FROM", "0"))
    return range(first, first + examples(count))


def far_examples(count: int) -> int:
    """As `examples`, of what is quick and has most to find in a soak: there it goes five times as far."""
    return examples(count) * (5 if SOAK_FACTOR else 1)
