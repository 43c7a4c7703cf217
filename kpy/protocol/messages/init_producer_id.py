"""InitProducerId (API 22): a producer id for an idempotent producer, or the next epoch of a transactional one (KIP-98).

Version 6 is declared, but Kafka marks it unstable and does not advertise it.
"""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Bool, Int16, Int32, Int64, NullableString
from kpy.protocol.schema import Request, Response, field, since


class InitProducerIdRequest(Request, api=ApiKey.INIT_PRODUCER_ID, versions="0-6", flexible="2+"):
    """Versions:

    - 1: as 0
    - 2: flexible (KIP-482)
    - 3: producer_id and producer_epoch, to go on with an id after an error (KIP-360)
    - 4: as 3; PRODUCER_FENCED may be answered (KIP-588)
    - 5: as 3; TRANSACTION_ABORTABLE may be answered (KIP-890)
    - 6: two-phase commit: enable_2pc, keep_prepared_txn (KIP-939)
    """

    transactional_id: NullableString  # null: idempotent only
    transaction_timeout_ms: Int32
    producer_id: Int64 = since(3, default=-1)
    producer_epoch: Int16 = since(3, default=-1)
    enable_2pc: Bool = since(6, default=False)
    keep_prepared_txn: Bool = since(6, default=False)


class InitProducerIdResponse(Response, api=ApiKey.INIT_PRODUCER_ID, versions="0-6", flexible="2+"):
    """Versions:

    - 1: as 0; sent before the broker throttles (KIP-219)
    - 2: flexible (KIP-482)
    - 3: as 2
    - 4: as 2; PRODUCER_FENCED (KIP-588)
    - 5: as 2; TRANSACTION_ABORTABLE (KIP-890)
    - 6: the transaction that is still prepared (KIP-939)
    """

    throttle_time_ms: Int32 = field(default=0, ignorable=True)
    error_code: Int16
    producer_id: Int64 = field(default=-1)
    producer_epoch: Int16
    ongoing_txn_producer_id: Int64 = since(6, default=-1)
    ongoing_txn_producer_epoch: Int16 = since(6, default=-1)
