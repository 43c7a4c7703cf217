"""SaslHandshake: nobody is to authenticate."""

import pytest

from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.sasl_handshake import SaslHandshakeRequest
from kpy.server.handlers.sasl_handshake import sasl_handshake
from tests.server.handlers.handler_context import HandlerContext


@pytest.mark.parametrize("version", range(2))
def test_every_version(broker: HandlerContext, version: int) -> None:
    """A handshake is out of place, and no mechanism is offered."""
    response = broker.call(sasl_handshake, SaslHandshakeRequest(mechanism="PLAIN"), version)
    assert (response.error_code, response.mechanisms) == (ErrorCode.ILLEGAL_SASL_STATE, [])
