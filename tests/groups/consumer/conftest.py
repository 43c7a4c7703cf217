"""A coordinator without groups for every test that asks for one, and Kafka's own assignors."""

import os
from collections.abc import Iterator

import pytest

from tests.groups.consumer.consumer_context import ConsumerContext
from tests.groups.consumer.java_assignors import JavaAssignors, missing


@pytest.fixture
def groups() -> ConsumerContext:
    return ConsumerContext()


@pytest.fixture(scope="session")
def java(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JavaAssignors]:
    """Apache Kafka's assignors; a test is skipped without them, and fails if `KPY_REQUIRE_ALL` is set."""
    if reason := missing():
        if os.environ.get("KPY_REQUIRE_ALL"):
            pytest.fail(reason)
        pytest.skip(reason)
    with JavaAssignors(tmp_path_factory.mktemp("java")) as assignors:
        yield assignors
