"""ShareAcknowledge (API 79): a member of a share group says what became of the records it acquired (KIP-932)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Bool, Int8, Int16, Int32, Int64, NullableString, String, Uuid
from kpy.protocol.schema import Request, Response, Struct, field, since


class AcknowledgementBatch(Struct):
    """What became of the records from first_offset to last_offset."""

    first_offset: Int64
    last_offset: Int64
    acknowledge_types: Array[Int8]  # one for all, or one each; 0: a gap, 1: accept, 2: release, 3: reject, 4: renew


class AcknowledgePartition(Struct):
    """A partition and its acknowledgements."""

    partition_index: Int32
    acknowledgement_batches: Array[AcknowledgementBatch]


class AcknowledgeTopic(Struct):
    """A topic and its partitions."""

    topic_id: Uuid
    partitions: Array[AcknowledgePartition]


class ShareAcknowledgeRequest(Request, api=ApiKey.SHARE_ACKNOWLEDGE, versions="1-2", flexible="0+"):
    """Versions (0 was for early access and left Kafka with 4.1):

    - 1: the first that stays
    - 2: is_renew_ack (KIP-1222)
    """

    group_id: NullableString = field(default=None)
    member_id: NullableString
    share_session_epoch: Int32  # -1: closes the session
    is_renew_ack: Bool = since(2, default=False)  # some of the acknowledgements only renew the lock
    topics: Array[AcknowledgeTopic]


class LeaderIdAndEpoch(Struct):
    """Who leads, as a hint after NOT_LEADER_OR_FOLLOWER."""

    leader_id: Int32
    leader_epoch: Int32


class PartitionData(Struct):
    """The result for one partition."""

    partition_index: Int32
    error_code: Int16
    error_message: NullableString = field(default=None)
    current_leader: LeaderIdAndEpoch


class ShareAcknowledgeTopicResponse(Struct):
    """A topic and its partitions."""

    topic_id: Uuid
    partitions: Array[PartitionData]


class NodeEndpoint(Struct):
    """Where a leader is reached."""

    node_id: Int32
    host: String
    port: Int32
    rack: NullableString = field(default=None)


class ShareAcknowledgeResponse(Response, api=ApiKey.SHARE_ACKNOWLEDGE, versions="1-2", flexible="0+"):
    """Versions:

    - 1: the first that stays
    - 2: acquisition_lock_timeout_ms (KIP-1222)
    """

    throttle_time_ms: Int32 = field(default=0)
    error_code: Int16
    error_message: NullableString = field(default=None)
    acquisition_lock_timeout_ms: Int32 = since(2, ignorable=True)
    responses: Array[ShareAcknowledgeTopicResponse]
    node_endpoints: Array[NodeEndpoint]
