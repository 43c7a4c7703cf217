"""What all tests share: property tests draw the same examples in every run but a soak, only their result counts; and
Java, started once and only if a test asks for it.
"""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.protocol.java_codec import JavaCodec
from tests.sweeps import SOAK_FACTOR

settings.register_profile(
    "kpy", derandomize=not SOAK_FACTOR, deadline=None, database=None, print_blob=bool(SOAK_FACTOR)
)
settings.load_profile("kpy")


@pytest.fixture(scope="session")
def java(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JavaCodec]:
    """Apache Kafka's own classes."""
    with JavaCodec(tmp_path_factory.mktemp("java")) as codec:
        yield codec
