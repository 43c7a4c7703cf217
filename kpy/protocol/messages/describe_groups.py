"""DescribeGroups (API 15): state, protocol and members of classic groups."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Bool, Bytes, Int16, Int32, NullableString, String
from kpy.protocol.schema import Request, Response, Struct, since


class DescribeGroupsRequest(Request, api=ApiKey.DESCRIBE_GROUPS, versions="0-6", flexible="5+"):
    """Versions:

    - 1, 2: as 0
    - 3: include_authorized_operations (KIP-430)
    - 4: as 3
    - 5: flexible (KIP-482)
    - 6: as 5; a group that is not there is GROUP_ID_NOT_FOUND instead of Dead (KIP-1043)
    """

    groups: Array[String]
    include_authorized_operations: Bool = since(3)


class DescribedGroupMember(Struct):
    """A member; its metadata and assignment are empty unless the group is stable."""

    member_id: String
    group_instance_id: NullableString = since(4, default=None, ignorable=True)
    client_id: String
    client_host: String
    member_metadata: Bytes
    member_assignment: Bytes


class DescribedGroup(Struct):
    """A group; protocol_data names the strategy in use and is empty unless the group is stable."""

    error_code: Int16
    error_message: NullableString = since(6, default=None)
    group_id: String
    group_state: String
    protocol_type: String
    protocol_data: String
    members: Array[DescribedGroupMember]
    authorized_operations: Int32 = since(3, default=-2147483648)  # bits by ACL operation; the default: not asked


class DescribeGroupsResponse(Response, api=ApiKey.DESCRIBE_GROUPS, versions="0-6", flexible="5+"):
    """Versions:

    - 1: throttle_time_ms (KIP-124)
    - 2: as 1; sent before the broker throttles (KIP-219)
    - 3: authorized_operations (KIP-430)
    - 4: group_instance_id of each member (KIP-345)
    - 5: flexible (KIP-482)
    - 6: error_message; GROUP_ID_NOT_FOUND (KIP-1043)
    """

    throttle_time_ms: Int32 = since(1, ignorable=True)
    groups: Array[DescribedGroup]
