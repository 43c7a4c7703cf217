"""The records of `__transaction_state`: transactional ids and their transactions (KIP-98), in Kafka's own layout."""

from kpy.protocol.coordinator_records import CoordinatorRecords
from kpy.protocol.primitives import Array, Int8, Int16, Int32, Int64, NullableArray, String
from kpy.protocol.schema import Data, Struct, tagged


class TransactionLogKey(Data, versions="0", flexible="none"):
    """Which transactional id this is; a null value forgets it."""

    transactional_id: String


class PartitionsSchema(Struct):
    """A topic and its partitions that are in the transaction."""

    topic: String
    partition_ids: Array[Int32]


class TransactionLogValue(Data, versions="0-1", flexible="1+"):
    """Versions:

    - 1: flexible, so that later fields can be skipped by older brokers (KIP-915); the producer ids before and after
      this one and the client's transaction version (KIP-890); next_producer_epoch (KIP-939)

    Kafka writes version 1 once transaction.version is above 0.
    """

    producer_id: Int64
    previous_producer_id: Int64 = tagged(0, since=1, default=-1)
    next_producer_id: Int64 = tagged(1, since=1, default=-1)
    producer_epoch: Int16
    next_producer_epoch: Int16 = tagged(3, since=1, default=-1)
    transaction_timeout_ms: Int32  # after which the coordinator aborts
    transaction_status: Int8  # by number of Kafka's `TransactionState`
    transaction_partitions: NullableArray[PartitionsSchema]  # null or none: no transaction is open
    transaction_last_update_timestamp_ms: Int64
    transaction_start_timestamp_ms: Int64
    client_transaction_version: Int16 = tagged(2, since=1, default=0)


RECORDS = CoordinatorRecords({0: (TransactionLogKey, TransactionLogValue)})
