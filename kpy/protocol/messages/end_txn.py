"""EndTxn (API 26): a producer commits or aborts its transaction (KIP-98)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Bool, Int16, Int32, Int64, String
from kpy.protocol.schema import Request, Response, field, since


class EndTxnRequest(Request, api=ApiKey.END_TXN, versions="0-5", flexible="3+"):
    """Versions:

    - 1: as 0
    - 2: as 0; PRODUCER_FENCED may be answered (KIP-588)
    - 3: flexible (KIP-482)
    - 4: as 3; TRANSACTION_ABORTABLE may be answered (KIP-890)
    - 5: as 3; the producer goes on with the epoch that the response gives (KIP-890)
    """

    transactional_id: String
    producer_id: Int64
    producer_epoch: Int16
    committed: Bool  # false: aborted


class EndTxnResponse(Response, api=ApiKey.END_TXN, versions="0-5", flexible="3+"):
    """Versions:

    - 1: as 0; sent before the broker throttles (KIP-219)
    - 2: as 0; PRODUCER_FENCED (KIP-588)
    - 3: flexible (KIP-482)
    - 4: as 3; TRANSACTION_ABORTABLE (KIP-890)
    - 5: producer_id and producer_epoch for the next transaction (KIP-890)
    """

    throttle_time_ms: Int32 = field(default=0)
    error_code: Int16
    producer_id: Int64 = since(5, default=-1, ignorable=True)
    producer_epoch: Int16 = since(5, default=-1, ignorable=True)
