"""ListGroups (API 16): the groups that this broker coordinates."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Int16, Int32, String
from kpy.protocol.schema import Request, Response, Struct, since


class ListGroupsRequest(Request, api=ApiKey.LIST_GROUPS, versions="0-5", flexible="3+"):
    """Versions:

    - 1, 2: as 0
    - 3: flexible (KIP-482)
    - 4: states_filter (KIP-518)
    - 5: types_filter (KIP-848)
    """

    states_filter: Array[String] = since(4)  # empty: all
    types_filter: Array[String] = since(5)  # empty: all


class ListedGroup(Struct):
    """A group in one line."""

    group_id: String
    protocol_type: String
    group_state: String = since(4, ignorable=True)
    group_type: String = since(5, ignorable=True)  # "classic", "consumer", "share", …


class ListGroupsResponse(Response, api=ApiKey.LIST_GROUPS, versions="0-5", flexible="3+"):
    """Versions:

    - 1: throttle_time_ms (KIP-124)
    - 2: as 1; sent before the broker throttles (KIP-219)
    - 3: flexible (KIP-482)
    - 4: group_state (KIP-518)
    - 5: group_type (KIP-848)
    """

    throttle_time_ms: Int32 = since(1, ignorable=True)
    error_code: Int16
    groups: Array[ListedGroup]
