"""DeleteAcls (API 31): every ACL that matches one of the filters goes (KIP-140)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Int8, Int16, Int32, NullableString, String
from kpy.protocol.schema import Request, Response, Struct, field


class DeleteAclsFilter(Struct):
    """As in DescribeAcls: a null matches anything."""

    resource_type_filter: Int8
    resource_name_filter: NullableString
    pattern_type_filter: Int8 = field(default=3)  # 3: literal, 4: prefixed, 1: any, 2: whatever applies to that name
    principal_filter: NullableString
    host_filter: NullableString
    operation: Int8
    permission_type: Int8


class DeleteAclsRequest(Request, api=ApiKey.DELETE_ACLS, versions="1-3", flexible="2+"):
    """Versions (0 left Kafka with 4.0, KIP-896):

    - 1: pattern_type_filter (KIP-290)
    - 2: flexible (KIP-482)
    - 3: as 2; users may be the resource (KIP-373)
    """

    filters: Array[DeleteAclsFilter]


class DeleteAclsMatchingAcl(Struct):
    """An ACL that matched, and whether it is gone."""

    error_code: Int16
    error_message: NullableString
    resource_type: Int8
    resource_name: String
    pattern_type: Int8 = field(default=3)
    principal: String
    host: String
    operation: Int8
    permission_type: Int8


class DeleteAclsFilterResult(Struct):
    """What the filter at the same place of the request matched."""

    error_code: Int16
    error_message: NullableString
    matching_acls: Array[DeleteAclsMatchingAcl]


class DeleteAclsResponse(Response, api=ApiKey.DELETE_ACLS, versions="1-3", flexible="2+"):
    """Versions:

    - 1: pattern_type (KIP-290); sent before the broker throttles (KIP-219)
    - 2: flexible (KIP-482)
    - 3: as 2; users may be the resource (KIP-373)
    """

    throttle_time_ms: Int32 = field(default=0)
    filter_results: Array[DeleteAclsFilterResult]
