"""WriteTxnMarkers (API 27): a transaction coordinator has the leaders write how transactions ended (KIP-98)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Bool, Int8, Int16, Int32, Int64, String
from kpy.protocol.schema import Request, Response, Struct, since


class WritableTxnMarkerTopic(Struct):
    """A topic and its partitions."""

    name: String
    partition_indexes: Array[Int32]


class WritableTxnMarker(Struct):
    """The end of one transaction, for some partitions."""

    producer_id: Int64
    producer_epoch: Int16
    transaction_result: Bool  # true: committed
    topics: Array[WritableTxnMarkerTopic]
    coordinator_epoch: Int32  # the leader epoch of the coordinator's partition of `__transaction_state`
    # the level of transaction.version that it ends under
    transaction_version: Int8 = since(2, default=0, ignorable=True)


class WriteTxnMarkersRequest(Request, api=ApiKey.WRITE_TXN_MARKERS, versions="1-2", flexible="1+"):
    """Versions (0 left Kafka with 4.0, KIP-896):

    - 1: flexible (KIP-482)
    - 2: transaction_version of each marker, by which leaders check the epoch (KIP-1228)
    """

    markers: Array[WritableTxnMarker]


class WritableTxnMarkerPartitionResult(Struct):
    """The result for one partition."""

    partition_index: Int32
    error_code: Int16


class WritableTxnMarkerTopicResult(Struct):
    """A topic and its partitions."""

    name: String
    partitions: Array[WritableTxnMarkerPartitionResult]


class WritableTxnMarkerResult(Struct):
    """The results for one marker."""

    producer_id: Int64
    topics: Array[WritableTxnMarkerTopicResult]


class WriteTxnMarkersResponse(Response, api=ApiKey.WRITE_TXN_MARKERS, versions="1-2", flexible="1+"):
    """Versions:

    - 1: flexible (KIP-482)
    - 2: as 1
    """

    markers: Array[WritableTxnMarkerResult]
