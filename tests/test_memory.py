"""The measuring of memory, which other tests rely on."""

from tests.memory import peak_growth_bytes

MIB = 1 << 20


def test_peak_growth() -> None:
    """What is freed again counts, what was there before does not."""
    growth = peak_growth_bytes("before_it = bytes(50 << 20)", "b'x' * (80 << 20)")

    assert 79 * MIB < growth < 82 * MIB
