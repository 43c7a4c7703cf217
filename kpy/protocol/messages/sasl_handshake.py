"""SaslHandshake (API 17): a client names the SASL mechanism that it wants to authenticate by (KIP-43)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Int16, String
from kpy.protocol.schema import Request, Response


class SaslHandshakeRequest(Request, api=ApiKey.SASL_HANDSHAKE, versions="0-1", flexible="none"):
    """Versions, none of them flexible, because old clients would misread a newer one (KAFKA-9577):

    - 1: the mechanism's bytes then travel in SaslAuthenticate instead of bare frames (KIP-152)
    """

    mechanism: String


class SaslHandshakeResponse(Response, api=ApiKey.SASL_HANDSHAKE, versions="0-1", flexible="none"):
    """Versions:

    - 1: as 0
    """

    error_code: Int16
    mechanisms: Array[String]  # those that are enabled, whether the one asked for is among them or not
