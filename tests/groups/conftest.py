"""A coordinator without groups for every test that asks for one."""

import pytest

from tests.groups.group_context import GroupContext


@pytest.fixture
def groups() -> GroupContext:
    return GroupContext()
