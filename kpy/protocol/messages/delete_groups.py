"""DeleteGroups (API 42): remove empty groups and their committed offsets (KIP-229)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Int16, Int32, String
from kpy.protocol.schema import Request, Response, Struct, field


class DeleteGroupsRequest(Request, api=ApiKey.DELETE_GROUPS, versions="0-2", flexible="2+"):
    """Versions:

    - 1: as 0
    - 2: flexible (KIP-482)
    """

    groups_names: Array[String]


class DeletableGroupResult(Struct):
    """What became of one group."""

    group_id: String
    error_code: Int16


class DeleteGroupsResponse(Response, api=ApiKey.DELETE_GROUPS, versions="0-2", flexible="2+"):
    """Versions:

    - 1: as 0; sent before the broker throttles (KIP-219)
    - 2: flexible (KIP-482)
    """

    throttle_time_ms: Int32 = field(default=0)
    results: Array[DeletableGroupResult]
