"""A coordinator without groups for every test that asks for one."""

import pytest

from tests.groups.consumer.consumer_context import ConsumerContext


@pytest.fixture
def groups() -> ConsumerContext:
    return ConsumerContext()
