"""Heartbeat (API 12): a member of a classic group says that it lives, and hears of a rebalance."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Int16, Int32, NullableString, String
from kpy.protocol.schema import Request, Response, since


class HeartbeatRequest(Request, api=ApiKey.HEARTBEAT, versions="0-4", flexible="4+"):
    """Versions:

    - 1, 2: as 0
    - 3: group_instance_id (KIP-345)
    - 4: flexible (KIP-482)
    """

    group_id: String
    generation_id: Int32
    member_id: String
    group_instance_id: NullableString = since(3, default=None)


class HeartbeatResponse(Response, api=ApiKey.HEARTBEAT, versions="0-4", flexible="4+"):
    """Versions:

    - 1: throttle_time_ms (KIP-124)
    - 2: as 1; sent before the broker throttles (KIP-219)
    - 3: as 1
    - 4: flexible (KIP-482)
    """

    throttle_time_ms: Int32 = since(1, ignorable=True)
    error_code: Int16
