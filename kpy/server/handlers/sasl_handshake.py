"""SaslHandshake (17): a client names its SASL mechanism (KIP-43). No listener has any. Both versions mean the same.

Where nobody has to authenticate, Kafka's answer names no mechanism (KafkaApis.handleSaslHandshakeRequest).
"""

from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.sasl_handshake import SaslHandshakeRequest, SaslHandshakeResponse
from kpy.server.context import RequestContext
from kpy.server.handlers import handles


@handles(SaslHandshakeRequest)
def sasl_handshake(
    request: SaslHandshakeRequest,  # noqa: ARG001 - whatever mechanism is asked for, there is nothing to prove
    context: RequestContext,  # noqa: ARG001 - as above
) -> SaslHandshakeResponse:
    """Say that it is out of place; the connection goes on."""
    return SaslHandshakeResponse(error_code=ErrorCode.ILLEGAL_SASL_STATE, mechanisms=[])
