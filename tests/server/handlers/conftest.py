"""A broker as far as its admin handlers know it, for every test that asks for one."""

import pytest

from tests.server.handlers.handler_context import HandlerContext


@pytest.fixture
def broker() -> HandlerContext:
    return HandlerContext()
