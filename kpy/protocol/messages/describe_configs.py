"""DescribeConfigs (API 32): the configs of topics, brokers and other resources, and where they come from (KIP-133)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Bool, Int8, Int16, Int32, NullableArray, NullableString, String
from kpy.protocol.schema import Request, Response, Struct, field, since


class DescribeConfigsResource(Struct):
    """A resource; null keys ask for every config."""

    resource_type: Int8  # 2 topic, 4 broker, 8 broker logger, 16 client metrics, 32 group
    resource_name: String
    configuration_keys: NullableArray[String]


class DescribeConfigsRequest(Request, api=ApiKey.DESCRIBE_CONFIGS, versions="1-4", flexible="4+"):
    """Versions (0 left Kafka with 4.0, KIP-896):

    - 2: as 1
    - 3: include_documentation (KIP-569)
    - 4: flexible (KIP-482)
    """

    resources: Array[DescribeConfigsResource]
    include_synonyms: Bool = field(default=False)
    include_documentation: Bool = since(3, default=False)


class DescribeConfigsSynonym(Struct):
    """A config that would apply if those before it in the list were not set."""

    name: String
    value: NullableString
    source: Int8


class DescribeConfigsResourceResult(Struct):
    """A config; its value is null when sensitive."""

    name: String
    value: NullableString
    read_only: Bool
    # 1 topic, 2 broker, 3 all brokers (these three dynamic), 4 static, 5 default, 6 broker logger, 7 client metrics,
    # 8 group
    config_source: Int8 = field(default=-1, ignorable=True)
    is_sensitive: Bool
    synonyms: Array[DescribeConfigsSynonym] = field(ignorable=True)
    # 1 boolean, 2 string, 3 int, 4 short, 5 long, 6 double, 7 list, 8 class, 9 password
    config_type: Int8 = since(3, default=0, ignorable=True)
    documentation: NullableString = since(3, ignorable=True)


class DescribeConfigsResult(Struct):
    """The configs of one resource."""

    error_code: Int16
    error_message: NullableString
    resource_type: Int8
    resource_name: String
    configs: Array[DescribeConfigsResourceResult]


class DescribeConfigsResponse(Response, api=ApiKey.DESCRIBE_CONFIGS, versions="1-4", flexible="4+"):
    """Versions:

    - 1: config_source in place of a default flag, and synonyms (KIP-226)
    - 2: as 1; sent before the broker throttles (KIP-219)
    - 3: config_type, documentation (KIP-569)
    - 4: flexible (KIP-482)
    """

    throttle_time_ms: Int32 = field(default=0)
    results: Array[DescribeConfigsResult]
