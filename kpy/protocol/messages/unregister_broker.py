"""UnregisterBroker (API 64): a broker that is down for good is forgotten (KIP-631)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Int16, Int32, NullableString
from kpy.protocol.schema import Request, Response, field


class UnregisterBrokerRequest(Request, api=ApiKey.UNREGISTER_BROKER, versions="0", flexible="0+"):
    """There is one version."""

    broker_id: Int32


class UnregisterBrokerResponse(Response, api=ApiKey.UNREGISTER_BROKER, versions="0", flexible="0+"):
    """There is one version."""

    throttle_time_ms: Int32 = field(default=0)
    error_code: Int16
    error_message: NullableString
