"""SaslAuthenticate (36): the bytes of a SASL mechanism (KIP-152). No listener has any. All versions mean the same."""

from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.sasl_authenticate import SaslAuthenticateRequest, SaslAuthenticateResponse
from kpy.server.context import RequestContext
from kpy.server.handlers import handles


@handles(SaslAuthenticateRequest)
def sasl_authenticate(
    request: SaslAuthenticateRequest,  # noqa: ARG001 - whatever is sent, there is nothing to prove
    context: RequestContext,  # noqa: ARG001 - as above
) -> SaslAuthenticateResponse:
    """Say that it is out of place, as KafkaApis.handleSaslAuthenticateRequest does; the connection goes on."""
    return SaslAuthenticateResponse(
        error_code=ErrorCode.ILLEGAL_SASL_STATE,
        error_message="The listener of this connection authenticates nobody.",
        auth_bytes=b"",
    )
