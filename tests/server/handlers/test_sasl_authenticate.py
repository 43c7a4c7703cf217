"""SaslAuthenticate: nobody is to authenticate."""

import pytest

from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.sasl_authenticate import SaslAuthenticateRequest
from kpy.server.handlers.sasl_authenticate import sasl_authenticate
from tests.server.handlers.handler_context import HandlerContext


@pytest.mark.parametrize("version", range(3))
def test_every_version(broker: HandlerContext, version: int) -> None:
    """Credentials are out of place, and are neither taken nor answered with any."""
    response = broker.call(sasl_authenticate, SaslAuthenticateRequest(auth_bytes=b"\0me\0secret"), version)
    assert response.error_code == ErrorCode.ILLEGAL_SASL_STATE
    assert response.error_message
    assert (response.auth_bytes, response.session_lifetime_ms) == (b"", 0)
