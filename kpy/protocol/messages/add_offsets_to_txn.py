"""AddOffsetsToTxn (API 25): the offsets of a group become part of a transaction (KIP-98)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Int16, Int32, Int64, String
from kpy.protocol.schema import Request, Response, field


class AddOffsetsToTxnRequest(Request, api=ApiKey.ADD_OFFSETS_TO_TXN, versions="0-4", flexible="3+"):
    """Versions:

    - 1: as 0
    - 2: as 0; PRODUCER_FENCED may be answered (KIP-588)
    - 3: flexible (KIP-482)
    - 4: as 3; TRANSACTION_ABORTABLE may be answered (KIP-890)
    """

    transactional_id: String
    producer_id: Int64
    producer_epoch: Int16
    group_id: String


class AddOffsetsToTxnResponse(Response, api=ApiKey.ADD_OFFSETS_TO_TXN, versions="0-4", flexible="3+"):
    """Versions:

    - 1: as 0; sent before the broker throttles (KIP-219)
    - 2: as 0; PRODUCER_FENCED (KIP-588)
    - 3: flexible (KIP-482)
    - 4: as 3; TRANSACTION_ABORTABLE (KIP-890)
    """

    throttle_time_ms: Int32 = field(default=0)
    error_code: Int16
