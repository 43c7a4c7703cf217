"""AlterConfigs (API 33): replace all dynamic configs of a resource by those given (KIP-133).

IncrementalAlterConfigs has taken its place, but Kafka still serves it.
"""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Bool, Int8, Int16, Int32, NullableString, String
from kpy.protocol.schema import Request, Response, Struct, field


class AlterableConfig(Struct):
    """A config that the resource shall have; those not listed go back to their defaults."""

    name: String
    value: NullableString


class AlterConfigsResource(Struct):
    """The new configs of one resource."""

    resource_type: Int8  # as in DescribeConfigs
    resource_name: String
    configs: Array[AlterableConfig]


class AlterConfigsRequest(Request, api=ApiKey.ALTER_CONFIGS, versions="0-2", flexible="2+"):
    """Versions:

    - 1: as 0
    - 2: flexible (KIP-482)
    """

    resources: Array[AlterConfigsResource]
    validate_only: Bool


class AlterConfigsResourceResponse(Struct):
    """What became of one resource."""

    error_code: Int16
    error_message: NullableString
    resource_type: Int8
    resource_name: String


class AlterConfigsResponse(Response, api=ApiKey.ALTER_CONFIGS, versions="0-2", flexible="2+"):
    """Versions:

    - 1: as 0; sent before the broker throttles (KIP-219)
    - 2: flexible (KIP-482)
    """

    throttle_time_ms: Int32 = field(default=0)
    responses: Array[AlterConfigsResourceResponse]
