"""DescribeAcls (API 29): the ACLs that match a filter (KIP-140).

The numbers of resource types, pattern types, operations and permissions are those of Kafka's enums; 1 matches any.
"""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Int8, Int16, Int32, NullableString, String
from kpy.protocol.schema import Request, Response, Struct, field


class DescribeAclsRequest(Request, api=ApiKey.DESCRIBE_ACLS, versions="1-3", flexible="2+"):
    """Versions (0 left Kafka with 4.0, KIP-896):

    - 1: pattern_type_filter (KIP-290)
    - 2: flexible (KIP-482)
    - 3: as 2; users may be the resource (KIP-373)

    A null in a filter matches anything.
    """

    resource_type_filter: Int8
    resource_name_filter: NullableString
    pattern_type_filter: Int8 = field(default=3)  # 3: literal, 4: prefixed, 1: any, 2: whatever applies to that name
    principal_filter: NullableString
    host_filter: NullableString
    operation: Int8
    permission_type: Int8


class AclDescription(Struct):
    """One ACL of a resource."""

    principal: String
    host: String
    operation: Int8
    permission_type: Int8


class DescribeAclsResource(Struct):
    """A resource pattern and its ACLs."""

    resource_type: Int8
    resource_name: String
    pattern_type: Int8 = field(default=3)
    acls: Array[AclDescription]


class DescribeAclsResponse(Response, api=ApiKey.DESCRIBE_ACLS, versions="1-3", flexible="2+"):
    """Versions:

    - 1: pattern_type (KIP-290); sent before the broker throttles (KIP-219)
    - 2: flexible (KIP-482)
    - 3: as 2; users may be the resource (KIP-373)
    """

    throttle_time_ms: Int32 = field(default=0)
    error_code: Int16
    error_message: NullableString
    resources: Array[DescribeAclsResource]
