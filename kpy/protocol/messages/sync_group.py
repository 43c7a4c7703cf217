"""SyncGroup (API 14): the leader hands in everybody's assignment, each member gets its own."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Bytes, Int16, Int32, NullableString, String
from kpy.protocol.schema import Request, Response, Struct, since


class SyncGroupRequestAssignment(Struct):
    """What the leader decided for one member."""

    member_id: String
    assignment: Bytes  # for consumers: ConsumerProtocolAssignment with its version in front


class SyncGroupRequest(Request, api=ApiKey.SYNC_GROUP, versions="0-5", flexible="4+"):
    """Versions:

    - 1, 2: as 0
    - 3: group_instance_id (KIP-345)
    - 4: flexible (KIP-482)
    - 5: protocol_type and protocol_name, which the coordinator compares with its own (KIP-559)
    """

    group_id: String
    generation_id: Int32
    member_id: String
    group_instance_id: NullableString = since(3, default=None)
    protocol_type: NullableString = since(5, default=None, ignorable=True)
    protocol_name: NullableString = since(5, default=None, ignorable=True)
    assignments: Array[SyncGroupRequestAssignment]  # empty unless sent by the leader


class SyncGroupResponse(Response, api=ApiKey.SYNC_GROUP, versions="0-5", flexible="4+"):
    """Versions:

    - 1: throttle_time_ms (KIP-124)
    - 2: as 1; sent before the broker throttles (KIP-219)
    - 3: as 1
    - 4: flexible (KIP-482)
    - 5: protocol_type and protocol_name (KIP-559)
    """

    throttle_time_ms: Int32 = since(1, ignorable=True)
    error_code: Int16
    protocol_type: NullableString = since(5, default=None, ignorable=True)
    protocol_name: NullableString = since(5, default=None, ignorable=True)
    assignment: Bytes
