"""ListConfigResources (API 74): the names of resources that can have configs (KIP-714, KIP-1142)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Int8, Int16, Int32, String
from kpy.protocol.schema import Request, Response, Struct, field, since


class ListConfigResourcesRequest(Request, api=ApiKey.LIST_CONFIG_RESOURCES, versions="0-1", flexible="0+"):
    """Versions:

    - 0: client metrics only, when the API was called ListClientMetricsResources (KIP-714)
    - 1: resource_types, none meaning all (KIP-1142)
    """

    resource_types: Array[Int8] = since(1)  # as in DescribeConfigs


class ConfigResource(Struct):
    """A resource."""

    resource_name: String
    resource_type: Int8 = since(1, default=16, ignorable=True)  # 16: client metrics


class ListConfigResourcesResponse(Response, api=ApiKey.LIST_CONFIG_RESOURCES, versions="0-1", flexible="0+"):
    """Versions:

    - 1: resource_type (KIP-1142)
    """

    throttle_time_ms: Int32 = field(default=0)
    error_code: Int16
    config_resources: Array[ConfigResource]
