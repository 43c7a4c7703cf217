"""LeaveGroup (API 13): members of a classic group go, by themselves or removed by an administrator."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Int16, Int32, NullableString, String
from kpy.protocol.schema import Request, Response, Struct, field, since, until


class MemberIdentity(Struct):
    """Who leaves: a member id, or with an empty one, the static member of that instance id."""

    member_id: String
    group_instance_id: NullableString = field(default=None)
    reason: NullableString = since(5, default=None, ignorable=True)


class LeaveGroupRequest(Request, api=ApiKey.LEAVE_GROUP, versions="0-5", flexible="4+"):
    """Versions:

    - 1, 2: as 0
    - 3: many members at once, by member id or instance id, instead of the one member_id (KIP-345)
    - 4: flexible (KIP-482)
    - 5: each member's reason (KIP-800)
    """

    group_id: String
    member_id: String = until(2)
    members: Array[MemberIdentity] = since(3)


class MemberResponse(Struct):
    """What became of one of the members."""

    member_id: String
    group_instance_id: NullableString
    error_code: Int16


class LeaveGroupResponse(Response, api=ApiKey.LEAVE_GROUP, versions="0-5", flexible="4+"):
    """Versions:

    - 1: throttle_time_ms (KIP-124)
    - 2: as 1; sent before the broker throttles (KIP-219)
    - 3: an answer for each member (KIP-345)
    - 4: flexible (KIP-482)
    - 5: as 4
    """

    throttle_time_ms: Int32 = since(1, ignorable=True)
    error_code: Int16
    members: Array[MemberResponse] = since(3)
