"""CreateAcls (API 30): new ACLs, each a binding of its own (KIP-140)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Int8, Int16, Int32, NullableString, String
from kpy.protocol.schema import Request, Response, Struct, field


class AclCreation(Struct):
    """A binding: the principal is "User:name", the host "*" for all."""

    resource_type: Int8
    resource_name: String
    resource_pattern_type: Int8 = field(default=3)  # 3: literal, 4: prefixed
    principal: String
    host: String
    operation: Int8
    permission_type: Int8


class CreateAclsRequest(Request, api=ApiKey.CREATE_ACLS, versions="1-3", flexible="2+"):
    """Versions (0 left Kafka with 4.0, KIP-896):

    - 1: resource_pattern_type (KIP-290)
    - 2: flexible (KIP-482)
    - 3: as 2; users may be the resource (KIP-373)
    """

    creations: Array[AclCreation]


class AclCreationResult(Struct):
    """The result for the binding at the same place of the request."""

    error_code: Int16
    error_message: NullableString


class CreateAclsResponse(Response, api=ApiKey.CREATE_ACLS, versions="1-3", flexible="2+"):
    """Versions:

    - 1: sent before the broker throttles (KIP-219)
    - 2: flexible (KIP-482)
    - 3: as 2
    """

    throttle_time_ms: Int32 = field(default=0)
    results: Array[AclCreationResult]
