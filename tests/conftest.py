"""What all tests share: property tests draw the same examples in every run but a soak; only their result counts."""

from hypothesis import settings

from tests.sweeps import SOAK_FACTOR

settings.register_profile(
    "kpy", derandomize=not SOAK_FACTOR, deadline=None, database=None, print_blob=bool(SOAK_FACTOR)
)
settings.load_profile("kpy")
