"""IncrementalAlterConfigs (API 44): change single configs of a resource and leave the others (KIP-339)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Bool, Int8, Int16, Int32, NullableString, String
from kpy.protocol.schema import Request, Response, Struct, field


class AlterableConfig(Struct):
    """One change of one config."""

    name: String
    config_operation: Int8  # 0 set, 1 delete; for lists 2 append, 3 subtract
    value: NullableString


class AlterConfigsResource(Struct):
    """The changes of one resource."""

    resource_type: Int8  # as in DescribeConfigs
    resource_name: String
    configs: Array[AlterableConfig]


class IncrementalAlterConfigsRequest(Request, api=ApiKey.INCREMENTAL_ALTER_CONFIGS, versions="0-1", flexible="1+"):
    """Versions:

    - 1: flexible (KIP-482)
    """

    resources: Array[AlterConfigsResource]
    validate_only: Bool


class AlterConfigsResourceResponse(Struct):
    """What became of one resource: all of its changes, or none."""

    error_code: Int16
    error_message: NullableString
    resource_type: Int8
    resource_name: String


class IncrementalAlterConfigsResponse(Response, api=ApiKey.INCREMENTAL_ALTER_CONFIGS, versions="0-1", flexible="1+"):
    """Versions:

    - 1: flexible (KIP-482)
    """

    throttle_time_ms: Int32 = field(default=0)
    responses: Array[AlterConfigsResourceResponse]
