"""DescribeClientQuotas (API 48): the quotas of the entities that match a filter (KIP-546)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Bool, Float64, Int8, Int16, Int32, NullableArray, NullableString, String
from kpy.protocol.schema import Request, Response, Struct, field


class ComponentData(Struct):
    """What one part of an entity has to be."""

    entity_type: String  # "user", "client-id" or "ip"
    match_type: Int8  # 0: the name in `match`, 1: the default, 2: any name
    match: NullableString


class DescribeClientQuotasRequest(Request, api=ApiKey.DESCRIBE_CLIENT_QUOTAS, versions="0-1", flexible="1+"):
    """Versions:

    - 1: flexible (KIP-482)
    """

    components: Array[ComponentData]
    strict: Bool  # entities with parts that no component asks for do not match


class EntityData(Struct):
    """One part of an entity."""

    entity_type: String
    entity_name: NullableString  # null: the default


class ValueData(Struct):
    """One quota."""

    key: String  # the name of a config, such as "producer_byte_rate"
    value: Float64


class EntryData(Struct):
    """An entity and its quotas."""

    entity: Array[EntityData]
    values: Array[ValueData]


class DescribeClientQuotasResponse(Response, api=ApiKey.DESCRIBE_CLIENT_QUOTAS, versions="0-1", flexible="1+"):
    """Versions:

    - 1: flexible (KIP-482)
    """

    throttle_time_ms: Int32 = field(default=0)
    error_code: Int16
    error_message: NullableString
    entries: NullableArray[EntryData]  # null when there is an error
