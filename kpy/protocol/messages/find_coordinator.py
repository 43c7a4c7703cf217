"""FindCoordinator (API 10): which broker coordinates a group, a transactional id or a share group."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Int8, Int16, Int32, NullableString, String
from kpy.protocol.schema import Request, Response, Struct, between, field, since, until


class FindCoordinatorRequest(Request, api=ApiKey.FIND_COORDINATOR, versions="0-6", flexible="3+"):
    """Versions:

    - 0: groups only
    - 1: key_type, so transactional ids too (KIP-98)
    - 2: as 1; the client throttles itself (KIP-219)
    - 3: flexible (KIP-482)
    - 4: many keys in one request, in coordinator_keys instead of key (KIP-699)
    - 5: as 4; TRANSACTION_ABORTABLE may be answered (KIP-890)
    - 6: key_type 2, share groups, whose keys read group:topic id:partition (KIP-932)
    """

    key: String = until(3)
    key_type: Int8 = since(1, default=0)  # 0 group, 1 transactional id, 2 share group
    coordinator_keys: Array[String] = since(4)


class Coordinator(Struct):
    """The answer for one of the keys."""

    key: String
    node_id: Int32
    host: String
    port: Int32
    error_code: Int16
    error_message: NullableString = field(ignorable=True)


class FindCoordinatorResponse(Response, api=ApiKey.FIND_COORDINATOR, versions="0-6", flexible="3+"):
    """Versions:

    - 1: throttle_time_ms (KIP-124) and error_message
    - 2: as 1; sent before the broker throttles (KIP-219)
    - 3: flexible (KIP-482)
    - 4: one entry of coordinators per key, instead of the single answer at the top (KIP-699)
    - 5, 6: as 4 (KIP-890, KIP-932)
    """

    throttle_time_ms: Int32 = since(1, ignorable=True)
    error_code: Int16 = until(3)
    error_message: NullableString = between(1, 3, ignorable=True)
    node_id: Int32 = until(3)
    host: String = until(3)
    port: Int32 = until(3)
    coordinators: Array[Coordinator] = since(4)
