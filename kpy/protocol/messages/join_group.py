"""JoinGroup (API 11): a member of a classic group enters, or enters again, and learns who leads."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Bool, Bytes, Int16, Int32, NullableString, String
from kpy.protocol.schema import Request, Response, Struct, field, since


class JoinGroupRequestProtocol(Struct):
    """One assignment strategy that the member can follow, in its order of preference."""

    name: String
    metadata: Bytes  # for consumers: ConsumerProtocolSubscription with its version in front


class JoinGroupRequest(Request, api=ApiKey.JOIN_GROUP, versions="0-9", flexible="6+"):
    """Versions:

    - 1: rebalance_timeout_ms; before, the session timeout served for both (KIP-62)
    - 2, 3: as 1
    - 4: as 1, but a member without an id is told its id with MEMBER_ID_REQUIRED and joins again (KIP-394)
    - 5: group_instance_id, static membership (KIP-345)
    - 6: flexible (KIP-482)
    - 7: as 6 (KIP-559 changed the response)
    - 8: reason (KIP-800)
    - 9: as 8 (KIP-814 changed the response)
    """

    group_id: String
    session_timeout_ms: Int32
    rebalance_timeout_ms: Int32 = since(1, default=-1, ignorable=True)
    member_id: String  # empty on the first join
    group_instance_id: NullableString = since(5, default=None)
    protocol_type: String  # "consumer", "connect", …
    protocols: Array[JoinGroupRequestProtocol]
    reason: NullableString = since(8, default=None, ignorable=True)


class JoinGroupResponseMember(Struct):
    """What the leader is told of a member; followers get no members."""

    member_id: String
    group_instance_id: NullableString = since(5, default=None, ignorable=True)
    metadata: Bytes


class JoinGroupResponse(Response, api=ApiKey.JOIN_GROUP, versions="0-9", flexible="6+"):
    """Versions:

    - 1: as 0
    - 2: throttle_time_ms (KIP-124)
    - 3: as 2; sent before the broker throttles (KIP-219)
    - 4: as 2; MEMBER_ID_REQUIRED carries the new member's id (KIP-394)
    - 5: group_instance_id of each member (KIP-345)
    - 6: flexible (KIP-482)
    - 7: protocol_type, and protocol_name may be null (KIP-559)
    - 8: as 7
    - 9: skip_assignment, for a static leader that came back to an unchanged group (KIP-814)
    """

    throttle_time_ms: Int32 = since(2, ignorable=True)
    error_code: Int16
    generation_id: Int32 = field(default=-1)
    protocol_type: NullableString = since(7, default=None, ignorable=True)
    protocol_name: NullableString = field(nullable="7+")
    leader: String
    skip_assignment: Bool = since(9, default=False)
    member_id: String
    members: Array[JoinGroupResponseMember]
