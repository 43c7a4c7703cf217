"""DescribeTransactions (API 65): what a coordinator knows of some transactional ids (KIP-664)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Int16, Int32, Int64, String
from kpy.protocol.schema import Request, Response, Struct, field


class DescribeTransactionsRequest(Request, api=ApiKey.DESCRIBE_TRANSACTIONS, versions="0", flexible="0+"):
    """There is one version."""

    transactional_ids: Array[String]


class TopicData(Struct):
    """A topic and its partitions that are in the transaction and have no marker yet."""

    topic: String
    partitions: Array[Int32]


class TransactionState(Struct):
    """A transactional id and its transaction."""

    error_code: Int16
    transactional_id: String
    transaction_state: String  # "Ongoing", "PrepareCommit", …
    transaction_timeout_ms: Int32
    transaction_start_time_ms: Int64  # -1: none is open
    producer_id: Int64
    producer_epoch: Int16
    topics: Array[TopicData]


class DescribeTransactionsResponse(Response, api=ApiKey.DESCRIBE_TRANSACTIONS, versions="0", flexible="0+"):
    """There is one version."""

    throttle_time_ms: Int32 = field(default=0)
    transaction_states: Array[TransactionState]
