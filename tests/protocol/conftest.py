"""What the tests of the protocol share: Java, started once and only if a test asks for it."""

import os
from collections.abc import Iterator

import pytest

from tests.protocol.java_codec import JavaCodec, missing


@pytest.fixture(scope="session")
def java(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JavaCodec]:
    """Apache Kafka's codecs; a test is skipped without them, and fails if `KPY_REQUIRE_ALL` is set."""
    if reason := missing():
        if os.environ.get("KPY_REQUIRE_ALL"):
            pytest.fail(reason)
        pytest.skip(reason)
    with JavaCodec(tmp_path_factory.mktemp("java")) as codec:
        yield codec
