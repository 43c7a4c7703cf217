"""TxnOffsetCommit (API 28): offsets that count once the transaction is committed (KIP-98)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Int16, Int32, Int64, NullableString, String
from kpy.protocol.schema import Request, Response, Struct, field, since


class TxnOffsetCommitRequestPartition(Struct):
    """What is committed for one partition."""

    partition_index: Int32
    committed_offset: Int64
    committed_leader_epoch: Int32 = since(2, default=-1, ignorable=True)
    committed_metadata: NullableString


class TxnOffsetCommitRequestTopic(Struct):
    """A topic and its partitions."""

    name: String
    partitions: Array[TxnOffsetCommitRequestPartition]


class TxnOffsetCommitRequest(Request, api=ApiKey.TXN_OFFSET_COMMIT, versions="0-5", flexible="3+"):
    """Versions:

    - 1: as 0
    - 2: committed_leader_epoch (KIP-320)
    - 3: flexible (KIP-482); generation_id, member_id and group_instance_id, by which the group fences zombies (KIP-447)
    - 4: as 3; TRANSACTION_ABORTABLE may be answered (KIP-890)
    - 5: as 3; it does the work of AddOffsetsToTxn too (KIP-890)
    """

    transactional_id: String
    group_id: String
    producer_id: Int64
    producer_epoch: Int16
    generation_id: Int32 = since(3, default=-1)
    member_id: String = since(3, default="")
    group_instance_id: NullableString = since(3, default=None)
    topics: Array[TxnOffsetCommitRequestTopic]


class TxnOffsetCommitResponsePartition(Struct):
    """The result for one partition."""

    partition_index: Int32
    error_code: Int16


class TxnOffsetCommitResponseTopic(Struct):
    """A topic and its partitions."""

    name: String
    partitions: Array[TxnOffsetCommitResponsePartition]


class TxnOffsetCommitResponse(Response, api=ApiKey.TXN_OFFSET_COMMIT, versions="0-5", flexible="3+"):
    """Versions:

    - 1: as 0; sent before the broker throttles (KIP-219)
    - 2: as 0
    - 3: flexible (KIP-482); ILLEGAL_GENERATION, FENCED_INSTANCE_ID and UNKNOWN_MEMBER_ID (KIP-447)
    - 4: as 3; TRANSACTION_ABORTABLE (KIP-890)
    - 5: as 3
    """

    throttle_time_ms: Int32 = field(default=0)
    topics: Array[TxnOffsetCommitResponseTopic]
