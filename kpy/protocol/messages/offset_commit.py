"""OffsetCommit (API 8): a consumer, or anybody for a group that is empty, stores how far it has read."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Int16, Int32, Int64, NullableString, String, Uuid
from kpy.protocol.schema import Request, Response, Struct, field, since, until


class OffsetCommitRequestPartition(Struct):
    """The next offset to be read of one partition."""

    partition_index: Int32
    committed_offset: Int64
    committed_leader_epoch: Int32 = since(6, default=-1, ignorable=True)
    committed_metadata: NullableString


class OffsetCommitRequestTopic(Struct):
    """A topic, by name until version 9 and by id from 10."""

    name: String = until(9, ignorable=True)
    topic_id: Uuid = since(10, ignorable=True)
    partitions: Array[OffsetCommitRequestPartition]


class OffsetCommitRequest(Request, api=ApiKey.OFFSET_COMMIT, versions="2-10", flexible="8+"):
    """Versions (0 and 1 left Kafka with 4.0, KIP-896):

    - 3, 4: as 2
    - 5: retention_time_ms is gone, the broker alone decides (KIP-211)
    - 6: committed_leader_epoch (KIP-320)
    - 7: group_instance_id (KIP-345)
    - 8: flexible (KIP-482)
    - 9: as 8; members of the consumer protocol may commit, with their member epoch as the generation (KIP-848)
    - 10: topic ids instead of names (KIP-848)
    """

    group_id: String
    generation_id_or_member_epoch: Int32 = field(default=-1, ignorable=True)  # -1: not a member
    member_id: String = field(ignorable=True)
    group_instance_id: NullableString = since(7, default=None)
    retention_time_ms: Int64 = until(4, default=-1, ignorable=True)  # -1: as the broker is configured
    topics: Array[OffsetCommitRequestTopic]


class OffsetCommitResponsePartition(Struct):
    """The result for one partition."""

    partition_index: Int32
    error_code: Int16


class OffsetCommitResponseTopic(Struct):
    """A topic, named as in the request."""

    name: String = until(9, ignorable=True)
    topic_id: Uuid = since(10, ignorable=True)
    partitions: Array[OffsetCommitResponsePartition]


class OffsetCommitResponse(Response, api=ApiKey.OFFSET_COMMIT, versions="2-10", flexible="8+"):
    """Versions:

    - 3: throttle_time_ms (KIP-124)
    - 4: as 3; sent before the broker throttles (KIP-219)
    - 5, 6, 7: as 3
    - 8: flexible (KIP-482)
    - 9: as 8; GROUP_ID_NOT_FOUND for a group that is not there, STALE_MEMBER_EPOCH (KIP-848)
    - 10: topic ids instead of names; UNKNOWN_TOPIC_ID (KIP-848)
    """

    throttle_time_ms: Int32 = since(3, ignorable=True)
    topics: Array[OffsetCommitResponseTopic]
