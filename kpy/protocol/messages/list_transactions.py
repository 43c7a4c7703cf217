"""ListTransactions (API 66): the transactional ids of a coordinator (KIP-664)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Int16, Int32, Int64, NullableString, String
from kpy.protocol.schema import Request, Response, Struct, field, since


class ListTransactionsRequest(Request, api=ApiKey.LIST_TRANSACTIONS, versions="0-2", flexible="0+"):
    """A filter that is empty lets all pass. Versions:

    - 1: duration_filter (KIP-994)
    - 2: transactional_id_pattern (KIP-1152)
    """

    state_filters: Array[String]
    producer_id_filters: Array[Int64]
    duration_filter: Int64 = since(1, default=-1)  # ms that a transaction is open at least; negative: any
    transactional_id_pattern: NullableString = since(2, default=None)


class TransactionState(Struct):
    """A transactional id."""

    transactional_id: String
    producer_id: Int64
    transaction_state: String  # "Ongoing", "PrepareCommit", …


class ListTransactionsResponse(Response, api=ApiKey.LIST_TRANSACTIONS, versions="0-2", flexible="0+"):
    """Versions:

    - 1: as 0
    - 2: as 0; INVALID_REGULAR_EXPRESSION (KIP-1152)
    """

    throttle_time_ms: Int32 = field(default=0)
    error_code: Int16
    unknown_state_filters: Array[String]  # names that are no state
    transaction_states: Array[TransactionState]
