"""SaslAuthenticate (API 36): the bytes of a SASL mechanism, one step of the exchange each (KIP-152)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Bytes, Int16, Int64, NullableString
from kpy.protocol.schema import Request, Response, since


class SaslAuthenticateRequest(Request, api=ApiKey.SASL_AUTHENTICATE, versions="0-2", flexible="2+"):
    """Versions:

    - 1: as 0; a client that speaks it authenticates again before its session ends (KIP-368)
    - 2: flexible (KIP-482)
    """

    auth_bytes: Bytes


class SaslAuthenticateResponse(Response, api=ApiKey.SASL_AUTHENTICATE, versions="0-2", flexible="2+"):
    """Versions:

    - 1: session_lifetime_ms (KIP-368)
    - 2: flexible (KIP-482)
    """

    error_code: Int16
    error_message: NullableString
    auth_bytes: Bytes
    session_lifetime_ms: Int64 = since(1, default=0, ignorable=True)  # 0: the session does not end
