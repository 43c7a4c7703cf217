"""A coordinator without groups for every test that asks for one, and Kafka's own assignors."""

from collections.abc import Iterator

import pytest

from tests.groups.consumer.consumer_context import ConsumerContext
from tests.groups.consumer.java_assignors import JavaAssignors


@pytest.fixture
def groups() -> ConsumerContext:
    return ConsumerContext()


@pytest.fixture(scope="session")
def java(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JavaAssignors]:
    """Apache Kafka's assignors."""
    with JavaAssignors(tmp_path_factory.mktemp("java")) as assignors:
        yield assignors
