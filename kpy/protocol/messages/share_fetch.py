"""ShareFetch (API 78): a member of a share group acquires records, and acknowledges earlier ones with it (KIP-932)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Bool, Int8, Int16, Int32, Int64, NullableString, Records, String, Uuid
from kpy.protocol.schema import Request, Response, Struct, field, since


class AcknowledgementBatch(Struct):
    """What became of the records from first_offset to last_offset."""

    first_offset: Int64
    last_offset: Int64
    acknowledge_types: Array[Int8]  # one for all, or one each; 0: a gap, 1: accept, 2: release, 3: reject, 4: renew


class FetchPartition(Struct):
    """A partition; without acknowledgements it only joins the session."""

    partition_index: Int32
    acknowledgement_batches: Array[AcknowledgementBatch]


class FetchTopic(Struct):
    """A topic and its partitions."""

    topic_id: Uuid
    partitions: Array[FetchPartition]


class ForgottenTopic(Struct):
    """Partitions that leave the share session."""

    topic_id: Uuid
    partitions: Array[Int32]


class ShareFetchRequest(Request, api=ApiKey.SHARE_FETCH, versions="1-2", flexible="0+"):
    """Versions (0 was for early access and left Kafka with 4.1):

    - 1: the first that stays
    - 2: share_acquire_mode (KIP-1206) and is_renew_ack (KIP-1222)
    """

    group_id: NullableString = field(default=None)
    member_id: NullableString
    share_session_epoch: Int32  # 0: opens a session, -1: closes it
    max_wait_ms: Int32
    min_bytes: Int32
    max_bytes: Int32 = field(default=2147483647)
    max_records: Int32
    batch_size: Int32  # the most records in one batch of acquired ones
    share_acquire_mode: Int8 = since(2, default=0, ignorable=True)  # 0: whole batches, 1: never more than max_records
    is_renew_ack: Bool = since(2, default=False)  # some of the acknowledgements only renew the lock
    topics: Array[FetchTopic]
    forgotten_topics_data: Array[ForgottenTopic]


class LeaderIdAndEpoch(Struct):
    """Who leads, as a hint after NOT_LEADER_OR_FOLLOWER."""

    leader_id: Int32
    leader_epoch: Int32


class AcquiredRecords(Struct):
    """Records that are locked for this member, and how often they were delivered."""

    first_offset: Int64
    last_offset: Int64
    delivery_count: Int16


class PartitionData(Struct):
    """A partition: the records read, and which of them were acquired."""

    partition_index: Int32
    error_code: Int16
    error_message: NullableString = field(default=None)
    acknowledge_error_code: Int16
    acknowledge_error_message: NullableString = field(default=None)
    current_leader: LeaderIdAndEpoch
    records: Records
    acquired_records: Array[AcquiredRecords]


class ShareFetchableTopicResponse(Struct):
    """A topic and its partitions."""

    topic_id: Uuid
    partitions: Array[PartitionData]


class NodeEndpoint(Struct):
    """Where a leader is reached."""

    node_id: Int32
    host: String
    port: Int32
    rack: NullableString = field(default=None)


class ShareFetchResponse(Response, api=ApiKey.SHARE_FETCH, versions="1-2", flexible="0+"):
    """Versions:

    - 1: the first that stays
    - 2: as 1
    """

    throttle_time_ms: Int32 = field(default=0)
    error_code: Int16
    error_message: NullableString = field(default=None)
    acquisition_lock_timeout_ms: Int32
    responses: Array[ShareFetchableTopicResponse]
    node_endpoints: Array[NodeEndpoint]
