"""A started controller for every test that asks for one."""

import pytest

from tests.cluster.controller_context import ControllerContext


@pytest.fixture
def cluster() -> ControllerContext:
    return ControllerContext()
