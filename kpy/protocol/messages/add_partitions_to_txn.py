"""AddPartitionsToTxn (API 24): partitions enter a transaction before anything is written to them (KIP-98).

Up to version 3 a producer sends it for its one transaction. From 4 on a broker sends it for a batch of them, to add
partitions or only to verify that they are in (KIP-890); the fields of the two forms exclude each other.
"""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Bool, Int16, Int32, Int64, String
from kpy.protocol.schema import Request, Response, Struct, field, since, until


class AddPartitionsToTxnTopic(Struct):
    """A topic and its partitions."""

    name: String
    partitions: Array[Int32]


class AddPartitionsToTxnTransaction(Struct):
    """The partitions of one transaction."""

    transactional_id: String
    producer_id: Int64
    producer_epoch: Int16
    verify_only: Bool = field(default=False)  # nothing is added, only asked whether it is there
    topics: Array[AddPartitionsToTxnTopic]


class AddPartitionsToTxnRequest(Request, api=ApiKey.ADD_PARTITIONS_TO_TXN, versions="0-5", flexible="3+"):
    """Versions:

    - 1: as 0
    - 2: as 0; PRODUCER_FENCED may be answered (KIP-588)
    - 3: flexible (KIP-482)
    - 4: transactions in a batch, instead of the four fields of one transaction; verify_only (KIP-890)
    - 5: as 4; TRANSACTION_ABORTABLE may be answered (KIP-890)
    """

    transactions: Array[AddPartitionsToTxnTransaction] = since(4)
    v3_and_below_transactional_id: String = until(3)
    v3_and_below_producer_id: Int64 = until(3)
    v3_and_below_producer_epoch: Int16 = until(3)
    v3_and_below_topics: Array[AddPartitionsToTxnTopic] = until(3)


class AddPartitionsToTxnPartitionResult(Struct):
    """The result for one partition."""

    partition_index: Int32
    partition_error_code: Int16


class AddPartitionsToTxnTopicResult(Struct):
    """A topic and its partitions."""

    name: String
    results_by_partition: Array[AddPartitionsToTxnPartitionResult]


class AddPartitionsToTxnResult(Struct):
    """The results of one transaction."""

    transactional_id: String
    topic_results: Array[AddPartitionsToTxnTopicResult]


class AddPartitionsToTxnResponse(Response, api=ApiKey.ADD_PARTITIONS_TO_TXN, versions="0-5", flexible="3+"):
    """Versions:

    - 1: as 0; sent before the broker throttles (KIP-219)
    - 2: as 0; PRODUCER_FENCED (KIP-588)
    - 3: flexible (KIP-482)
    - 4: results by transaction, and an error_code for all of them (KIP-890)
    - 5: as 4; TRANSACTION_ABORTABLE (KIP-890)
    """

    throttle_time_ms: Int32 = field(default=0)
    error_code: Int16 = since(4, ignorable=True)
    results_by_transaction: Array[AddPartitionsToTxnResult] = since(4)
    results_by_topic_v3_and_below: Array[AddPartitionsToTxnTopicResult] = until(3)
