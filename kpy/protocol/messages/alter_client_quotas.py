"""AlterClientQuotas (API 49): quotas are set or taken away (KIP-546)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Bool, Float64, Int16, Int32, NullableString, String
from kpy.protocol.schema import Request, Response, Struct, field


class EntityData(Struct):
    """One part of an entity."""

    entity_type: String  # "user", "client-id" or "ip"
    entity_name: NullableString  # null: the default


class OpData(Struct):
    """One quota, set to the value or taken away."""

    key: String  # the name of a config, such as "producer_byte_rate"
    value: Float64
    remove: Bool


class AlterClientQuotasRequestEntry(Struct, named="EntryData"):
    """An entity and what becomes of its quotas."""

    entity: Array[EntityData]
    ops: Array[OpData]


class AlterClientQuotasRequest(Request, api=ApiKey.ALTER_CLIENT_QUOTAS, versions="0-1", flexible="1+"):
    """Versions:

    - 1: flexible (KIP-482)
    """

    entries: Array[AlterClientQuotasRequestEntry]
    validate_only: Bool


class AlterClientQuotasResponseEntry(Struct, named="EntryData"):
    """The result for one entity."""

    error_code: Int16
    error_message: NullableString
    entity: Array[EntityData]


class AlterClientQuotasResponse(Response, api=ApiKey.ALTER_CLIENT_QUOTAS, versions="0-1", flexible="1+"):
    """Versions:

    - 1: flexible (KIP-482)
    """

    throttle_time_ms: Int32 = field(default=0)
    entries: Array[AlterClientQuotasResponseEntry]
