"""RenewDelegationToken (API 39): a token lives longer, up to its maximum (KIP-48)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Bytes, Int16, Int32, Int64
from kpy.protocol.schema import Request, Response, field


class RenewDelegationTokenRequest(Request, api=ApiKey.RENEW_DELEGATION_TOKEN, versions="1-2", flexible="2+"):
    """Versions (0 left Kafka with 4.0, KIP-896):

    - 1: as 0
    - 2: flexible (KIP-482)
    """

    hmac: Bytes  # which token
    renew_period_ms: Int64


class RenewDelegationTokenResponse(Response, api=ApiKey.RENEW_DELEGATION_TOKEN, versions="1-2", flexible="2+"):
    """Versions:

    - 1: sent before the broker throttles (KIP-219)
    - 2: flexible (KIP-482)
    """

    error_code: Int16
    expiry_timestamp_ms: Int64
    throttle_time_ms: Int32 = field(default=0)
