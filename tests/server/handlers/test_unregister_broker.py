"""UnregisterBroker: nobody is there to be forgotten."""

import pytest

from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.unregister_broker import UnregisterBrokerRequest
from kpy.server.handlers.unregister_broker import unregister_broker
from tests.cluster.controller_context import NODE
from tests.server.handlers.handler_context import HandlerContext


def ask(broker: HandlerContext, number: int) -> int:
    response = broker.call(unregister_broker, UnregisterBrokerRequest(broker_id=number), 0)
    assert response.error_message
    return response.error_code


@pytest.mark.parametrize("number", [4711, -1])
def test_an_unknown_broker(broker: HandlerContext, number: int) -> None:
    """A broker that never registered cannot be forgotten."""
    assert ask(broker, number) == ErrorCode.BROKER_ID_NOT_REGISTERED


def test_the_only_broker(broker: HandlerContext) -> None:
    """The broker that answers is not forgotten, and leads what it led."""
    broker.created("t")
    assert ask(broker, NODE) == ErrorCode.INVALID_REQUEST
    assert NODE in broker.image.brokers
    assert broker.topic("t").partitions[0].leader == NODE
